"""Makes scheduled mail the way the platform makes it, and lets its time come."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from apps.core import clock
from apps.scheduled.api.requests import read_wish
from apps.scheduled.models import Scheduled
from apps.scheduled.services.creating import create
from apps.workspaces.models import Workspace
from tests.client import mail
from tests.factories import make_caller

SCHEDULED = "/v1/mail/scheduled"
TOMORROW = timedelta(days=1)


def at(moment: timedelta = TOMORROW) -> str:
    """A time on the wire, this far from now."""
    text = clock.wire_time(clock.database_now() + moment)
    assert text is not None
    return text


def later(send_at: Any = None, **changes: Any) -> dict[str, Any]:
    """The body of a request to send tomorrow that nothing is wrong with, and changes of its message."""
    return {"sendAt": send_at or at(), "message": mail(**changes)}


def make_scheduled(workspace: Workspace, body: dict[str, Any] | None = None) -> Scheduled:
    caller = make_caller(workspace)
    return create(caller, read_wish(body or later(), caller, None)).row


def bring_due(workspace: Workspace, *rows: Scheduled, ago: timedelta = timedelta(seconds=1)) -> datetime:
    """As if the time of these, or of all, had come so long ago."""
    moment = clock.database_now() - ago
    mine = Scheduled.objects.of(workspace.pk).exclude(due_at=None)
    if rows:
        mine = mine.filter(pk__in=[row.pk for row in rows])
    mine.update(send_at=moment, due_at=moment)
    return moment


def due_again(row: Scheduled) -> None:
    """As if what it waits for were to be looked at again; its time stays."""
    Scheduled.objects.of(row.workspace_id).filter(pk=row.pk).update(due_at=clock.database_now())


def fresh(row: Scheduled) -> Scheduled:
    found: Scheduled = Scheduled.objects.of(row.workspace_id).get(pk=row.pk)
    return found


def statuses(workspace: Workspace) -> Sequence[str]:
    """Of all rows, the oldest first."""
    return list(Scheduled.objects.of(workspace.pk).order_by("pk").values_list("status", flat=True))
