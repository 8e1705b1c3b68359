"""Complaints: RFC 5965 feedback reports, and Hotmail's JMRP, which sends the bare message."""

from __future__ import annotations

from apps.protocols.reports.addresses import bare
from apps.protocols.reports.parts import Fields, Mail, Part, every, first, read_fields
from apps.protocols.reports.types import LIMITS, MAX_RECIPIENTS, MAX_STATUS_OCTETS, MAX_VALUE, Complaint

_TYPE = "message/feedback-report"
# Hotmail names the complainant in a header of the copy it sends, and nothing else says that it is a complaint.
_JMRP_RECIPIENT = "x-hmxmroriginalrecipient"
_JMRP_SENDERS = ("staff@hotmail.com", "staff@outlook.com")


def read_complaint(mail: Mail, original: Fields) -> Complaint | None:
    """The complaint that a message makes, or None when it makes none."""
    for part in mail.parts:
        if part.type == _TYPE:
            return _from_fields(_fields_of(part))
    return _jmrp(mail, original)


def _fields_of(part: Part) -> Fields:
    lines = part.content(MAX_STATUS_OCTETS).replace(b"\r\n", b"\n").split(b"\n")
    start = 0
    while start < len(lines) and not lines[start].strip():
        start += 1
    return read_fields(lines, start, LIMITS)[0]


def _from_fields(fields: Fields) -> Complaint:
    def one(*names: str) -> str:
        return next((value[:MAX_VALUE] for name in names if (value := first(fields, name))), "")

    def all_of(name: str) -> tuple[str, ...]:
        return tuple(value[:MAX_VALUE] for value in every(fields, name)[:MAX_RECIPIENTS])

    return Complaint(
        feedback_type=one("feedback-type").lower(),
        user_agent=one("user-agent"),
        version=one("version"),
        source_ip=one("source-ip"),
        original_mail_from=bare(one("original-mail-from")),
        original_rcpt_to=tuple(map(bare, all_of("original-rcpt-to"))),
        removal_recipient=tuple(map(bare, all_of("removal-recipient"))),
        reported_domain=all_of("reported-domain"),
        # RFC 5965 section 3.2 has both names for the same.
        arrival_date=one("arrival-date", "received-date"),
        reporting_mta=one("reporting-mta"),
        auth_failure=one("auth-failure").lower(),
        fields=tuple(sorted({name for name, _ in fields})),
    )


def _jmrp(mail: Mail, original: Fields) -> Complaint | None:
    sender = first(mail.fields, "from").lower()
    recipient = first(original, _JMRP_RECIPIENT) or first(mail.fields, _JMRP_RECIPIENT)
    if not recipient and not (
        any(known in sender for known in _JMRP_SENDERS) and "complaint" in first(mail.fields, "subject").lower()
    ):
        return None
    return Complaint(
        feedback_type="abuse",
        source_ip=first(original, "x-originating-ip").strip("[]"),
        original_rcpt_to=(bare(recipient),) if recipient else (),
    )
