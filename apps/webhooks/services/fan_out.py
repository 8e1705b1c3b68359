"""Finds who is to be told of new events. The mark on the event and the deliveries are one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from apps.core import clock
from apps.core.ids import new_id
from apps.core.rows import as_id, insert
from apps.events.models import Event
from apps.events.types import EventType
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.services.endpoints import EVERYTHING
from apps.webhooks.services.happenings import ABOUT_DELIVERIES
from apps.webhooks.states import DeliveryStatus, Status

# Events of one transaction. Where nobody listens they are only marked, which is one statement for all of them.
CHUNK = 2_000
# PostgreSQL lets several do this side by side; SQLite lets one process write at a time.
MARK = """
UPDATE events_event SET fanned_out_at = %s WHERE id IN (
    SELECT id FROM events_event WHERE fanned_out_at IS NULL ORDER BY id LIMIT %s {skip_locked})
RETURNING id, workspace_id, type
"""


class Found(NamedTuple):
    """What one look came to."""

    events: int
    deliveries: int


class _Event(NamedTuple):
    id: UUID
    workspace_id: UUID
    type: str


def fan_out(limit: int = CHUNK) -> Found:
    """Makes the deliveries of the oldest events that nobody has looked at, and marks them."""
    # Without this question every look would take SQLite's one lock for writing.
    if not Event.objects.across_workspaces().filter(fanned_out_at__isnull=True).exists():
        return Found(0, 0)
    now = clock.database_now()
    with transaction.atomic():
        events = _mark(limit, now)
        # Asked after the events were found: an endpoint that is older than an event is seen.
        endpoints = _listening({event.workspace_id for event in events})
        made = _deliver(events, endpoints, now) if endpoints else 0
    return Found(len(events), made)


def _mark(limit: int, now: datetime) -> list[_Event]:
    is_postgresql = connection.vendor == "postgresql"
    sql = MARK.format(skip_locked="FOR UPDATE SKIP LOCKED" if is_postgresql else "")
    with connection.cursor() as cursor:
        cursor.execute(sql, [connection.ops.adapt_datetimefield_value(now), limit])
        return [_Event(as_id(row[0]), as_id(row[1]), row[2]) for row in cursor.fetchall()]


def _listening(workspace_ids: set[UUID]) -> list[Endpoint]:
    """Locked in the order of their ids: no two of us wait for each other in a circle."""
    active = Endpoint.objects.across_workspaces().filter(workspace_id__in=workspace_ids, status=Status.ACTIVE)
    if not active.exists():
        return []
    return list(active.order_by("pk").select_for_update(no_key=True))


def _deliver(events: Sequence[_Event], endpoints: Sequence[Endpoint], now: datetime) -> int:
    described = _described(events)
    by_workspace: dict[UUID, list[_Event]] = {}
    for event in sorted(events):
        by_workspace.setdefault(event.workspace_id, []).append(event)
    rows: list[Mapping[str, Any]] = []
    for endpoint in endpoints:
        wanted = [e for e in by_workspace.get(endpoint.workspace_id, ()) if wants(endpoint, e.type)]
        fresh = [row_of(endpoint, e.id, e.type, now) for e in wanted if described.get(e.id) != str(endpoint.pk)]
        if fresh:
            make_due(endpoint, now)
            rows += fresh
    insert(Delivery, rows, or_ignore=True)  # a replay may have been faster
    return len(rows)


def wants(endpoint: Endpoint, event_type: str) -> bool:
    """Whether it is subscribed; everything does not mean the deliveries themselves, nor tests of others."""
    if event_type in endpoint.event_types:
        return True
    return EVERYTHING in endpoint.event_types and event_type not in {*ABOUT_DELIVERIES, EventType.WEBHOOK_TEST}


def row_of(endpoint: Endpoint, event_id: UUID, event_type: str, at: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "workspace_id": endpoint.workspace_id,
        "endpoint_id": endpoint.pk,
        "event_id": event_id,
        "event_type": event_type,
        "status": DeliveryStatus.PENDING.value,
        "attempt_count": 0,
        "tries": 0,
        "next_attempt_at": at,
        "last_error": "",
        "created_at": at,
    }


def make_due(endpoint: Endpoint, at: datetime) -> None:
    """Something is due for a locked endpoint; a pause that it is in stays."""
    due = max(at, endpoint.paused_until) if endpoint.paused_until else at
    if endpoint.due_at is None or due < endpoint.due_at:
        endpoint.due_at = due
        endpoint.save(update_fields=["due_at"])


def _described(events: Sequence[_Event]) -> dict[UUID, str]:
    """Of events about deliveries, the endpoint that each is about: it is not to be told of itself."""
    ids = [event.id for event in events if event.type in ABOUT_DELIVERIES]
    rows = Event.objects.across_workspaces().filter(pk__in=ids)
    return dict(rows.values_list("pk", "data__webhookId")) if ids else {}
