"""Judges a domain's DMARC policy, its own or the one that it inherits (RFC 9989, which replaced RFC 7489)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from publicsuffixlist import PublicSuffixList

from apps.protocols.dns import Answer, Outcome
from apps.protocols.doctor.findings import CheckResult, Diagnosis, Look, is_quoted, no_answer, right, wrong
from apps.protocols.doctor.misplaced import absent
from apps.protocols.sender_records import CheckStatus, ExpectedRecord

_POLICIES = frozenset({"none", "quarantine", "reject"})
_VERSION = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)")
# Names with more labels are looked up from the seventh on (RFC 9989 section 4.10).
LONGEST_WALK = 7


@dataclass(frozen=True, slots=True)
class Inherited:
    """The policy that holds for a domain without one of its own."""

    domain: str
    record: str
    policy: str
    answer: Answer[str]


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for a domain's mail; without tags where the look-up failed."""

    status: Outcome
    wanted: str = ""
    tags: dict[str, str] = field(default_factory=dict)


def policy_for(domain: str, look: Look) -> Policy | None:
    """The policy that a receiver follows for mail from this domain; None: there is none."""
    answer = look.txt(f"_dmarc.{domain}")
    if answer.status is Outcome.FAILED:
        return Policy(Outcome.FAILED)
    own = _policies(answer.values)
    if len(own) == 1 and (wanted := _policy(own[0], "p")):
        return Policy(Outcome.FOUND, wanted, own[0])
    inherited = find_inherited(domain, look)
    if isinstance(inherited, Answer):
        return Policy(Outcome.FAILED)
    return Policy(Outcome.FOUND, inherited.policy, _tags(inherited.record)) if inherited else None


def judge_dmarc(record: ExpectedRecord, domain: str, answer: Answer[str], look: Look) -> CheckResult:
    """Whether receivers find one policy that they can read; texts that are none are as if they were not there."""
    policies = _policies(answer.values)
    if len(policies) > 1:
        # As if there were none, RFC 9989 section 4.10.1.
        text = f"There are {len(policies)} DMARC records at {record.name}, and receivers then take none of them."
        return wrong(answer, answer.values, Diagnosis.SEVERAL_RECORDS, f"{text} Keep one.")
    if not policies:
        diagnosis, text = _no_policy(record, answer.values)
        inherited = find_inherited(domain, look) if diagnosis is Diagnosis.SYNTAX else None
        return (
            _holds(domain, inherited)
            if isinstance(inherited, Inherited)
            else wrong(answer, answer.values, diagnosis, text)
        )
    if not _policy(policies[0], "p"):
        said = f"p={policies[0]['p']}" if "p" in policies[0] else "no p="
        text = f"The DMARC record says {said}; it must be p=none, p=quarantine or p=reject."
        return wrong(answer, answer.values, Diagnosis.DMARC_NO_POLICY, text)
    return right(answer, answer.values)


def judge_no_dmarc(record: ExpectedRecord, domain: str, answer: Answer[str], look: Look) -> CheckResult:
    """No record of its own: the organisational domain's policy holds, where there is one."""
    inherited = find_inherited(domain, look)
    if isinstance(inherited, Answer):
        return no_answer(inherited)
    return _holds(domain, inherited) if inherited is not None else absent(record, domain, answer, look)


def _holds(domain: str, inherited: Inherited) -> CheckResult:
    text = f"{domain} needs none of its own: the record of {inherited.domain} holds for it (policy {inherited.policy})."
    found = (inherited.record,)
    return CheckResult(CheckStatus.VERIFIED, Diagnosis.DMARC_INHERITED, found, text, inherited.answer.ttl)


def find_inherited(domain: str, look: Look) -> Inherited | Answer[str] | None:
    """Walks up the tree to the organisational domain (RFC 9989 section 4.10); a failed look-up comes back as it is.

    `psd=n` ends the walk; of several records the highest is the organisation's, unless it says `psd=y`. Without
    that word a record at a public suffix is nobody's policy, whatever stands there by mistake.
    """
    best: Inherited | None = None
    for name in _walk(domain):
        answer = look.txt(f"_dmarc.{name}")
        if answer.status is Outcome.FAILED:
            return answer
        policies = _policies(answer.values)
        if len(policies) != 1:
            continue
        tags = policies[0]
        policy = _policy(tags, "sp") or _policy(tags, "p")
        if not policy:
            continue  # receivers can do nothing with it
        is_suffix_policy = tags.get("psd", "").lower() == "y"
        if public_suffixes().is_public(name) and not is_suffix_policy:
            continue
        if not (best and is_suffix_policy):
            best = Inherited(name, _text_of(answer.values), policy, answer)
        if tags.get("psd", "").lower() in {"n", "y"}:
            break
    return best


@cache
def public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _walk(domain: str) -> Iterator[str]:
    labels = domain.split(".")[1:]
    for start in range(max(0, len(labels) - LONGEST_WALK), len(labels)):
        yield ".".join(labels[start:])


def _policies(values: Sequence[str]) -> list[dict[str, str]]:
    """The records that begin with the version; others are discarded (RFC 9989 section 4.10.1)."""
    return [_tags(value) for value in values if _VERSION.match(value)]


def _tags(value: str) -> dict[str, str]:
    """The tags that can be read; what cannot is left out alone, unlike in a DKIM key (RFC 9989, 4.7)."""
    parts = [part.partition("=") for part in value.split(";")]
    tags: dict[str, str] = {}
    for name, equals, content in parts:
        if equals:
            tags.setdefault(name.strip(" \t").lower(), content.strip(" \t"))
    return tags


def _policy(tags: dict[str, str], name: str) -> str:
    """The policy of a tag, or nothing. Reports that are asked for without one mean "none" (RFC 9989 section 4.10.1)."""
    found = tags.get(name, "").lower()
    if found in _POLICIES:
        return found
    return "none" if name == "p" and tags.get("rua", "").lower().startswith("mailto:") else ""


def _text_of(values: Sequence[str]) -> str:
    return next(value for value in values if _policies([value]))


def _no_policy(record: ExpectedRecord, values: Sequence[str]) -> tuple[Diagnosis, str]:
    if any(is_quoted(value) for value in values):
        text = "Quotation marks or backslashes have become part of the value."
        return Diagnosis.QUOTES, f"{text} Replace it by: {record.value}"
    for tags in map(_tags, values):
        if tags.get("v") == "DMARC1":
            first = next(iter(tags))
            text = f"The DMARC record begins with {first}=; receivers only read records that begin with v=DMARC1."
            return Diagnosis.DMARC_VERSION_NOT_FIRST, f"{text} Move v=DMARC1 to the front."
    return Diagnosis.SYNTAX, f"The TXT record at {record.name} is no DMARC record. Replace its value by: {record.value}"
