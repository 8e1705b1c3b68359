"""All checks of one mail's origin, with one budget for everything that they ask the DNS."""

from __future__ import annotations

from collections.abc import Sequence

from apps.protocols.authentication.dkim import verify
from apps.protocols.authentication.dmarc import check_dmarc
from apps.protocols.authentication.spf import check_spf
from apps.protocols.authentication.types import Authentication, Checked, Origin, Signature, Verdict
from apps.protocols.dns import Budget, Resolver, parse_servers
from apps.protocols.letters.correspondents import correspondents
from apps.protocols.reports.parts import every, read_fields
from apps.protocols.reports.types import Limits, TooMuchError

MAX_QUESTIONS, MAX_SECONDS = 60, 8.0
_HEADER = Limits(fields=20_000, field_octets=1024 * 1024)
_WORTH = (Verdict.PASS, Verdict.FAIL, Verdict.POLICY, Verdict.TEMPERROR, Verdict.PERMERROR, Verdict.NONE)


def authenticate(raw: bytes, origin: Origin) -> Authentication:
    """What SPF, DKIM and DMARC say. Never raises; where the DNS is silent the verdict is `temperror`."""
    budget = Budget(questions=MAX_QUESTIONS, seconds=MAX_SECONDS)
    look = Resolver(parse_servers(origin.dns_servers), budget=budget)
    spf = check_spf(origin.client_address, origin.mail_from, origin.helo, look)
    signatures = verify(raw, look)
    dmarc, policy = check_dmarc(_authors(raw), spf, signatures, look)
    return Authentication(spf, _best(signatures), dmarc, policy, signatures)


def _authors(raw: bytes) -> Sequence[str]:
    head = raw[: 2 * 1024 * 1024].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    try:
        fields, _ = read_fields(head.split(b"\n"), 0, _HEADER)
    except TooMuchError:
        return ()
    return [one.email for value in every(fields, "from")[:3] for one in correspondents(value)]


def _best(signatures: Sequence[Signature]) -> Checked:
    ranked = sorted(signatures, key=lambda signature: _WORTH.index(signature.verdict))
    if not ranked:
        return Checked(reason="It has no DKIM signature.")
    return Checked(ranked[0].verdict, ranked[0].domain, ranked[0].reason)
