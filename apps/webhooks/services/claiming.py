"""Takes endpoints whose time has come, so that one sender at a time talks to each, and gives them back.

The claim is on the endpoint and not on its deliveries: an endpoint with 10,000 of them costs one row, and its pace
holds across all senders. Who dies in between loses it when the lease runs out, and another sends again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from apps.core import clock
from apps.core.crypto import SealBroken, unseal
from apps.events.models import Event
from apps.webhooks.models import Endpoint
from apps.webhooks.payload import body_of
from apps.webhooks.services.endpoints import bound_to
from apps.webhooks.services.pace import open_deliveries, plan
from apps.webhooks.states import Status

# Longer than the longest round of a sender, which is the round's own time and the deadline of its last request.
LEASE = timedelta(seconds=20)
SEALED_TOO_WELL = "Its secret cannot be opened here; the operator of this server has to look at FIELD_KEYS."
HELD_FOR = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Claim:
    """An endpoint that this sender has."""

    endpoint_id: UUID
    lease_id: UUID
    url: str
    secret: str
    strikes: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """One delivery as it was when it was loaded."""

    delivery_id: UUID
    event: Event
    body: bytes
    attempt_count: int
    next_attempt_at: datetime


def claim(lease_id: UUID, room: int) -> list[Claim]:
    """Up to so many endpoints that are due and nobody has, the most overdue first."""
    now = clock.database_now()
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    due = Endpoint.objects.across_workspaces().filter(free, due_at__lte=now, status=Status.ACTIVE)
    # Without this question every look would take SQLite's one lock for writing.
    if not due.exists():
        return []
    with transaction.atomic():
        rows = list(due.order_by("due_at").select_for_update(no_key=True, skip_locked=True)[:room])
        usable = [(row, secret) for row in rows if (secret := _secret(row, now)) is not None]
        ids = [row.pk for row, _ in usable]
        mine = Endpoint.objects.across_workspaces().filter(pk__in=ids)
        mine.update(lease_id=lease_id, lease_until=now + LEASE)
    return [Claim(row.pk, lease_id, row.url, secret, row.strikes) for row, secret in usable]


def next_batch(endpoint_id: UUID, size: int) -> Sequence[Parcel]:
    """What is due for an endpoint, the oldest due time first."""
    rows = open_deliveries(endpoint_id).filter(next_attempt_at__lte=clock.database_now())
    return [
        Parcel(
            row.pk,
            row.event,
            bytes(row.body) if row.body else body_of(row.event),
            row.attempt_count,
            row.next_attempt_at,  # type: ignore[arg-type]  # the filter leaves out those without
        )
        for row in rows.select_related("event").order_by("next_attempt_at", "pk")[:size]
    ]


def release(claim: Claim) -> None:
    """Gives an endpoint back, due when its next delivery is."""
    with transaction.atomic():
        mine = Endpoint.objects.across_workspaces().filter(pk=claim.endpoint_id, lease_id=claim.lease_id)
        row: Endpoint | None = mine.select_for_update(no_key=True).first()
        if row is None:
            return
        plan(row)
        row.lease_id = row.lease_until = None
        row.save(update_fields=["due_at", "lease_id", "lease_until"])


def _secret(row: Endpoint, now: datetime) -> str | None:
    """None where it does not open: the endpoint then waits for the operator, and nothing counts against it."""
    try:
        return unseal(row.secret_sealed, bound_to=bound_to(row))
    except SealBroken:
        row.paused_until = row.due_at = now + HELD_FOR
        row.last_error = SEALED_TOO_WELL
        row.save(update_fields=["paused_until", "due_at", "last_error"])
        return None
