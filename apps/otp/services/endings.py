"""How a challenge ends other than by its code. Its mail ends with it, also where it is held or waits for another try.

A challenge is locked before its message, here and wherever a code is checked.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.core import clock
from apps.core.errors import NotFound
from apps.core.rows import update
from apps.events.services import record
from apps.events.types import EventType
from apps.messages.services.interventions import withdraw
from apps.otp.errors import NotOpen
from apps.otp.models import Challenge
from apps.otp.services.happenings import happened
from apps.otp.states import Status

OPEN_STILL = "t.status IN ('pending', 'sent')"
SUPERSEDED = "A newer code for the same address and purpose took its place."
CANCELED = "Its challenge was canceled."
ENDED = "Its challenge is {}; nobody needs the code any more."


def cancel(workspace_id: UUID, challenge_id: UUID, *, reason: str = "requested") -> Challenge:
    """Calls an open challenge off. Raises NotFound and NotOpen."""
    with transaction.atomic():
        challenge: Challenge | None = Challenge.objects.of(workspace_id).filter(pk=challenge_id).first()
        if challenge is None:
            raise NotFound
        if not _cancel(challenge, reason, CANCELED, clock.database_now()):
            challenge.refresh_from_db()
            raise NotOpen(f"This challenge is {challenge.status} already.", details={"status": challenge.status})
    return challenge


def supersede(challenge: Challenge, now: datetime) -> None:
    """Makes room for a newer challenge, in its transaction. One that has ended meanwhile is left as it is."""
    _cancel(challenge, "superseded", SUPERSEDED, now)


def end(challenge: Challenge, status: Status, **more: Any) -> bool:
    """Lets an open challenge end, and its mail with it, in the caller's transaction; False: it had ended before."""
    changes = {"status": status.value, "code_hash": "", **more}
    if not close([challenge], changes):
        return False
    for name, value in changes.items():
        setattr(challenge, name, value)
    return True


def close(challenges: Sequence[Challenge], changes: Mapping[str, Any]) -> set[UUID]:
    """The ids of those that were open still, and are not any more."""
    rows = [{"id": challenge.pk, **changes} for challenge in challenges]
    return update(Challenge, rows, match=("id",), where=OPEN_STILL)


def _cancel(challenge: Challenge, reason: str, told: str, now: datetime) -> bool:
    if not end(challenge, Status.CANCELED, canceled_at=now):
        return False
    withdraw([challenge.message_id], reason=told)
    record([happened(EventType.OTP_CANCELED, challenge, reason=reason)], at=now)
    return True
