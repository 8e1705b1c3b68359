"""A message's events told as a timeline and as log lines, and its attempts as conversations."""

from typing import Any

from apps.events.models import Event
from apps.events.types import EventType

LEVELS = {
    EventType.MESSAGE_DEFERRED: "warning",
    EventType.MESSAGE_SUPPRESSED: "warning",
    EventType.DELIVERY_AMBIGUOUS: "warning",
    EventType.MESSAGE_FAILED: "error",
    EventType.MESSAGE_BOUNCED: "error",
}
SEALED = "Nobody is shown the text of a one-time code."


def timeline_item(event: Event) -> dict[str, Any]:
    return {
        "id": event.pk,
        "type": event.type,
        "label": EventType(event.type).label,
        "created_at": event.created_at,
        "metadata": event.data,
    }


def log_line(event: Event) -> dict[str, Any]:
    return {
        "id": event.pk,
        "message_id": event.message_id,
        "level": LEVELS.get(EventType(event.type), "info"),
        "message": sentence(event),
        "metadata": event.data,
        "created_at": event.created_at,
    }


def sentence(event: Event) -> str:
    """`Waiting for another try, for ada@example.com: 451 4.7.1 greylisted`."""
    recipient, said = event.data.get("recipient"), event.data.get("response") or event.data.get("detail")
    text = EventType(event.type).label
    if recipient:
        text += f", for {recipient}"
    return f"{text}: {said}" if said else text


def talk_of(conversation: object) -> list[tuple[object, object, object]]:
    """An attempt's conversation as `(we, server, milliseconds)`; a line of any other form is shown as it is."""
    lines = conversation if isinstance(conversation, list) else []
    return [tuple(line) if isinstance(line, list) and len(line) == 3 else (line, "", "") for line in lines]
