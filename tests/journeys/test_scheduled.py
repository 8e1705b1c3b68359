"""Scheduled mail with the platform's own processes: at its time and not before, once, whoever is killed."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from apps.core import clock
from apps.messages.models import Message
from apps.scheduled.models import Scheduled
from tests.client import mail
from tests.journeys.ledger import judge
from tests.journeys.processes import kill, wait_until
from tests.journeys.rig import INBOX, SENDER, LiveApi, Platform, sink
from tests.journeys.test_crash import Nemesis, unfinished
from tests.scheduled.making import SCHEDULED

COUNT = 120


def schedule(api: LiveApi, number: int, send_at: datetime) -> str:
    letter = mail(**{"from": f"a@{SENDER}"}, to=f"r{number}@{INBOX}", subject=f"S{number}")
    answer = api.post(SCHEDULED, {"sendAt": clock.wire_time(send_at), "message": letter})
    assert answer.status == 201, answer
    return str(answer.data["id"])


def rows() -> Sequence[Scheduled]:
    return list(Scheduled.objects.across_workspaces().order_by("send_at", "pk"))


def waiting() -> int:
    return Scheduled.objects.across_workspaces().filter(status="scheduled").count()


def lateness() -> list[timedelta]:
    """How long after its time each became a message."""
    made = dict(Message.objects.across_workspaces().values_list("scheduled_id", "created_at"))
    return sorted(made[row.pk] - row.send_at for row in rows())


def assert_each_was_sent_once() -> None:
    made = dict(Message.objects.across_workspaces().values_list("scheduled_id", "pk"))
    assert made == {row.pk: row.message_id for row in rows()}
    assert {row.status for row in rows()} == {"sent"}
    assert Message.objects.across_workspaces().count() == len(rows())


@pytest.mark.timeout(300)
def test_a_batch_goes_out_after_its_time_and_once_though_workers_are_killed(
    platform: Callable[..., Platform], tmp_path: Path
) -> None:
    with sink(tmp_path) as server:
        live = platform(server.port)
        live.start_web()
        api = live.customer()
        worker = live.start_worker()
        nemesis, pause = Nemesis(worker), threading.Event()
        start = clock.database_now()
        # Some of them due while the others are still being scheduled, all in the order of their numbers.
        ids = [schedule(api, number, start + timedelta(seconds=3 + number // 20)) for number in range(COUNT)]

        for _ in range(40):
            nemesis.strike()
            pause.wait(0.5)
            if not waiting():
                break
        wait_until(lambda: not waiting(), "nothing is scheduled any more")
        wait_until(lambda: not unfinished(), "every recipient has an end", polls=2400)

        late = lateness()
        print(f"{nemesis.kills} kills, late by {late[len(late) // 2]} (median) to {late[-1]}")  # noqa: T201
        assert len(ids) == len(rows()) == COUNT
        assert_each_was_sent_once()
        assert late[0] >= timedelta(0)
        accepted = [str(pk) for pk in Message.objects.across_workspaces().values_list("pk", flat=True)]
        judgement = judge(server.lines(), accepted)
        assert not judgement.lost
        assert not judgement.untrue
        assert not judgement.unexplained


@pytest.mark.timeout(300)
def test_one_process_that_is_killed_leaves_the_rest_to_another(
    platform: Callable[..., Platform], tmp_path: Path
) -> None:
    with sink(tmp_path) as server:
        live = platform(server.port)
        live.start_web()
        api = live.customer()
        start = clock.database_now()
        for number in range(COUNT):
            schedule(api, number, start + timedelta(seconds=1))
        first = live.start_drain()
        wait_until(lambda: waiting() < COUNT, "the first has begun")
        kill(first.pid, signal.SIGKILL)
        second = live.start_drain()

        wait_until(lambda: not waiting(), "nothing is scheduled any more")

        assert second.process.poll() is None
        assert_each_was_sent_once()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_thousand_are_messages_within_two_seconds_of_their_times(
    platform: Callable[..., Platform], tmp_path: Path
) -> None:
    with sink(tmp_path) as server:
        live = platform(server.port)
        live.start_web()
        api = live.customer()
        live.start_worker()
        count = int(os.environ.get("SCHEDULED_COUNT", "1000"))
        start = clock.database_now() + timedelta(seconds=count / 20)
        for number in range(count):
            schedule(api, number, start + timedelta(seconds=number // 50))

        wait_until(lambda: not waiting(), "nothing is scheduled any more", polls=6000)

        late = lateness()
        assert late[0] >= timedelta(0)
        print(f"median {late[count // 2]}, 99 % {late[count * 99 // 100]}, worst {late[-1]}")  # noqa: T201
        assert late[count * 99 // 100] <= timedelta(seconds=2)
