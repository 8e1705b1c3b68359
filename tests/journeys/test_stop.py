"""Stopping the workers under load: soon, without a second copy, and with everything given back at once."""

from collections.abc import Callable
from pathlib import Path

from apps.delivery.models import Drain
from apps.messages.models import Recipient
from apps.messages.states import FINAL
from tests.client import SEND, mail
from tests.journeys.ledger import judge
from tests.journeys.processes import wait_until
from tests.journeys.rig import INBOX, SENDER, Platform, sink

MESSAGES = 150
# Longer than the test: what is given back in time was given back, and did not run out.
LEASE_SECONDS = "600"


def test_a_stop_under_load_gives_everything_back_and_repeats_nothing(
    platform: Callable[..., Platform], tmp_path: Path
) -> None:
    with sink(tmp_path, delay_ms=400) as server:
        live = platform(server.port, MAIL_LEASE_SECONDS=LEASE_SECONDS)
        live.start_web()
        api = live.customer()
        body = mail(**{"from": f"a@{SENDER}"})
        accepted = [api.post(SEND, body | {"to": f"r{n}@{INBOX}"}).data["id"] for n in range(MESSAGES)]
        rows = Recipient.objects.across_workspaces()
        leased = rows.filter(lease_until__isnull=False)
        for least in (1, MESSAGES // 3):
            worker = live.start_worker()
            wait_until(lambda least=least: len(server.lines()) >= least, f"{least} messages have arrived")

            assert leased.exists()
            assert worker.terminate() == 0

            assert worker.pids() == []
            assert not leased.exists()
            assert not Drain.objects.exists()
            assert rows.exclude(status__in=FINAL).exists()

        live.start_worker()
        wait_until(lambda: not rows.exclude(status__in=FINAL).exists(), "the next worker has sent the rest")
        judgement = judge(server.lines(), accepted)
        assert judgement.repeated == 0
        assert not judgement.lost
        assert not judgement.untrue
