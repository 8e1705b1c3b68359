"""A killed process can take a lock of django-q2's with it; the others then wait for ever, and look healthy."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.delivery.models import Drain
from tests.client import SEND, mail
from tests.journeys.processes import Tree, kill, parent_of, wait_until
from tests.journeys.rig import INBOX, SENDER, Platform, sink


@pytest.mark.timeout(240)
def test_workers_that_die_idle_with_the_lock_of_the_queue_are_replaced(
    platform: Callable[..., Platform], tmp_path: Path
) -> None:
    with sink(tmp_path) as server:
        live = platform(server.port, DELIVERY_WORKERS="1")
        live.start_web()
        api = live.customer()
        worker = live.start_worker()
        wait_until(Drain.objects.exists, "a job has been taken up")
        drain = Drain.objects.get()

        # Its successor waits for a job, and holds the lock of the queue while it does.
        sentinel, before = parent_of(drain.pid), children_of(worker, parent_of(drain.pid))
        kill(drain.pid)
        wait_until(lambda: children_of(worker, sentinel) - before, "an idle worker has come in its place")
        (idle,) = children_of(worker, sentinel) - before
        kill(idle, signal.SIGKILL)

        answer = api.post(SEND, mail(**{"from": f"a@{SENDER}"}, to=f"ada@{INBOX}"))
        wait_until(lambda: api.story(answer.data["id"]).status == "sent", "the mail has gone out unaided", polls=2400)
        assert len(server.lines()) == 1


def children_of(tree: Tree, parent: int) -> set[int]:
    return {pid for pid in tree.below() if parent_of(pid) == parent}
