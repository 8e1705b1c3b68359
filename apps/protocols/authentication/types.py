"""What the checks of a mail's origin come to, in the words of RFC 8601 (Authentication-Results)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """RFC 8601 section 2.7; `none`: there is nothing to check, or nothing to check it with."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105 - a word of the RFC
    FAIL = "fail"
    SOFTFAIL = "softfail"
    POLICY = "policy"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class Checked:
    """One verdict: about which domain, and why in words."""

    verdict: Verdict = Verdict.NONE
    domain: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Signature(Checked):
    """The verdict about one DKIM signature."""

    selector: str = ""


@dataclass(frozen=True, slots=True)
class Authentication:
    """All of it. `signatures` in the order of the header; `dkim` is the best of them."""

    spf: Checked = Checked()
    dkim: Checked = Checked()
    dmarc: Checked = Checked()
    policy: str = ""  # what the DMARC record asks for: none, quarantine, reject
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """How the mail came, and whom to ask. Where no address is known there is no SPF."""

    client_address: str = ""
    helo: str = ""
    mail_from: str = ""
    dns_servers: str = ""
