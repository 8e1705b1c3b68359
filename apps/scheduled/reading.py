"""What both the API and the console say about scheduled mail."""

from collections.abc import Collection
from uuid import UUID

from apps.core import clock
from apps.messages.models import Message
from apps.scheduled.models import Scheduled
from apps.scheduled.states import Status
from apps.scheduled.waits import WaitCode


def wait_of(row: Scheduled) -> WaitCode | None:
    """Why it has not been sent yet; None once it has ended."""
    if row.status != Status.SCHEDULED:
        return None
    if row.wait_code:
        return WaitCode(row.wait_code)
    return WaitCode.NOT_DUE if row.send_at > clock.now() else WaitCode.QUEUED


def message_statuses(workspace_id: UUID, rows: Collection[Scheduled]) -> dict[UUID, str]:
    """Of the messages that came of these."""
    ids = [row.message_id for row in rows if row.message_id]
    messages = Message.objects.of(workspace_id).filter(pk__in=ids)
    return dict(messages.values_list("pk", "status")) if ids else {}
