"""Reads an SPF policy and counts what it costs a receiver to evaluate it (RFC 7208 sections 4.6 and 5)."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from apps.protocols.dns import Outcome
from apps.protocols.doctor.findings import Look

# RFC 7208 section 4.6.4; the whole of it, with every included policy.
MAX_LOOKUPS, MAX_VOIDS = 10, 2
# Beyond the limits nobody needs the exact number, and a hostile policy could go on for ever.
ENOUGH_LOOKUPS = 30

# RFC 7208 section 5.6: "/24", "//64" or both.
_PREFIXES = re.compile(r"(?:/(?:[12]?\d|3[0-2]))?(?://(?:\d{1,2}|1[01]\d|12[0-8]))?")
_MECHANISMS = frozenset({"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"})
_LOOKING_UP = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})


@dataclass(frozen=True, slots=True)
class Term:
    """One directive or modifier; `value` is what stands behind `:`, `/` or `=`."""

    name: str
    value: str
    text: str
    qualifier: str = "+"

    @property
    def domain(self) -> str:
        return self.value.partition("/")[0].lower().removesuffix(".")


@dataclass(slots=True)
class Cost:
    """What an evaluation that never matches would ask; a receiver may stop earlier, but must be able to go on."""

    lookups: int = 0
    voids: list[str] = field(default_factory=list)
    # The domains whose senders pass, by an include of this policy or by those of others; and those whose senders do
    # not, because an include that says so comes first.
    includes: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    # Look-ups of each term of the outermost policy, for whoever has to shorten it.
    by_term: dict[str, int] = field(default_factory=dict)
    loop: str = ""
    broken: str = ""
    # An included policy that lets everybody send, and so does this one.
    open_by: str = ""
    # Some look-up failed, so that the numbers are only a lower bound.
    is_partial: bool = False


def policies_among(values: Sequence[str]) -> tuple[str, ...]:
    """The SPF records among a name's TXT records: "v=spf1" and then a space or the end (RFC 7208 section 4.5)."""
    return tuple(value for value in values if value.partition(" ")[0].lower() == "v=spf1")


def terms_of(policy: str) -> tuple[Term, ...]:
    """The terms in order. Raises ValueError with the first that no receiver can read."""
    terms = tuple(_term(text) for text in policy.split(" ")[1:] if text)
    redirects = [term.text for term in terms if term.name == "redirect"]
    if len(redirects) > 1:  # RFC 7208 section 6: not more than once
        raise ValueError(redirects[1])
    return terms


def evaluated(terms: Sequence[Term]) -> tuple[Term, ...]:
    """The terms that a receiver looks at: nothing behind `all`, and `redirect` only without it (section 6.1)."""
    heard: list[Term] = []
    redirect: list[Term] = []
    for term in terms:
        if term.name == "redirect":
            redirect = [term]
            continue
        heard.append(term)
        if term.name == "all":
            return tuple(heard)
    return (*heard, *redirect)


def cost_of(domain: str, terms: Sequence[Term], look: Look, *, own: str) -> Cost:
    """Follows every include. `own`: the platform's policy, which no customer can mend if it is not there."""
    evaluation = _Evaluation(look, own)
    cost = evaluation.cost
    for term in evaluated(terms):
        before = cost.lookups
        evaluation.charge(term, (domain,), allows=True)
        if cost.lookups > before:
            cost.by_term[term.text] = cost.lookups - before
    return cost


def is_open(term: Term) -> bool:
    """Whether a term lets every server of the world send."""
    is_everything = term.name == "all" or (term.name in {"ip4", "ip6"} and term.value.endswith("/0"))
    return is_everything and term.qualifier == "+"


def joined(policies: Sequence[str], include: str) -> str:
    """One policy that allows what these allow and ours too, for the customer to paste; strict if all of them are."""
    terms = [text for policy in policies for text in policy.split(" ")[1:] if text]
    ends = [text for text in terms if text.lstrip("+-~?").lower() == "all"]
    # A redirect is what holds at the end of a policy; in the middle of a longer one the same is an include.
    senders = [text.replace("redirect=", "include:", 1) for text in terms if text not in ends]
    refusals = {f"{qualifier}{include}" for qualifier in "-~?"}
    others = [text for text in senders if text.lower() not in refusals]
    return " ".join(
        ["v=spf1", *dict.fromkeys([*others, include]), "-all" if ends and set(ends) == {"-all"} else "~all"]
    )


class _Evaluation:
    """Follows every include and counts. One silent server ends the following: many more would cost too much time."""

    def __init__(self, look: Look, own: str) -> None:
        self._look, self._own = look, own
        self.cost = Cost()

    def charge(self, term: Term, above: tuple[str, ...], *, allows: bool) -> None:
        """`above`: the domains whose policies led here; `allows`: whether a match in here lets the sender pass."""
        cost = self.cost
        if allows and is_open(term) and len(above) > 1:
            cost.open_by = cost.open_by or above[-1]
        if term.name not in _LOOKING_UP or cost.lookups >= ENOUGH_LOOKUPS:
            return
        cost.lookups += 1
        if term.name in {"include", "redirect"}:
            self._follow(term, above, allows=allows)
        elif not cost.is_partial and "%" not in term.value and term.name != "ptr":  # macros depend on the mail
            host = term.domain or above[-1]
            answer = self._look.mx(host) if term.name == "mx" else self._look.addresses(host)
            cost.is_partial |= answer.status is Outcome.FAILED
            if answer.status is Outcome.MISSING:
                cost.voids.append(term.text)

    def _follow(self, term: Term, above: tuple[str, ...], *, allows: bool) -> None:
        name, cost = term.domain, self.cost
        if name in above:
            cost.loop = cost.loop or name
            return
        passes = allows and term.qualifier == "+"
        if not passes:
            cost.refused.add(name)
        elif name not in cost.refused:
            cost.includes.add(name)
        if not cost.is_partial and "%" not in name:
            self._enter(name, above, passes=passes)

    def _enter(self, name: str, above: tuple[str, ...], *, passes: bool) -> None:
        answer = self._look.txt(name)
        policies = policies_among(answer.values)
        if answer.status is Outcome.FAILED:
            self.cost.is_partial = True
            return
        try:
            (policy,) = policies
            terms = terms_of(policy)
        except ValueError:
            # No policy, several, or one that cannot be read breaks the whole evaluation (RFC 7208 section 5.2).
            if name != self._own:
                self.cost.broken = self.cost.broken or name
            return
        for inner in evaluated(terms):
            self.charge(inner, (*above, name), allows=passes)


def _term(text: str) -> Term:
    name, mark, value = _split(text)
    if mark == "=":
        return Term(name.lower(), value, text)  # unknown modifiers are ignored, section 6
    qualifier = name[:1] if name[:1] in "+-~?" else "+"
    name = name.lstrip("+-~?").lower()
    needs_value = mark == ":" or name in {"include", "exists", "ip4", "ip6"}
    if name not in _MECHANISMS or (needs_value and not value):
        raise ValueError(text)
    if name in {"ip4", "ip6"}:
        _check_network(name, value, text)
    elif name in {"a", "mx"} and not _PREFIXES.fullmatch(value.partition("/")[1] + value.partition("/")[2]):
        raise ValueError(text)
    return Term(name, value, text, qualifier)


def _split(text: str) -> tuple[str, str, str]:
    for position, character in enumerate(text):
        if character in ":=/":
            # The slash belongs to the value: "a/24" has no domain and a prefix length.
            return text[:position], character, text[position + (character != "/") :]
    return text, "", ""


def _check_network(name: str, value: str, text: str) -> None:
    kind = ipaddress.IPv4Network if name == "ip4" else ipaddress.IPv6Network
    _, slash, length = value.partition("/")
    if slash and not length.isdigit():  # a netmask, which Python reads and RFC 7208 does not know
        raise ValueError(text)
    try:
        kind(value, strict=False)
    except ValueError as error:
        raise ValueError(text) from error
