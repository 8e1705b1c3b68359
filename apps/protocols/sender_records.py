"""The DNS records that a sender's domain must publish, and how what is found there is judged.

SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489) and the return path's alias. Deep look-ups are not followed.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from apps.protocols.dns import Answer, Outcome, Resolver

# What is shown and stored of an answer; a TXT record may hold 64 KiB.
MAX_SHOWN = 10
MAX_SHOWN_LENGTH = 1024

_POLICIES = frozenset({"none", "quarantine", "reject"})
_SPACE = re.compile(r"[ \t\r\n]+")
_TAG_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


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
    """The names of this installation that customers' records point at."""

    spf_include: str
    return_path_host: str
    return_path_label: str = "bounces"
    dmarc_required: bool = False


@dataclass(frozen=True, slots=True)
class ExpectedRecord:
    """One record to publish; `name` is the full name, without a final dot."""

    purpose: Purpose
    type: RecordType
    name: str
    value: str
    required: bool


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one record stands; undecided when the DNS failed, and then the earlier status stays."""

    purpose: Purpose
    status: CheckStatus
    found: tuple[str, ...] = ()
    reason: str = ""
    undecided: bool = False


def expected(domain: str, platform: Platform, *, selector: str, dkim_public: str) -> tuple[ExpectedRecord, ...]:
    """The records of a domain, in the order in which they are shown; `dkim_public` is the whole TXT value."""
    spf = f"v=spf1 include:{platform.spf_include} ~all"
    alias = f"{platform.return_path_label}.{domain}"
    txt, cname = RecordType.TXT, RecordType.CNAME
    return (
        ExpectedRecord(Purpose.SPF, txt, domain, spf, required=True),
        ExpectedRecord(Purpose.DKIM, txt, f"{selector}._domainkey.{domain}", dkim_public, required=True),
        ExpectedRecord(Purpose.DMARC, txt, f"_dmarc.{domain}", "v=DMARC1; p=none;", required=platform.dmarc_required),
        ExpectedRecord(Purpose.RETURN_PATH, cname, alias, platform.return_path_host, required=True),
    )


def check(record: ExpectedRecord, resolver: Resolver) -> CheckResult:
    """Look the record up and judge it."""
    look_up = resolver.cname if record.type is RecordType.CNAME else resolver.txt
    return judge(record, look_up(record.name))


def judge(record: ExpectedRecord, answer: Answer[str]) -> CheckResult:
    """What an answer says about a record. A failed look-up decides nothing (RFC 2308 section 7)."""
    if answer.status is Outcome.FAILED:
        return CheckResult(record.purpose, CheckStatus.PENDING, reason=answer.reason, undecided=True)
    if answer.status is Outcome.MISSING:
        return CheckResult(record.purpose, CheckStatus.MISSING, reason=answer.reason)
    if record.purpose is Purpose.SPF:
        return _judge_spf(record, answer.values)
    if record.purpose is Purpose.DKIM:
        return _verdict(record, answer.values, _dkim_fault(record, answer.values))
    if record.purpose is Purpose.DMARC:
        return _verdict(record, answer.values, _dmarc_fault(answer.values))
    return _verdict(record, answer.values, _alias_fault(record, answer.values))


def _verdict(record: ExpectedRecord, values: tuple[str, ...], fault: str) -> CheckResult:
    status = CheckStatus.FAILED if fault else CheckStatus.VERIFIED
    shown = tuple(value[:MAX_SHOWN_LENGTH] for value in values[:MAX_SHOWN])
    return CheckResult(record.purpose, status, found=shown, reason=fault)


def _judge_spf(record: ExpectedRecord, values: tuple[str, ...]) -> CheckResult:
    # A domain's own name carries TXT records of many kinds; only these are ours to see (RFC 7208 4.5).
    policies = tuple(value for value in values if _is_spf(value))
    if not policies:
        return CheckResult(record.purpose, CheckStatus.MISSING, reason="no SPF record among the TXT records")
    return _verdict(record, policies, _spf_fault(record, policies))


def _is_spf(value: str) -> bool:
    """RFC 7208 section 4.5: "v=spf1" and then a space or the end, so "v=spf10" is something else."""
    version, _, _ = value.partition(" ")
    return version.lower() == "v=spf1"


def _spf_fault(record: ExpectedRecord, policies: tuple[str, ...]) -> str:
    if len(policies) > 1:
        return "more than one SPF record"  # a permanent error for every receiver, RFC 7208 section 4.5
    (ours,) = _authorised(record.value)
    if ours not in _authorised(policies[0]):
        return f"the SPF record does not include {ours}"
    return ""


def _authorised(policy: str) -> frozenset[str]:
    """The domains whose servers this policy lets pass through `include` or `redirect`."""
    names: set[str] = set()
    redirect = ""
    for term in policy.lower().split(" ")[1:]:
        if term.lstrip("+-~?") == "all":
            # What follows is never looked at, and `redirect` neither (RFC 7208 sections 5.1 and 6.1).
            return frozenset(names)
        if term.startswith("redirect="):
            redirect = term.removeprefix("redirect=")
        elif term.removeprefix("+").startswith("include:"):
            names.add(_without_dot(term.removeprefix("+").removeprefix("include:")))
    return frozenset(names | ({_without_dot(redirect)} if redirect else set()))


def _dkim_fault(record: ExpectedRecord, values: tuple[str, ...]) -> str:
    if len(values) > 1:
        return "more than one TXT record at the DKIM name"  # undefined, RFC 6376 section 3.6.2.2
    tags = _tags(values[0])
    if tags is None or tags.get("v", "DKIM1") != "DKIM1" or "p" not in tags:
        return "not a DKIM key record"
    if not tags["p"]:
        return "the key is withdrawn (empty p=)"  # RFC 6376 section 3.6.1
    ours = _tags(record.value) or {}
    if _key(tags) != _key(ours):
        return "another key is published"
    return ""


def _key(tags: dict[str, str]) -> tuple[str, str]:
    # White space inside base64 means nothing (RFC 6376 section 3.2); no k= means RSA (section 3.6.1).
    return tags.get("k", "rsa"), _SPACE.sub("", tags.get("p", ""))


def _dmarc_fault(values: tuple[str, ...]) -> str:
    # Records that do not start with the version are discarded; two that do are as none (RFC 7489 6.6.3).
    policies = [tags for tags in map(_tags, values) if tags and next(iter(tags.items())) == ("v", "DMARC1")]
    if not policies:
        return "not a DMARC record"
    if len(policies) > 1:
        return "more than one DMARC record"
    if policies[0].get("p", "").lower() not in _POLICIES:
        return "the DMARC record has no valid policy (p=)"
    return ""


def _alias_fault(record: ExpectedRecord, values: tuple[str, ...]) -> str:
    targets = {_without_dot(value.lower()) for value in values}
    if targets != {_without_dot(record.value.lower())}:
        return "the alias points elsewhere"
    return ""


def _tags(value: str) -> dict[str, str] | None:
    """A tag list (RFC 6376 section 3.2); None when it is none, or names a tag twice."""
    tags: dict[str, str] = {}
    for item in value.rstrip("; \t").split(";"):
        name, equals, content = item.partition("=")
        name = name.strip(" \t")
        if not equals or not _TAG_NAME.fullmatch(name) or name in tags:
            return None
        tags[name] = content.strip(" \t")
    return tags


def _without_dot(name: str) -> str:
    return name.removesuffix(".")
