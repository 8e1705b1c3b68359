"""Judges the alias of the return path, through which bounces find their way back."""

import secrets

from apps.protocols.dns import Answer, Outcome
from apps.protocols.doctor.findings import CheckResult, Diagnosis, Look, missing, right, wrong
from apps.protocols.doctor.misplaced import absent
from apps.protocols.sender_records import ExpectedRecord

# An alias may lead to another one, but not on and on.
MAX_ALIASES = 8


def judge_alias(record: ExpectedRecord, answer: Answer[str], look: Look) -> CheckResult:
    """Whether the alias leads to our host, by itself or through other aliases."""
    target = record.value.lower().removesuffix(".")
    reached = _follow(answer, target, look)
    if target in reached:
        return right(answer, answer.values)
    if any(name.startswith(f"{target}.") for name in reached):
        explanation = (
            f"The alias leads to {reached[-1]}: the zone editor has added the domain to the target. "
            f"Write the target with a dot at its end: {target}."
        )
        return wrong(answer, reached, Diagnosis.ALIAS_TARGET_DOUBLED, explanation)
    explanation = f"The alias leads to {reached[-1]}. Let it point to {target}."
    return wrong(answer, reached, Diagnosis.ALIAS_ELSEWHERE, explanation)


def judge_no_alias(record: ExpectedRecord, domain: str, answer: Answer[str], look: Look) -> CheckResult:
    """There is no CNAME: perhaps a TXT holds its value, or a proxy answers in its place."""
    target = record.value.lower()
    texts = [value for value in look.txt(record.name).values if target in value.lower()]
    if texts:
        explanation = (
            f"A TXT record holds the name {target}. Delete it and add a record of the type CNAME with that target."
        )
        return missing(answer, Diagnosis.NAME_MISPLACED, explanation, texts)
    addresses = look.addresses(record.name)
    if addresses.status is Outcome.FOUND and not addresses.aliases and not _is_wildcard(domain, addresses, look):
        explanation = (
            f"{record.name} answers with addresses instead of an alias. The DNS provider flattens or proxies the "
            f"CNAME: switch that off for this record (at Cloudflare: DNS only), so that it shows {target}."
        )
        return missing(answer, Diagnosis.ALIAS_FLATTENED, explanation, addresses.values)
    return absent(record, domain, answer, look)


def _is_wildcard(domain: str, addresses: Answer[str], look: Look) -> bool:
    """Whether any name below the domain has these addresses (RFC 4592), so that they say nothing about this one."""
    return look.addresses(f"{secrets.token_hex(6)}.{domain}").values == addresses.values


def _follow(answer: Answer[str], target: str, look: Look) -> tuple[str, ...]:
    """The names that the aliases lead to, one after the other, up to the wanted one or the last."""
    reached: list[str] = list(answer.values)
    while target not in reached and len(reached) < MAX_ALIASES:
        further = look.cname(reached[-1])
        if further.status is not Outcome.FOUND or further.values[0] in reached:
            break
        reached.append(further.values[0])
    return tuple(reached)
