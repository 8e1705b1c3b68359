"""The side door of outcomes: what reports say of mail that was handed over, long after its delivery was recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.core import clock
from apps.core.ids import new_id
from apps.core.rows import update
from apps.events.services import NewEvent
from apps.events.services import record as record_events
from apps.events.types import EventType, ResourceType
from apps.messages.models import Recipient
from apps.messages.services.outcomes import lock_messages, roll_up, store_bounces
from apps.messages.states import BounceSource, BounceType, Status
from apps.protocols.address import comparison_key
from apps.suppressions.models import Reason, Source
from apps.suppressions.services import NewSuppression


@dataclass(frozen=True, slots=True)
class Finding:
    """What a report says of one recipient. With a `bounce` it takes back that the message was sent."""

    workspace_id: UUID
    message_id: UUID
    recipient_id: UUID
    email: str
    report_id: UUID
    event: EventType
    source: BounceSource
    occurred_at: datetime
    bounce: BounceType | None = None
    suppress: Reason | None = None
    smtp_code: int | None = None
    enhanced_code: str = ""
    diagnostic: str = ""
    # Which rule read it (apps.protocols.reply), and what else the event tells.
    rule: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def record(findings: Sequence[Finding]) -> set[UUID]:
    """Writes findings, of each recipient one, in the caller's transaction or in its own.

    Returns the recipients that they have ended: those that were `sent`. Others have no other end; what is said of them
    is told where it is no bounce, and may suppress the address all the same.
    """
    with transaction.atomic():
        messages = lock_messages({finding.message_id for finding in findings})
        now = clock.database_now()
        rows = [_ended_row(finding, now) for finding in findings if finding.bounce is not None]
        ended = update(Recipient, rows, match=("id",), where=f"t.status = '{Status.SENT.value}'")
        bounced = [finding for finding in findings if finding.bounce is not None and finding.recipient_id in ended]
        for finding in bounced:
            messages[finding.message_id]["last_error"] = finding.diagnostic
        roll_up(messages, {finding.message_id for finding in bounced}, now)
        news = [finding for finding in findings if finding.bounce is None or finding.recipient_id in ended]
        record_events([_event(finding) for finding in news], at=now)
        _store(findings, bounced, now)
    return ended


def _ended_row(finding: Finding, now: datetime) -> dict[str, Any]:
    status, error = Status.BOUNCED.value, finding.diagnostic
    return {"id": finding.recipient_id, "status": status, "last_error": error, "finished_at": now}


def _store(findings: Sequence[Finding], bounced: Sequence[Finding], now: datetime) -> None:
    bounces = [_bounce_row(finding, finding.bounce, now) for finding in bounced if finding.bounce is not None]
    bounce_of = {row["recipient_id"]: row["id"] for row in bounces}
    new = [
        _suppression(finding, finding.suppress, bounce_of.get(finding.recipient_id))
        for finding in findings
        if finding.suppress is not None
    ]
    if bounces or new:
        store_bounces(bounces, new, now)


def _bounce_row(finding: Finding, kind: BounceType, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "workspace_id": finding.workspace_id,
        "message_id": finding.message_id,
        "recipient_id": finding.recipient_id,
        "email": finding.email,
        "key": comparison_key(finding.email),
        "type": kind.value,
        "source": finding.source.value,
        "smtp_code": finding.smtp_code,
        "enhanced_code": finding.enhanced_code,
        "diagnostic": finding.diagnostic,
        "rule": finding.rule,
        "suppression_id": None,
        "occurred_at": finding.occurred_at,
        "created_at": now,
    }


def _suppression(finding: Finding, reason: Reason, bounce_id: UUID | None) -> NewSuppression:
    is_bounce = reason is Reason.HARD_BOUNCE
    return NewSuppression(
        workspace_id=finding.workspace_id,
        email=finding.email,
        reason=reason,
        source=Source.BOUNCE_PROCESSOR if is_bounce else Source.COMPLAINT_PROCESSOR,
        message_id=finding.message_id,
        bounce_id=bounce_id,
        metadata={"reportId": str(finding.report_id)},
    )


def _event(finding: Finding) -> NewEvent:
    data: dict[str, Any] = {
        "recipient": finding.email,
        "smtpCode": finding.smtp_code,
        "enhancedCode": finding.enhanced_code or None,
        "response": finding.diagnostic or None,
        "source": finding.source.value,
        "reportId": str(finding.report_id),
        "occurredAt": clock.wire_time(finding.occurred_at),
    }
    if finding.bounce is not None:
        data["bounceType"] = finding.bounce.value
    message = finding.message_id
    return NewEvent(
        finding.workspace_id, finding.event, ResourceType.MESSAGE, message, message, data | dict(finding.details)
    )
