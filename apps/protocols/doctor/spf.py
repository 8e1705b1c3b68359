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
    is_open,
    joined,
    policies_among,
    terms_of,
)
from apps.protocols.sender_records import CheckStatus, ExpectedRecord

WRITE = "Write it as: {}"


def judge_spf(record: ExpectedRecord, domain: str, answer: Answer[str], look: Look) -> CheckResult:
    """Whether receivers can read the policy, and whether it lets this platform's servers send."""
    # A domain's own name carries TXT records of many kinds; only these are ours to see (RFC 7208 section 4.5).
    policies = policies_among(answer.values)
    if not policies:
        return _none(record, domain, answer, look)
    diagnosis, explanation = _fault(record, domain, policies, look)
    if diagnosis is Diagnosis.RIGHT:
        return right(answer, policies)
    if diagnosis in {Diagnosis.TIMED_OUT, Diagnosis.SERVER_FAILED}:
        return CheckResult(CheckStatus.PENDING, diagnosis, explanation=explanation)
    return wrong(answer, policies, diagnosis, explanation)


def _none(record: ExpectedRecord, domain: str, answer: Answer[str], look: Look) -> CheckResult:
    pasted = [value for value in answer.values if "v=spf1" in value.lower()[:10] and is_quoted(value)]
    if pasted:
        explanation = f"Quotation marks have become part of the SPF record. {WRITE.format(record.value)}"
        return wrong(answer, pasted, Diagnosis.QUOTES, explanation)
    broken = [value for value in answer.broken if "v=spf1" in value.lower()]
    if broken:
        explanation = f"The SPF record holds a line break or another control character. {WRITE.format(record.value)}"
        return wrong(answer, broken, Diagnosis.FORBIDDEN_CHARACTERS, explanation)
    return absent(record, domain, answer, look)


def _fault(record: ExpectedRecord, domain: str, policies: tuple[str, ...], look: Look) -> tuple[Diagnosis, str]:
    include = record.value.split(" ")[1]
    if len(policies) > 1:
        # A permanent error for every receiver, RFC 7208 section 4.5.
        text = f"{domain} has {len(policies)} SPF records, and receivers then take none of them."
        return Diagnosis.SEVERAL_RECORDS, f"{text} Join them into one: {joined(policies, include)}"
    if is_quoted(policies[0]):
        return Diagnosis.QUOTES, f"Quotation marks have become part of the SPF record. {WRITE.format(record.value)}"
    try:
        terms = terms_of(policies[0])
    except ValueError as error:
        text = f"Receivers cannot read the SPF record because of {str(error)[:100]!r}."
        return Diagnosis.SYNTAX, f"{text} Correct or remove that part."
    own = include.removeprefix("include:").lower()
    cost = cost_of(domain, terms, look, own=own)
    return (
        _open_to_all(domain, terms, cost)
        or _too_many_lookups(cost)
        or _not_included(policies, terms, cost, include)
        or _breaks_down(cost)
        or (Diagnosis.RIGHT, "")
    )


def _open_to_all(domain: str, terms: Sequence[Term], cost: Cost) -> tuple[Diagnosis, str] | None:
    last = next((term for term in evaluated(terms) if is_open(term)), None)
    if last is not None:
        text = f"The SPF record has {last.text!r}, which lets every server of the world send as {domain}."
        mend = "Write ~all in its place." if last.name == "all" else "Remove it."
        return Diagnosis.SPF_ALLOWS_ALL, f"{text} {mend}"
    if cost.open_by:
        text = f"The SPF record includes {cost.open_by}, whose policy lets every server of the world send as {domain}."
        return Diagnosis.SPF_ALLOWS_ALL, f"{text} Remove that include."
    return None


def _too_many_lookups(cost: Cost) -> tuple[Diagnosis, str] | None:
    if cost.lookups <= MAX_LOOKUPS:
        return None
    parts = ", ".join(f"{term} {count}" for term, count in cost.by_term.items())
    number = f"{cost.lookups} or more" if cost.lookups >= ENOUGH_LOOKUPS else cost.lookups
    text = f"The SPF record needs {number} DNS look-ups and receivers stop at {MAX_LOOKUPS}: {parts}."
    return Diagnosis.SPF_TOO_MANY_LOOKUPS, f"{text} Remove what no longer sends for you."


def _not_included(
    policies: tuple[str, ...], terms: Sequence[Term], cost: Cost, include: str
) -> tuple[Diagnosis, str] | None:
    own = include.removeprefix("include:").lower()
    if own in cost.includes:
        return None
    mend = f"Change it to: {joined(policies, include)}"
    heard = evaluated(terms)
    if any(term.domain == own and term not in heard for term in terms if term.name in {"include", "redirect"}):
        return Diagnosis.SPF_BEHIND_ALL, f'{include} stands behind "all", where receivers no longer read. {mend}'
    if cost.is_partial and own not in cost.refused:
        text = "A policy that the SPF record includes could not be looked up, so it cannot be told whether it lets this"
        return Diagnosis.SERVER_FAILED, f"{text} platform send. It is looked up again by itself."
    return Diagnosis.SPF_NOT_INCLUDED, f"The SPF record does not let this platform send. {mend}"


def _breaks_down(cost: Cost) -> tuple[Diagnosis, str] | None:
    if cost.loop:
        text = f"The SPF record includes itself by way of {cost.loop}, so receivers give up."
        return Diagnosis.SPF_LOOP, f"{text} Remove one of the includes of the circle."
    if cost.broken:
        return _broken(cost)
    if len(cost.voids) > MAX_VOIDS:
        text = f"The SPF record, or what it includes, names {len(cost.voids)} hosts of which the DNS knows nothing, and"
        return (
            Diagnosis.SPF_VOID_LOOKUPS,
            f"{text} receivers stop after {MAX_VOIDS}: {', '.join(cost.voids)}. Remove them.",
        )
    return None


def _broken(cost: Cost) -> tuple[Diagnosis, str]:
    text = (
        f"The SPF record includes {cost.broken}, which has no SPF record that can be read, so the whole does not count."
    )
    return Diagnosis.SPF_BROKEN_INCLUDE, f"{text} Remove that include, or ask whoever runs {cost.broken}."
