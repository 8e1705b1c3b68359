"""Whose clock says that mail is due, and how soon after its time a worker looks."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
import time_machine
from django.db import connection

from apps.core import clock
from apps.delivery.services import drain as shift
from apps.messages.models import Message
from apps.scheduled import tasks
from apps.scheduled.models import Scheduled
from apps.scheduled.services.dispatch import BUDGET_SECONDS, Read, dispatch_due
from apps.workspaces.models import Workspace
from tests import stored
from tests.conftest import World
from tests.scheduled.making import TOMORROW, bring_due, fresh, later, make_scheduled, statuses

PROMISE = timedelta(seconds=2)


@pytest.fixture
def database_clock() -> Iterator[None]:
    """The database's clock stays right, whatever this process believes. SQLite has none of its own, so it gets one."""
    if connection.vendor == "postgresql":
        yield
        return
    with patch.object(clock, "database_now", return_value=clock.database_now()):
        yield


@pytest.mark.parametrize("off", [timedelta(hours=25), timedelta(days=29), timedelta(days=365)], ids=str)
def test_a_clock_of_ours_that_is_ahead_dispatches_nothing(
    workspace: Workspace, database_clock: None, off: timedelta
) -> None:
    make_scheduled(workspace)
    before = stored.everything()

    with time_machine.travel(clock.now() + off, tick=False):
        assert tasks.dispatch() == 0

    assert stored.everything() == before
    assert Message.objects.of(workspace.pk).count() == 0


@pytest.mark.parametrize("off", [timedelta(hours=1), timedelta(days=365)], ids=str)
def test_a_clock_of_ours_that_is_behind_delays_nothing(
    workspace: Workspace, database_clock: None, off: timedelta
) -> None:
    row = make_scheduled(workspace)
    send_at = bring_due(workspace)

    with time_machine.travel(clock.now() - off, tick=False):
        assert tasks.dispatch() == 1

    assert fresh(row).status == "sent"
    assert fresh(row).updated_at - send_at < TOMORROW  # by the database's clock and not by ours


class Look(NamedTuple):
    """One tick of a worker's, by the database's clock, and which mail had been dispatched by its end."""

    began: datetime
    ended: datetime
    sent: frozenset[Any]


class Looks(list[Look]):
    """Every tick of a worker; it is told to stop after the one that leaves nothing."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.done = workspace, threading.Event()

    def look(self, read: Read) -> int:
        began = clock.database_now()
        count = dispatch_due(read)
        rows = list(Scheduled.objects.of(self.workspace.pk).values_list("pk", "status"))
        sent = frozenset(pk for pk, status in rows if status == "sent")
        self.append(Look(began, clock.database_now(), sent))
        if len(sent) == len(rows):
            self.done.set()
        return count


@pytest.mark.django_db(transaction=True)
def test_a_running_worker_dispatches_with_the_first_look_after_its_time(world: World, settings: Any) -> None:
    """Told in looks and not in seconds: how long a look and a pause take is up to the machine that the test runs on."""
    settings.MAIL_TRANSPORT = "capture"
    workspace = world.owner.workspace
    start = clock.database_now()
    times = [start + timedelta(seconds=0.2 * number) for number in range(6)]
    rows = [make_scheduled(workspace, later(subject=f"S{number}")) for number in range(6)]
    for row, moment in zip(rows, times, strict=True):
        Scheduled.objects.of(workspace.pk).filter(pk=row.pk).update(send_at=moment, due_at=moment)
    looks = Looks(workspace)

    with patch.object(tasks, "dispatch_due", looks.look), patch.object(shift, "is_cut", looks.done.is_set):
        shift.drain(shift_seconds=60)

    assert statuses(workspace) == ["sent"] * 6
    made = dict(Message.objects.of(workspace.pk).values_list("scheduled_id", "pk"))
    assert made == {row.pk: fresh(row).message_id for row in rows}
    for row, moment in zip(rows, times, strict=True):
        first = next(look for look in looks if row.pk in look.sent)
        assert first.ended >= moment
        # Each look that began after its time found it; so it was the first.
        assert [look for look in looks if look.began >= moment and row.pk not in look.sent] == []
        assert moment <= fresh(row).updated_at <= first.ended


def test_a_pause_and_a_full_look_leave_half_of_the_promise_to_the_machine() -> None:
    assert timedelta(seconds=shift.TICK_SECONDS + BUDGET_SECONDS) <= PROMISE / 2
