"""Judges the SPF record of a sender's domain (RFC 7208)."""

from collections.abc import Sequence

from apps.protocols.dns import Answer
from apps.protocols.doctor.findings import CheckResult, Diagnosis, Look, is_quoted, right, wrong
from apps.protocols.doctor.misplaced import absent
from apps.protocols.doctor.spf_policy import (
    ENOUGH_LOOKUPS,
    MAX_LOOKUPS,
    MAX_VOIDS,
    Cost,
    Term,
    cost_of,
    evaluated,
    joined,
    policies_among,
    terms_of,
)
from apps.protocols.sender_records import ExpectedRecord


def judge_spf(record: ExpectedRecord, domain: str, answer: Answer[str], look: Look) -> CheckResult:
    """Whether receivers can read the policy, and whether it lets this platform's servers send."""
    # A domain's own name carries TXT records of many kinds; only these are ours to see (RFC 7208 section 4.5).
    policies = policies_among(answer.values)
    if not policies:
        return _none(record, domain, answer, look)
    diagnosis, explanation = _fault(record, domain, policies, look)
    if diagnosis is Diagnosis.RIGHT:
        return right(answer, policies)
    return wrong(answer, policies, diagnosis, explanation)


def _none(record: ExpectedRecord, domain: str, answer: Answer[str], look: Look) -> CheckResult:
    pasted = [value for value in answer.values if "v=spf1" in value.lower()[:10] and is_quoted(value)]
    if pasted:
        explanation = f"Quotation marks have become part of the SPF record. Replace its value by: {record.value}"
        return wrong(answer, pasted, Diagnosis.QUOTES, explanation)
    broken = [value for value in answer.broken if "v=spf1" in value.lower()]
    if broken:
        explanation = f"The SPF record holds a line break or another control character. Write it as: {record.value}"
        return wrong(answer, broken, Diagnosis.FORBIDDEN_CHARACTERS, explanation)
    return absent(record, domain, answer, look)


def _fault(record: ExpectedRecord, domain: str, policies: tuple[str, ...], look: Look) -> tuple[Diagnosis, str]:
    include = record.value.split(" ")[1]
    if len(policies) > 1:
        # A permanent error for every receiver, RFC 7208 section 4.5.
        text = f"{domain} has {len(policies)} SPF records, and receivers then take none of them."
        return Diagnosis.SEVERAL_RECORDS, f"{text} Join them into one: {joined(policies, include)}"
    try:
        terms = terms_of(policies[0])
    except ValueError as error:
        text = f"Receivers cannot read the SPF record because of {str(error)[:100]!r}."
        return Diagnosis.SYNTAX, f"{text} Correct or remove that part."
    if fault := _open_to_all(domain, terms):
        return fault
    own = include.removeprefix("include:").lower()
    cost = cost_of(domain, terms, look, own=own)
    return _not_included(policies, terms, cost, include) or _too_costly(cost) or (Diagnosis.RIGHT, "")


def _open_to_all(domain: str, terms: Sequence[Term]) -> tuple[Diagnosis, str] | None:
    last = [term for term in evaluated(terms) if term.name == "all"]
    if not last or last[0].qualifier != "+":
        return None
    text = f"The SPF record ends in {last[0].text!r}, which lets every server of the world send as {domain}."
    return Diagnosis.SPF_ALLOWS_ALL, f"{text} Write ~all in its place."


def _not_included(
    policies: tuple[str, ...], terms: Sequence[Term], cost: Cost, include: str
) -> tuple[Diagnosis, str] | None:
    own = include.removeprefix("include:").lower()
    if own in cost.includes:
        return None
    mend = f"Change it to: {joined(policies, include)}"
    if any(term.domain == own and term.name in {"include", "redirect"} for term in terms):
        return Diagnosis.SPF_BEHIND_ALL, f'{include} stands behind "all", where receivers no longer read. {mend}'
    return Diagnosis.SPF_NOT_INCLUDED, f"The SPF record does not let this platform send. {mend}"


def _too_costly(cost: Cost) -> tuple[Diagnosis, str] | None:
    if cost.loop:
        text = f"The SPF record includes itself by way of {cost.loop}, so receivers give up."
        return Diagnosis.SPF_LOOP, f"{text} Remove one of the includes of the circle."
    if cost.lookups > MAX_LOOKUPS:
        parts = ", ".join(f"{term} {count}" for term, count in cost.by_term.items())
        number = f"{cost.lookups} or more" if cost.lookups >= ENOUGH_LOOKUPS else cost.lookups
        text = f"The SPF record needs {number} DNS look-ups and receivers stop at {MAX_LOOKUPS}: {parts}."
        return Diagnosis.SPF_TOO_MANY_LOOKUPS, f"{text} Remove what no longer sends for you."
    if cost.broken:
        return _broken(cost)
    if len(cost.voids) > MAX_VOIDS:
        text = f"The SPF record names {len(cost.voids)} hosts that do not exist, and receivers stop after {MAX_VOIDS}:"
        return Diagnosis.SPF_VOID_LOOKUPS, f"{text} {', '.join(cost.voids)}. Remove them."
    return None


def _broken(cost: Cost) -> tuple[Diagnosis, str]:
    text = f"The SPF record includes {cost.broken}, which has no SPF record or several, so receivers take none of it."
    return Diagnosis.SPF_BROKEN_INCLUDE, f"{text} Remove that include, or ask whoever runs {cost.broken}."
