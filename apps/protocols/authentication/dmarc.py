"""Holds SPF and DKIM against the domain that the reader sees in From (RFC 9989)."""

from __future__ import annotations

from collections.abc import Sequence

from apps.protocols.address import AddressError, canonical_domain
from apps.protocols.authentication.types import Checked, Signature, Verdict
from apps.protocols.dns import Outcome
from apps.protocols.doctor.dmarc import policy_for, public_suffixes
from apps.protocols.doctor.findings import Look


def check_dmarc(
    authors: Sequence[str], spf: Checked, signatures: Sequence[Signature], look: Look
) -> tuple[Checked, str]:
    """The verdict, and the policy that the domain asks receivers to follow; `authors`: the addresses in From."""
    domains = {author.rpartition("@")[2].strip(" >.").lower() for author in authors}
    if len(domains) != 1:
        reason = "From names several domains." if domains else "There is no From."
        return Checked(Verdict.PERMERROR, reason=reason), ""
    try:
        domain = canonical_domain(domains.pop())
    except AddressError:
        return Checked(Verdict.PERMERROR, reason="From names no domain."), ""
    policy = policy_for(domain, look)
    if policy is None:
        return Checked(Verdict.NONE, domain, "The domain has no DMARC record."), ""
    if policy.status is Outcome.FAILED:
        return Checked(Verdict.TEMPERROR, domain, "The DMARC record could not be looked up."), ""
    if reason := _aligned(domain, policy.tags, spf, signatures):
        return Checked(Verdict.PASS, domain, reason), policy.wanted
    is_undecided = Verdict.TEMPERROR in {spf.verdict, *(signature.verdict for signature in signatures)}
    verdict = Verdict.TEMPERROR if is_undecided else Verdict.FAIL
    return Checked(verdict, domain, "Neither SPF nor DKIM vouches for the domain in From."), policy.wanted


def _aligned(domain: str, tags: dict[str, str], spf: Checked, signatures: Sequence[Signature]) -> str:
    """How the domain is vouched for, or nothing."""
    for signature in signatures:
        if signature.verdict is Verdict.PASS and _is_same(domain, signature.domain, tags.get("adkim", "r")):
            return f"DKIM by {signature.domain}"
    if spf.verdict is Verdict.PASS and _is_same(domain, spf.domain, tags.get("aspf", "r")):
        return f"SPF by {spf.domain}"
    return ""


def _is_same(domain: str, other: str, mode: str) -> bool:
    if mode.strip().lower() == "s":
        return domain == other
    return organisation(domain) == organisation(other)


def organisation(domain: str) -> str:
    """The name that somebody registered; the domain itself where it is a public suffix."""
    return public_suffixes().privatesuffix(domain) or domain
