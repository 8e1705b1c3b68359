"""Reads an SPF policy and counts what it costs a receiver to evaluate it (RFC 7208 sections 4.6 and 5)."""

import ipaddress
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from apps.protocols.dns import Outcome
from apps.protocols.doctor.findings import Look

# RFC 7208 section 4.6.4; the whole of it, with every included policy.
MAX_LOOKUPS, MAX_VOIDS = 10, 2
# Beyond the limits nobody needs the exact number, and a hostile policy could go on for ever.
ENOUGH_LOOKUPS = 30

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
    # The domains whose senders pass, by an include of this policy or by those of others.
    includes: set[str] = field(default_factory=set)
    # Look-ups of each term of the outermost policy, for whoever has to shorten it.
    by_term: dict[str, int] = field(default_factory=dict)
    loop: str = ""
    broken: str = ""
    # Some look-up failed, so that the numbers are only a lower bound.
    is_partial: bool = False


def policies_among(values: Sequence[str]) -> tuple[str, ...]:
    """The SPF records among a name's TXT records: "v=spf1" and then a space or the end (RFC 7208 section 4.5)."""
    return tuple(value for value in values if value.partition(" ")[0].lower() == "v=spf1")


def terms_of(policy: str) -> tuple[Term, ...]:
    """The terms in order. Raises ValueError with the first that no receiver can read."""
    return tuple(_term(text) for text in policy.split(" ")[1:] if text)


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


def joined(policies: Sequence[str], include: str) -> str:
    """One policy that allows what these allow and ours too, for the customer to paste."""
    terms = [text for policy in policies for text in policy.split(" ")[1:] if text]
    # A redirect is what holds at the end of a policy; in the middle of a longer one the same is an include.
    senders = [text.replace("redirect=", "include:", 1) for text in terms if text.lstrip("+-~?").lower() != "all"]
    return " ".join(["v=spf1", *dict.fromkeys([*senders, include]), "~all"])


class _Evaluation:
    """Follows every include and counts. One silent server ends the following: many more would cost too much time."""

    def __init__(self, look: Look, own: str) -> None:
        self._look, self._own = look, own
        self.cost = Cost()

    def charge(self, term: Term, above: tuple[str, ...], *, allows: bool) -> None:
        """`above`: the domains whose policies led here; `allows`: whether a match in here lets the sender pass."""
        cost = self.cost
        if term.name not in _LOOKING_UP or cost.lookups >= ENOUGH_LOOKUPS:
            return
        cost.lookups += 1
        if cost.is_partial or "%" in term.value or term.name == "ptr":
            return  # what a macro names depends on the mail
        if term.name in {"include", "redirect"}:
            self._follow(term.domain, above, allows=allows and term.qualifier == "+")
        elif term.name in {"a", "exists"}:
            answer = self._look.addresses(term.domain or above[-1])
            cost.is_partial |= answer.status is Outcome.FAILED
            if answer.status is Outcome.MISSING:
                cost.voids.append(term.text)

    def _follow(self, name: str, above: tuple[str, ...], *, allows: bool) -> None:
        if name in above:
            self.cost.loop = self.cost.loop or name
            return
        if allows:
            self.cost.includes.add(name)
        answer = self._look.txt(name)
        policies = policies_among(answer.values)
        if answer.status is Outcome.FAILED:
            self.cost.is_partial = True
        elif len(policies) == 1:
            with suppress(ValueError):
                for inner in evaluated(terms_of(policies[0])):
                    self.charge(inner, (*above, name), allows=allows)
        elif name != self._own:
            # An included name without a policy breaks the whole evaluation (RFC 7208 section 5.2).
            self.cost.broken = self.cost.broken or name


def _term(text: str) -> Term:
    name, mark, value = _split(text)
    if mark == "=":
        return Term(name.lower(), value, text)  # unknown modifiers are ignored, section 6
    qualifier = name[:1] if name[:1] in "+-~?" else "+"
    name = name.lstrip("+-~?").lower()
    if name not in _MECHANISMS or (name in {"include", "exists", "ip4", "ip6"} and not value):
        raise ValueError(text)
    if name in {"ip4", "ip6"}:
        _check_network(name, value, text)
    return Term(name, value, text, qualifier)


def _split(text: str) -> tuple[str, str, str]:
    for position, character in enumerate(text):
        if character in ":=/":
            # The slash belongs to the value: "a/24" has no domain and a prefix length.
            return text[:position], character, text[position + (character != "/") :]
    return text, "", ""


def _check_network(name: str, value: str, text: str) -> None:
    kind = ipaddress.IPv4Network if name == "ip4" else ipaddress.IPv6Network
    try:
        kind(value, strict=False)
    except ValueError as error:
        raise ValueError(text) from error
