"""The events of challenges. What they tell never has a code in it, nor a guess."""

from collections.abc import Sequence
from typing import Any

from apps.core import clock
from apps.events.services import NewEvent
from apps.events.types import EventType, ResourceType
from apps.otp.models import Challenge


def happened(kind: EventType, challenge: Challenge, **more: Any) -> NewEvent:
    data = {
        "recipient": challenge.email,
        "purpose": challenge.purpose,
        "expiresAt": clock.wire_time(challenge.expires_at),
        **more,
    }
    return NewEvent(challenge.workspace_id, kind, ResourceType.OTP, challenge.pk, challenge.message_id, data)


def each(kind: EventType, challenges: Sequence[Challenge]) -> list[NewEvent]:
    return [happened(kind, challenge) for challenge in challenges]
