"""Evaluates SPF (RFC 7208): whether a domain says that this address may send for it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from apps.protocols.authentication.types import Checked, Verdict
from apps.protocols.dns import Answer, Outcome
from apps.protocols.doctor.findings import Look
from apps.protocols.doctor.spf_policy import MAX_LOOKUPS, MAX_VOIDS, Term, evaluated, policies_among, terms_of

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_RESULT_OF = {"+": Verdict.PASS, "-": Verdict.FAIL, "~": Verdict.SOFTFAIL, "?": Verdict.NEUTRAL}
# RFC 7208 section 4.6.4: more names than these are an error, and nothing is asked about them.
_MAX_NAMES = 10
_MACRO = re.compile(r"%(?:\{([slodiphcrtvSLODIPHCRTV])(\d{0,3})(r?)([.\-+,/_=]*)\}|([%_-]))")


class _End(Exception):
    """The evaluation is over with this verdict."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict, self.reason = verdict, reason


@dataclass(slots=True)
class _Evaluation:
    """One mail's evaluation with what it has cost so far."""

    look: Look
    address: Address
    sender: str
    helo: str
    lookups: int = 0
    voids: int = 0
    _above: list[str] = field(default_factory=list)

    def host(self, domain: str) -> tuple[Verdict, str]:
        """`check_host` of section 4; raises _End."""
        answer = self.look.txt(domain)
        self._refuse_failure(answer, domain)
        policies = policies_among(answer.values)
        if len(policies) != 1:
            if policies:
                raise _End(Verdict.PERMERROR, f"{domain} has {len(policies)} SPF records")
            return Verdict.NONE, f"{domain} has no SPF record"
        try:
            terms = terms_of(policies[0])
        except ValueError as error:
            raise _End(Verdict.PERMERROR, f"{domain}: {error} cannot be read") from None
        for term in evaluated(terms):
            if term.name == "redirect":
                return self._redirected(term, domain)
            if term.name in _MATCHERS and _MATCHERS[term.name](self, term, domain):
                return _RESULT_OF[term.qualifier], f"{domain}: {term.text}"
        return Verdict.NEUTRAL, f"{domain}: nothing matches"

    def _redirected(self, term: Term, domain: str) -> tuple[Verdict, str]:
        self._count_lookup()
        target = self._expanded(term.value, domain)
        verdict, reason = self.host(target)
        if verdict is Verdict.NONE:
            raise _End(Verdict.PERMERROR, reason)
        return verdict, reason

    def matches_all(self, _term: Term, _domain: str) -> bool:
        return True

    def matches_network(self, term: Term, _domain: str) -> bool:
        network = ipaddress.ip_network(term.value, strict=False)
        return network.version == self.address.version and self.address in network

    def matches_include(self, term: Term, domain: str) -> bool:
        self._count_lookup()
        verdict, reason = self.host(self._expanded(term.value, domain))
        if verdict is Verdict.NONE:
            raise _End(Verdict.PERMERROR, reason)
        return verdict is Verdict.PASS

    def matches_a(self, term: Term, domain: str) -> bool:
        self._count_lookup()
        host, four, six = self._target(term, domain)
        return self._is_among(self.addresses(host), four, six)

    def matches_mx(self, term: Term, domain: str) -> bool:
        self._count_lookup()
        name, four, six = self._target(term, domain)
        answer = self.look.mx(name)
        self._note(answer, name)
        if len(answer.values) > _MAX_NAMES:
            raise _End(Verdict.PERMERROR, f"{name} has more than {_MAX_NAMES} mail servers")
        return any(self._is_among(self.addresses(record.host), four, six) for record in answer.values)

    def matches_exists(self, term: Term, domain: str) -> bool:
        self._count_lookup()
        return bool(self.addresses(self._expanded(term.value, domain)))

    def matches_never(self, _term: Term, _domain: str) -> bool:
        """RFC 7208 section 5.5: `ptr` should not be used; it costs its look-up and matches nothing here."""
        self._count_lookup()
        return False

    def addresses(self, name: str) -> tuple[str, ...]:
        answer = self.look.addresses(name)
        self._note(answer, name)
        return answer.values

    def _is_among(self, addresses: tuple[str, ...], four: int, six: int) -> bool:
        length = four if self.address.version == 4 else six
        networks = (ipaddress.ip_network(f"{a}/{length}", strict=False) for a in addresses if self._is_same_kind(a))
        return any(self.address in network for network in networks)

    def _is_same_kind(self, text: str) -> bool:
        return ipaddress.ip_address(text).version == self.address.version

    def _target(self, term: Term, domain: str) -> tuple[str, int, int]:
        """The name that a mechanism asks about, and the prefix lengths (section 5.6)."""
        name, _, lengths = term.value.partition("/")
        four, _, six = lengths.partition("/")
        six = six.lstrip("/")
        return (self._expanded(name, domain) if name else domain), int(four or 32), int(six or 128)

    def _count_lookup(self) -> None:
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS:
            raise _End(Verdict.PERMERROR, f"more than {MAX_LOOKUPS} look-ups")

    def _note(self, answer: Answer, name: str) -> None:
        self._refuse_failure(answer, name)
        if answer.status is Outcome.MISSING:
            self.voids += 1
            if self.voids > MAX_VOIDS:
                raise _End(Verdict.PERMERROR, f"more than {MAX_VOIDS} look-ups that find nothing")

    def _refuse_failure(self, answer: Answer, name: str) -> None:
        if answer.status is Outcome.FAILED:
            raise _End(Verdict.TEMPERROR, f"{name} could not be looked up: {answer.reason}")

    def _expanded(self, text: str, domain: str) -> str:
        """Section 7: macros; what is too long loses labels from the left."""
        if "%" not in text:
            return text.lower().removesuffix(".")
        found = "".join(self._pieces(text, domain)).removesuffix(".")
        while len(found) > 253 and "." in found:
            found = found.partition(".")[2]
        return found.lower()

    def _pieces(self, text: str, domain: str) -> Iterator[str]:
        at = 0
        for macro in _MACRO.finditer(text):
            yield text[at : macro.start()]
            at = macro.end()
            letter, digits, reverse, delimiters, escape = macro.groups()
            if escape:
                yield {"%": "%", "_": " ", "-": "%20"}[escape]
            else:
                parts = re.split(f"[{re.escape(delimiters or '.')}]", self._value(letter.lower(), domain))
                parts = parts[::-1] if reverse else parts
                yield ".".join(parts[-int(digits) :] if digits and int(digits) else parts)
        if "%" in text[at:]:
            raise _End(Verdict.PERMERROR, f"{text} has a macro that cannot be read")
        yield text[at:]

    def _value(self, letter: str, domain: str) -> str:
        local, _, sender_domain = self.sender.rpartition("@")
        values = {"s": self.sender, "l": local, "o": sender_domain, "d": domain, "h": self.helo, "p": "unknown"}
        if letter == "i":
            four = isinstance(self.address, ipaddress.IPv4Address)
            return str(self.address) if four else ".".join(self.address.exploded.replace(":", ""))
        if letter == "v":
            return "in-addr" if self.address.version == 4 else "ip6"
        return values.get(letter, "unknown")


_MATCHERS = {
    "all": _Evaluation.matches_all,
    "ip4": _Evaluation.matches_network,
    "ip6": _Evaluation.matches_network,
    "include": _Evaluation.matches_include,
    "a": _Evaluation.matches_a,
    "mx": _Evaluation.matches_mx,
    "exists": _Evaluation.matches_exists,
    "ptr": _Evaluation.matches_never,
}


def check_spf(client_address: str, mail_from: str, helo: str, look: Look) -> Checked:
    """Whether the envelope sender's domain lets this address send; for a bounce the name in HELO (section 2.4)."""
    try:
        address: Address = ipaddress.ip_address(client_address.removeprefix("IPv6:"))
    except ValueError:
        return Checked(reason="It is not known from which address it came.")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    sender = mail_from if "@" in mail_from else f"postmaster@{helo}"
    domain = sender.rpartition("@")[2].lower().removesuffix(".")
    if "." not in domain:
        return Checked(reason="The envelope names no domain.")
    try:
        verdict, reason = _Evaluation(look, address, sender, helo).host(domain)
    except _End as end:
        verdict, reason = end.verdict, end.reason
    return Checked(verdict, domain[:253], reason[:500])
