"""Cancels, moves and hastens scheduled mail, beside a dispatcher that may be sending it at this moment.

Each is one conditional UPDATE: whoever comes first has it, and the other finds a normal answer.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.core import clock
from apps.core.errors import NotFound
from apps.events.services import record
from apps.events.types import EventType
from apps.scheduled.errors import NotScheduledAnyMore
from apps.scheduled.models import Scheduled
from apps.scheduled.services.creating import check_time
from apps.scheduled.services.happenings import event
from apps.scheduled.states import Status

NO_WAIT = {"wait_code": "", "wait_detail": "", "waiting_since": None}


def cancel(workspace_id: UUID, scheduled_id: UUID) -> Scheduled:
    """Ends it without sending anything. Raises NotScheduledAnyMore, NotFound."""
    with transaction.atomic():
        now = clock.now()
        row = _change(workspace_id, scheduled_id, status=Status.CANCELED, canceled_at=now, due_at=None, **NO_WAIT)
        record([event(EventType.SCHEDULED_CANCELED, row)], at=now)
    return row


def reschedule(workspace_id: UUID, scheduled_id: UUID, send_at: datetime) -> Scheduled:
    """Gives it another time, also where it is late already. Raises Invalid, NotScheduledAnyMore, NotFound."""
    check_time(send_at, clock.database_now())
    return _move(workspace_id, scheduled_id, send_at)


def send_now(workspace_id: UUID, scheduled_id: UUID) -> Scheduled:
    """Makes it due at this moment. Raises NotScheduledAnyMore, NotFound."""
    return _move(workspace_id, scheduled_id, clock.database_now())


def _move(workspace_id: UUID, scheduled_id: UUID, send_at: datetime) -> Scheduled:
    with transaction.atomic():
        row = _change(workspace_id, scheduled_id, send_at=send_at, due_at=send_at, **NO_WAIT)
        record([event(EventType.SCHEDULED_UPDATED, row)])
    return row


def _change(workspace_id: UUID, scheduled_id: UUID, **values: Any) -> Scheduled:
    mine = Scheduled.objects.of(workspace_id).filter(pk=scheduled_id)
    changed = mine.filter(status=Status.SCHEDULED).update(updated_at=clock.now(), **values)
    row: Scheduled | None = mine.first()
    if row is None:
        raise NotFound
    if not changed:
        raise NotScheduledAnyMore(row.status)
    return row
