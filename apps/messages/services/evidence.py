"""Bounces, and the suppressions for which they or a complaint are the evidence; written with the outcome they prove."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count

from apps.core.ids import first_id_at, new_id
from apps.core.rows import insert
from apps.messages.models import Bounce, Recipient
from apps.messages.states import BounceSource, BounceType
from apps.suppressions import services as suppressions
from apps.suppressions.models import Reason, Source

# An address that refuses so many different messages within so long is not tried again, although each refusal by
# itself may pass: a full mailbox that nobody empties.
SOFT_LIMIT, SOFT_WINDOW = 3, timedelta(days=14)
# Longer than any mail waits between being accepted and bouncing; only a bound for a search by id.
LONGEST_WAY = timedelta(days=40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known against one recipient: a bounce, a reason to suppress the address, or both."""

    workspace_id: UUID
    message_id: UUID
    recipient_id: UUID
    email: str
    bounce: BounceType | None = None
    suppress: Reason | None = None
    source: BounceSource
    smtp_code: int | None = None
    enhanced_code: str = ""
    diagnostic: str = ""
    occurred_at: datetime


def keep(evidence: Sequence[Evidence], now: datetime) -> None:
    """Writes bounces and suppressions in the caller's transaction; one that is not new changes nothing."""
    bounces = [_bounce_row(item, item.bounce, now) for item in evidence if item.bounce is not None]
    bounce_of = {row["recipient_id"]: row["id"] for row in bounces}
    new = [_suppression(item, item.suppress, bounce_of.get(item.recipient_id)) for item in evidence if item.suppress]
    soft = [row for row in bounces if row["type"] == BounceType.SOFT.value]
    if soft:
        new += _repeated(soft, now)
    if new:
        suppressions.add(new, at=now)
        _link(bounces, new)
    if bounces:
        insert(Bounce, bounces)


def _bounce_row(item: Evidence, kind: BounceType, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "workspace_id": item.workspace_id,
        "message_id": item.message_id,
        "recipient_id": item.recipient_id,
        "email": item.email,
        "type": kind.value,
        "source": item.source.value,
        "smtp_code": item.smtp_code,
        "enhanced_code": item.enhanced_code,
        "diagnostic": item.diagnostic,
        "suppression_id": None,
        "occurred_at": item.occurred_at,
        "created_at": now,
    }


def _suppression(item: Evidence, reason: Reason, bounce_id: UUID | None) -> suppressions.NewSuppression:
    is_complaint = reason is Reason.COMPLAINT
    return suppressions.NewSuppression(
        workspace_id=item.workspace_id,
        email=item.email,
        reason=reason,
        source=Source.COMPLAINT_PROCESSOR if is_complaint else Source.BOUNCE_PROCESSOR,
        message_id=item.message_id,
        bounce_id=bounce_id,
    )


def _repeated(soft: Sequence[Mapping[str, Any]], now: datetime) -> list[suppressions.NewSuppression]:
    """The addresses that have bounced softly too often, these bounces among them."""
    earlier = _earlier({(row["workspace_id"], row["email"]) for row in soft}, now)
    return [
        suppressions.NewSuppression(
            workspace_id=row["workspace_id"],
            email=row["email"],
            reason=Reason.REPEATED_SOFT_BOUNCE,
            source=Source.BOUNCE_PROCESSOR,
            message_id=row["message_id"],
            bounce_id=row["id"],
        )
        for row in soft
        if earlier.get((row["workspace_id"], row["email"]), 0) + 1 >= SOFT_LIMIT
    ]


def _earlier(addresses: Collection[tuple[UUID, str]], now: datetime) -> dict[tuple[UUID, str], int]:
    """Of how many messages each address has refused one softly before; by the index of recipients."""
    workspaces, emails = {workspace for workspace, _ in addresses}, {email for _, email in addresses}
    recent = Recipient.objects.across_workspaces().filter(
        workspace_id__in=workspaces, email__in=emails, pk__gt=first_id_at(now - SOFT_WINDOW - LONGEST_WAY)
    )
    bounces = Bounce.objects.across_workspaces().filter(
        recipient__in=recent, type=BounceType.SOFT, created_at__gt=now - SOFT_WINDOW
    )
    counted = bounces.values("workspace_id", "email").annotate(messages=Count("message_id", distinct=True))
    return {(row["workspace_id"], row["email"]): row["messages"] for row in counted}


def _link(bounces: Sequence[dict[str, Any]], new: Sequence[suppressions.NewSuppression]) -> None:
    """Names in each bounce the suppression that holds now, whoever made it."""
    ids = suppressions.ids_of([(suppression.workspace_id, suppression.email) for suppression in new])
    for bounce in bounces:
        bounce["suppression_id"] = ids.get((bounce["workspace_id"], bounce["email"]))
