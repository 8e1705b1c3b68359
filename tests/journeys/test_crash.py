"""Whatever dies, whenever it dies: no message is lost, none is called sent that was not, every repeat is admitted."""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection

from apps.messages.models import Recipient
from apps.messages.states import FINAL
from tests.client import SEND, mail
from tests.journeys.ledger import judge
from tests.journeys.processes import Tree, kill, wait_until
from tests.journeys.rig import INBOX, SENDER, LiveApi, Platform, sink

CLIENTS = 4
SECONDS_BETWEEN_KILLS = 1.0
# Then what is left must reach its end without help.
MOST_KILLS = 45


class Nemesis:
    """Kills one process after another, drawn by a seed that a failed run prints."""

    def __init__(self, worker: Tree) -> None:
        seed = int(os.environ.get("NEMESIS_SEED") or random.SystemRandom().randrange(10**6))
        print(f"to repeat this: NEMESIS_SEED={seed}")  # noqa: T201 - pytest shows it on failure
        self._random, self._worker = random.Random(seed), worker
        self.kills = 0

    def strike(self) -> None:
        """Anything below the supervisor: clusters, sentinels, pushers, monitors, drains."""
        victims = sorted(self._worker.below())
        if victims:
            self.kills += kill(self._random.choice(victims), signal.SIGKILL)


def send_all(api: LiveApi, count: int) -> list[str]:
    """Sends from several clients at once; every tenth message has three recipients. The ids of what was accepted."""

    def send(share: range) -> list[str]:
        own = api.twin()
        return [_accepted(own, number) for number in share]

    with ThreadPoolExecutor(CLIENTS) as pool:
        return [one for some in pool.map(send, [range(k, count, CLIENTS) for k in range(CLIENTS)]) for one in some]


def _accepted(api: LiveApi, number: int) -> str:
    names = [f"r{number}", *([f"s{number}", f"t{number}"] if number % 10 == 0 else [])]
    answer = api.post(SEND, mail(**{"from": f"a@{SENDER}"}, to=[f"{name}@{INBOX}" for name in names]))
    assert answer.status == 202, answer
    return str(answer.data["id"])


def unfinished() -> dict[tuple[str, str], int]:
    """How many recipients have no end yet, by their status and by what they wait for."""
    rows = Recipient.objects.across_workspaces().exclude(status__in=FINAL)
    return Counter(rows.values_list("status", "wait_code"))


def crash(platform: Callable[..., Platform], folder: Path, *, messages: int) -> None:
    with sink(folder, delay_ms=100) as server:
        live = platform(server.port)
        live.start_web()
        api = live.customer()
        worker = live.start_worker()
        nemesis, pause = Nemesis(worker), threading.Event()

        with ThreadPoolExecutor(1) as clients:
            sending = clients.submit(send_all, api, messages)
            for _ in range(MOST_KILLS):
                nemesis.strike()
                pause.wait(SECONDS_BETWEEN_KILLS)
                if sending.done() and not unfinished():
                    break
            accepted = sending.result()
        wait_until(lambda: not unfinished(), "every recipient has an end", polls=2400)

        judgement = judge(server.lines(), accepted)
        print(f"{nemesis.kills} kills, {judgement.repeated} repeats")  # noqa: T201
        assert len(accepted) == messages
        assert not judgement.lost
        assert not judgement.untrue
        assert not judgement.unexplained
        assert not judgement.changed


@pytest.mark.timeout(400)
def test_killing_workers_loses_nothing_and_hides_no_repeat(platform: Callable[..., Platform], tmp_path: Path) -> None:
    crash(platform, tmp_path, messages=1_000 if connection.vendor == "postgresql" else 150)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killing_workers_through_ten_thousand_messages(platform: Callable[..., Platform], tmp_path: Path) -> None:
    crash(platform, tmp_path, messages=10_000)
