"""Appends events inside the transaction of what they tell about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.core import clock
from apps.core.ids import new_id
from apps.core.rows import insert
from apps.events.models import Event
from apps.events.types import EventType, ResourceType


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be recorded. `data` is what the API shows, frozen as it is now."""

    workspace_id: UUID
    type: EventType
    resource_type: ResourceType
    resource_id: UUID
    message_id: UUID | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def record(events: Sequence[NewEvent], *, at: datetime | None = None) -> None:
    """Writes events in the caller's transaction, so that fact and event exist together or not at all."""
    insert(Event, rows_of(events, at=at or clock.now()))


def rows_of(events: Sequence[NewEvent], *, at: datetime) -> list[dict[str, Any]]:
    """The rows of events, for a caller that inserts them together with its own."""
    return [
        {
            "id": new_id(),
            "workspace_id": event.workspace_id,
            "type": event.type.value,
            "resource_type": event.resource_type.value,
            "resource_id": event.resource_id,
            "message_id": event.message_id,
            "data": event.data,
            "created_at": at,
        }
        for event in events
    ]
