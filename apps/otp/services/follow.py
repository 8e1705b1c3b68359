"""Follows challenges about twice a second: notes whose mail was taken, and ends those whose time is over.

Several processes do it at once. Each takes rows that no other has, and what is not done in one go is done in the next.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet

from apps.core import clock
from apps.core.rows import update
from apps.events.services import record
from apps.events.types import EventType
from apps.messages.services.interventions import withdraw
from apps.messages.states import Status as MessageStatus
from apps.otp.models import Challenge
from apps.otp.services.endings import ENDED, close
from apps.otp.services.happenings import each
from apps.otp.states import OPEN, Status

AT_ONCE = 100


def follow() -> None:
    """One round of both."""
    note_sent()
    end_expired()


def note_sent() -> int:
    """Marks challenges whose mail a server has taken; returns how many."""
    taken = _pending().filter(message__status=MessageStatus.SENT).order_by("pk")
    ids = list(taken.values_list("pk", flat=True)[:AT_ONCE])
    if not ids:
        return 0
    with transaction.atomic():
        rows = _locked(_pending(), ids)
        changes = [{"id": row.pk, "status": Status.SENT.value} for row in rows]
        changed = update(Challenge, changes, match=("id",), where="t.status = 'pending'")
        record(each(EventType.OTP_SENT, [row for row in rows if row.pk in changed]), at=clock.database_now())
    return len(changed)


def end_expired() -> int:
    """Ends challenges whose time is over; returns how many."""
    over = _open().filter(expires_at__lte=clock.database_now()).order_by("expires_at")
    due = dict(over.values_list("pk", "message_id")[:AT_ONCE])
    if not due:
        return 0
    # Before they are marked, so that a crash in between leaves them to the next round, as does whoever has one of them
    # at this moment: a delivery job that waited here would deliver nothing.
    withdrawn = withdraw(due.values(), reason=ENDED.format(Status.EXPIRED.value), may_wait=False)
    with transaction.atomic():
        rows = _locked(_open(), [pk for pk, message_id in due.items() if message_id not in withdrawn.busy])
        ended = close(rows, {"status": Status.EXPIRED.value, "code_hash": ""})
        record(each(EventType.OTP_EXPIRED, [row for row in rows if row.pk in ended]), at=clock.database_now())
    return len(ended)


def _pending() -> QuerySet[Challenge]:
    pending: QuerySet[Challenge] = Challenge.objects.across_workspaces().filter(status=Status.PENDING)
    return pending


def _open() -> QuerySet[Challenge]:
    still_open: QuerySet[Challenge] = Challenge.objects.across_workspaces().filter(status__in=OPEN)
    return still_open


def _locked(rows: QuerySet[Challenge], ids: Sequence[UUID]) -> list[Any]:
    """Those of them that nobody else is writing to, locked; nobody waits, so nobody can wait in a circle."""
    chosen = rows.filter(pk__in=ids).order_by("pk")
    if connection.features.has_select_for_update_skip_locked:
        chosen = chosen.select_for_update(skip_locked=True)
    return list(chosen)
