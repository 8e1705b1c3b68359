"""The database is shot and started again in the middle of everything: callers come again, nothing is lost."""

import itertools
import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from tests.client import LIMITS, SEND, Answer, mail
from tests.fakes.dns_server import DnsServer
from tests.journeys import own_postgres
from tests.journeys.conftest import ONLY_ON
from tests.journeys.ledger import LedgerSink
from tests.journeys.processes import ROOT, manage, wait_until
from tests.journeys.rig import INBOX, SENDER, LiveApi, Platform, sink
from tests.provision import postgres

CLIENTS, MESSAGES, SHOTS = 3, 300, 2
# Every attempt and event of every message, straight from the tables: the suite's own database is another one.
COPIES = """
SELECT m.rfc_message_id, r.email, r.status,
       (SELECT count(*) FROM mail_messages_attempt a WHERE a.recipient_id = r.id AND a.status = 'ambiguous'),
       (SELECT count(*) FROM events_event e WHERE e.message_id = m.id AND e.type = 'mail.delivery.ambiguous')
FROM mail_messages_recipient r JOIN mail_messages_message m ON m.id = r.message_id
"""


@dataclass
class Client:
    """Sends with idempotency keys and comes again when it is told to; remembers every answer that is no success."""

    api: LiveApi
    refusals: list[Answer] = field(default_factory=list)

    def send(self, numbers: Iterator[int], gone_wrong: threading.Event) -> list[str]:
        return [self._send(number, gone_wrong) for number in numbers]

    def _send(self, number: int, pause: threading.Event) -> str:
        body = mail(**{"from": f"a@{SENDER}"}, to=f"r{number}@{INBOX}", idempotencyKey=f"key-{number}")
        for _ in range(600):
            answer = self.api.post(SEND, body)
            if answer.status < 300:
                self.api.get(LIMITS)
                return str(answer.data["id"])
            self.refusals.append(answer)
            pause.wait(0.1)
        raise AssertionError(f"refused for ever: {answer}")


@pytest.fixture
def server() -> Iterator[own_postgres.Server]:
    try:
        with own_postgres.server() as made:
            yield made
    except postgres.Unavailable as reason:
        pytest.skip(f"no PostgreSQL that can be restarted: {reason}")


@pytest.mark.timeout(300)
def test_restarts_of_the_database_lose_nothing(server: own_postgres.Server, dns: DnsServer, tmp_path: Path) -> None:
    with (
        sink(tmp_path, delay_ms=30) as mail_server,
        Platform(own_database(server), tmp_path, mail_port=mail_server.port, dns=dns) as live,
    ):
        api = customer(live)
        server.shoot()
        worker = live.start_worker()
        wait_until(worker.below, "the worker is there before its database")
        server.start()
        wait_until(lambda: rows(server, "SELECT 1 FROM delivery_drain"), "it has found its database")

        accepted, refusals = send_through_restarts(api, server)
        wait_until(lambda: unfinished(server) == 0, "all mail has reached its end", polls=2400)

        assert len(set(accepted)) == MESSAGES
        assert refusals
        assert {answer.status for answer in refusals} == {503}
        assert {answer.code for answer in refusals} == {"temporarily_unavailable"}
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in refusals)
        no_copy_is_lost_or_hidden(server, mail_server)


setattr(test_restarts_of_the_database_lose_nothing, ONLY_ON, "postgresql")


def own_database(server: own_postgres.Server) -> dict[str, str]:
    return os.environ | {"DATABASE_URL": server.url, "DJANGO_SETTINGS_MODULE": "stackshift_mail.settings"}


def customer(live: Platform) -> LiveApi:
    """By the commands that an operator uses."""
    run(live, "migrate", "--verbosity", "0")
    run(live, "create_workspace", "shop")
    key = run(live, "create_api_key", "--workspace", "shop", "--name", "test").splitlines()[-1]
    live.start_web()
    api = LiveApi(live.url, key)
    api.register(SENDER, live.dns)
    return api


def run(live: Platform, *arguments: str) -> str:
    done = subprocess.run(
        manage(*arguments), cwd=ROOT, env=live.environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def send_through_restarts(api: LiveApi, server: own_postgres.Server) -> tuple[list[str], list[Answer]]:
    clients = [Client(api.twin()) for _ in range(CLIENTS)]
    numbers, pause = [range(k, MESSAGES, CLIENTS) for k in range(CLIENTS)], threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        sending = [pool.submit(c.send, iter(n), pause) for c, n in zip(clients, numbers, strict=True)]
        for shot in range(1, SHOTS + 1):
            share = MESSAGES * shot // (SHOTS + 1)
            wait_until(lambda share=share: accepted_so_far(server) >= share, f"{share} messages are accepted")
            refused = sum(len(client.refusals) for client in clients)
            server.shoot()
            wait_until(lambda refused=refused: told(clients) > refused or done(sending), "a caller was told")
            server.start()
        accepted = list(itertools.chain.from_iterable(future.result() for future in sending))
    return accepted, [answer for client in clients for answer in client.refusals]


def told(clients: list[Client]) -> int:
    return sum(len(client.refusals) for client in clients)


def done(sending: list[Future[list[str]]]) -> bool:
    return all(future.done() for future in sending)


def accepted_so_far(server: own_postgres.Server) -> int:
    return int(rows(server, "SELECT count(*) FROM mail_messages_message")[0][0])


def unfinished(server: own_postgres.Server) -> int:
    ends = "('sent', 'failed', 'bounced', 'suppressed')"
    return int(rows(server, f"SELECT count(*) FROM mail_messages_recipient WHERE status NOT IN {ends}")[0][0])


def rows(server: own_postgres.Server, query: str) -> list[tuple]:
    with psycopg.connect(server.url) as connection:
        return connection.execute(query).fetchall()


def no_copy_is_lost_or_hidden(server: own_postgres.Server, mail_server: LedgerSink) -> None:
    lines = mail_server.lines()
    for message_id, email, status, attempts, events in rows(server, COPIES):
        copies = [line for line in lines if line.message_id == message_id and email in line.recipients]
        assert status == "sent"
        assert any(copy.is_answered for copy in copies)
        assert len({copy.sha256 for copy in copies}) == 1
        assert min(attempts, events) >= len(copies) - 1
