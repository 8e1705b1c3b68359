"""Lets what waits be tried now: after a quarantine, or because somebody knows better than the schedule."""

from collections.abc import Collection
from uuid import UUID

from apps.core import clock
from apps.messages.models import Recipient
from apps.messages.states import Status
from apps.messages.waits import WaitCode

WAITING = (Status.QUEUED, Status.DEFERRED)


def make_due(recipient_ids: Collection[UUID]) -> set[UUID]:
    """Makes these due at once, where they wait for a time or for a person; what a worker holds is left alone."""
    waiting = Recipient.objects.across_workspaces().filter(status__in=WAITING, lease_until=None)
    chosen = set(waiting.filter(pk__in=recipient_ids).values_list("pk", flat=True))
    waiting.filter(pk__in=chosen).update(next_attempt_at=clock.database_now(), crashes=0)
    return chosen


def make_due_after(code: WaitCode) -> None:
    """Makes due at once whatever waits for this reason."""
    waiting = Recipient.objects.across_workspaces().filter(status__in=WAITING, lease_until=None, wait_code=code)
    waiting.exclude(next_attempt_at=None).update(next_attempt_at=clock.database_now())
