"""When an endpoint is due, and how its row is locked: every change of its deliveries goes through here."""

from datetime import datetime
from uuid import UUID

from django.db.models import Min, QuerySet

from apps.core.errors import NotFound
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.states import Status


def locked(workspace_id: UUID, endpoint_id: UUID) -> Endpoint:
    """The endpoint's row, to be changed in the caller's transaction. Raises NotFound."""
    mine = Endpoint.objects.of(workspace_id).exclude(status=Status.DELETED)
    # NO KEY: deliveries that refer to the row may be inserted meanwhile, by whoever has locked it before.
    row: Endpoint | None = mine.filter(pk=endpoint_id).select_for_update(no_key=True).first()
    if row is None:
        raise NotFound
    return row


def open_deliveries(endpoint_id: UUID) -> QuerySet[Delivery]:
    """What still waits for an endpoint."""
    rows: QuerySet[Delivery] = Delivery.objects.across_workspaces().filter(
        endpoint_id=endpoint_id, next_attempt_at__isnull=False
    )
    return rows


def plan(endpoint: Endpoint) -> None:
    """Sets when the endpoint is due next; the caller has locked it and saves it.

    It asks after the lock was got, so that what was fanned out a moment before is seen.
    """
    endpoint.due_at = _due(endpoint) if endpoint.is_active else None


def _due(endpoint: Endpoint) -> datetime | None:
    earliest: datetime | None = open_deliveries(endpoint.pk).aggregate(at=Min("next_attempt_at"))["at"]
    if earliest is None or endpoint.paused_until is None:
        return earliest
    return max(earliest, endpoint.paused_until)
