"""The DNS records that a sender's domain must publish; `doctor` looks whether they are there.

SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 9989) and the return path's alias.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

RETURN_PATH_LABEL = "bounces"


class Purpose(StrEnum):
    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"
    RETURN_PATH = "return_path"


class RecordType(StrEnum):
    TXT = "TXT"
    CNAME = "CNAME"


class CheckStatus(StrEnum):
    MISSING = "missing"
    PENDING = "pending"
    VERIFIED = "verified"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Platform:
    """The names of this installation that a customer's records point at."""

    spf_include: str
    return_path_host: str
    dmarc_required: bool = False


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key to publish: `record` is the whole TXT value."""

    selector: str
    record: str


@dataclass(frozen=True, slots=True)
class ExpectedRecord:
    """One record to publish; `name` is the full name, without a final dot."""

    purpose: Purpose
    type: RecordType
    name: str
    value: str
    required: bool


def expected(domain: str, platform: Platform, keys: Sequence[PublicKey]) -> tuple[ExpectedRecord, ...]:
    """The records of a domain, in the order in which they are shown; only the first key is required."""
    txt, cname = RecordType.TXT, RecordType.CNAME
    spf = f"v=spf1 include:{platform.spf_include} ~all"
    alias = f"{RETURN_PATH_LABEL}.{domain}"
    return (
        ExpectedRecord(Purpose.SPF, txt, domain, spf, required=True),
        *(expected_key(domain, key, required=position == 0) for position, key in enumerate(keys)),
        ExpectedRecord(Purpose.DMARC, txt, f"_dmarc.{domain}", "v=DMARC1; p=none;", required=platform.dmarc_required),
        ExpectedRecord(Purpose.RETURN_PATH, cname, alias, platform.return_path_host, required=True),
    )


def expected_key(domain: str, key: PublicKey, *, required: bool) -> ExpectedRecord:
    """Where a key's public half is published (RFC 6376 section 3.6.2.1)."""
    name = f"{key.selector}._domainkey.{domain}"
    return ExpectedRecord(Purpose.DKIM, RecordType.TXT, name, key.record, required=required)
