"""What is told about scheduled mail: one event with its state as it was then."""

from typing import Any
from uuid import UUID

from apps.core.clock import wire_time
from apps.events.services import NewEvent
from apps.events.types import EventType, ResourceType
from apps.scheduled.models import Scheduled


def event(event_type: EventType, row: Scheduled, message_id: UUID | None = None, **more: Any) -> NewEvent:
    """To be recorded in the transaction of what it tells; with a `message_id` it is in that message's story too."""
    data = {
        "kind": row.kind,
        "sendAt": wire_time(row.send_at),
        "subject": row.subject,
        "recipients": row.addresses,
        **more,
    }
    return NewEvent(row.workspace_id, event_type, ResourceType.SCHEDULED, row.pk, message_id, data)
