"""What the tests of the engine's parts share: claims that no database knows, and an end by condition."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from apps.core import clock
from apps.core.ids import new_id
from apps.delivery.services.drain import drain
from apps.messages.models import Recipient
from apps.messages.services.outcomes import Holding
from apps.messages.states import Lane

# Only where a test fails; a passing one is over as soon as its condition holds.
LIMIT_SECONDS = 20.0


def holding(
    email: str = "ada@inbox.example",
    *,
    lane: Lane = Lane.TRANSACTIONAL,
    attempts: int = 0,
    tries: int = 0,
    queued_at: datetime | None = None,
) -> Holding:
    """A claim of a recipient after so many attempts and charged tries."""
    return Holding(
        recipient_id=new_id(),
        message_id=new_id(),
        workspace_id=new_id(),
        fence=1,
        email=email,
        lane=int(lane),
        attempt_count=attempts,
        tries=tries,
        crashes=1,
        queued_at=queued_at or clock.now(),
        waited_for=None,
        waiting_since=None,
        last_error="",
    )


def deliver_until(condition: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """One delivery job whose leash is cut as soon as the condition holds."""
    gives_up_at = time.monotonic() + LIMIT_SECONDS

    def is_cut() -> bool:
        return condition() or time.monotonic() > gives_up_at

    monkeypatch.setattr("apps.delivery.services.drain.is_cut", is_cut)
    drain()


def due_in(seconds: float, **which: object) -> None:
    """These recipients become due only then."""
    rows = Recipient.objects.across_workspaces().filter(**which)
    rows.update(next_attempt_at=clock.database_now() + timedelta(seconds=seconds))
