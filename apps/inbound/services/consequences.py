"""What follows for a recipient from what a report says; decides only, writes nothing."""

from datetime import datetime
from typing import Any
from uuid import UUID

from apps.events.types import EventType
from apps.inbound.services.matching import About
from apps.messages.models import Recipient
from apps.messages.services.reported import Finding
from apps.messages.soft_bounces import REPEATED
from apps.messages.states import BounceSource, BounceType
from apps.protocols.reports.types import Action, Disposition, Kind, Report, ReportedRecipient
from apps.suppressions.models import Reason

# RFC 5965 section 7.3 and what others add: that the recipient wanted the mail, or that it is about our own set-up.
# Nobody is suppressed for these.
_NO_COMPLAINT = frozenset({"not-spam", "auth-failure", "dmarc", "virus"})
_OPT_OUT = "opt-out"
_SAID_NOTHING = "The report does not say why."


def finding(about: About, report: Report, source: BounceSource, *, report_id: UUID, at: datetime) -> Finding | None:
    """What becomes of this recipient, or None where the report is no reason to do anything."""
    if report.complaint is not None:
        return _complaint(about.recipient, report.complaint.feedback_type, report_id=report_id, at=at)
    said = about.said
    if said is None and report.kind is not Kind.BOUNCE:
        return None
    if said is None or said.action is Action.FAILED and said.disposition is not Disposition.TEMPORARY:
        return _bounce(about.recipient, said, source, report_id=report_id, at=at)
    event = EventType.DELIVERY_DELAYED if said.action is Action.DELAYED else EventType.DELIVERY_DELIVERED
    return Finding(
        **_same(about.recipient, source, report_id, at),
        event=event if said.action is not Action.FAILED else EventType.DELIVERY_DELAYED,
        smtp_code=said.code,
        enhanced_code=_code(said),
        diagnostic=said.diagnostic,
        details={"action": said.action.value},
    )


def _bounce(
    recipient: Recipient, said: ReportedRecipient | None, source: BounceSource, *, report_id: UUID, at: datetime
) -> Finding:
    return Finding(
        **_same(recipient, source, report_id, at),
        event=EventType.MESSAGE_BOUNCED,
        bounce=_type(said) if said else BounceType.UNKNOWN,
        suppress=Reason.HARD_BOUNCE if said and said.suppress else None,
        smtp_code=said.code if said else None,
        enhanced_code=_code(said) if said else "",
        diagnostic=(said.diagnostic if said else "") or _SAID_NOTHING,
        rule=said.reason if said else "",
        details={"fault": said.fault or None} if said else {},
    )


def _type(said: ReportedRecipient) -> BounceType:
    """A full mailbox is soft whatever its code says, as it is where a server tells us so itself."""
    return BounceType.SOFT if said.reason in REPEATED.rules else BounceType(said.permanence.value)


def _complaint(recipient: Recipient, feedback_type: str, *, report_id: UUID, at: datetime) -> Finding | None:
    kind = feedback_type.lower() or "abuse"
    if kind in _NO_COMPLAINT:
        return None
    return Finding(
        **_same(recipient, BounceSource.DSN, report_id, at),
        event=EventType.MESSAGE_COMPLAINED,
        suppress=Reason.UNSUBSCRIBE if kind == _OPT_OUT else Reason.COMPLAINT,
        details={"feedbackType": kind},
    )


def _same(recipient: Recipient, source: BounceSource, report_id: UUID, at: datetime) -> dict[str, Any]:
    return {
        "workspace_id": recipient.workspace_id,
        "message_id": recipient.message_id,
        "recipient_id": recipient.pk,
        "email": recipient.email,
        "source": source,
        "occurred_at": at,
        "report_id": report_id,
    }


def _code(said: ReportedRecipient) -> str:
    return (said.status or "")[:12]
