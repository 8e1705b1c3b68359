"""How fast the API accepts messages that come in batches of 500: `python -m bench.batch`."""

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from bench import databases, processes
from bench.accept import BODY
from bench.databases import Database
from bench.table import Figure, render
from bench.web import WORKERS, Web, gunicorn

ITEMS, REQUESTS, ROUNDS, WARM_UP, CONNECTIONS = 500, 12, 3, 4, 4
PATH, TEMPLATE_PATH = "/v1/mail/batch", "/v1/mail/batch-template"
RATE = 2_000
LARGEST_WORKER = 200


@dataclass(frozen=True, slots=True)
class Round:
    """One run of the client. Costs are CPU microseconds for a message."""

    rate: float
    p50: float
    application: float
    database: float

    @property
    def cost(self) -> float:
        return self.application + self.database


@dataclass(frozen=True, slots=True)
class Contender:
    """One kind of batch, and the server that takes it."""

    web: Web
    key: str
    path: str
    body: bytes

    def run(self, database: Database, requests: int = REQUESTS) -> Round:
        before = self.web.cpu_seconds(), database.cpu_seconds()
        found = self._post(requests)
        spent = self.web.cpu_seconds() - before[0], database.cpu_seconds() - before[1]
        if found["statuses"] != {"202": requests}:
            raise RuntimeError(f"not every batch was accepted: {found['statuses']}")
        messages = requests * ITEMS
        return Round(
            rate=messages / found["seconds"],
            p50=statistics.median(found["latencies"]) * 1e3,
            application=spent[0] / messages * 1e6,
            database=spent[1] / messages * 1e6,
        )

    def _post(self, requests: int) -> dict[str, Any]:
        command = [sys.executable, "-m", "bench.client"]
        command += [str(self.web.port), self.path, self.key, str(CONNECTIONS), str(requests)]
        done = subprocess.run(
            command, cwd=processes.ROOT, input=self.body, stdout=subprocess.PIPE, check=True, timeout=120
        )
        return dict(json.loads(done.stdout))


def message_batch() -> bytes:
    items = [{**BODY, "to": f"reader{number}@host{number % 50}.example"} for number in range(ITEMS)]
    for item in items:
        del item["from"]
    return json.dumps({"from": BODY["from"], "messages": items}).encode()


def template_batch() -> bytes:
    recipients = [
        {"to": f"reader{number}@host{number % 50}.example", "data": {"name": f"Reader {number}", "order": str(number)}}
        for number in range(ITEMS)
    ]
    return json.dumps({"template": "bench", "from": BODY["from"], "recipients": recipients}).encode()


def main() -> list[Figure]:
    with processes.folder() as folder, databases.postgres() as database:
        env = processes.environment(database.url, folder)
        processes.migrate(env)
        key = processes.answer("bench.inside.batch_sender", env=env)["key"]
        with gunicorn("stackshift_mail.wsgi", env) as web:
            contenders = [
                Contender(web, key, PATH, message_batch()),
                Contender(web, key, TEMPLATE_PATH, template_batch()),
            ]
            for contender in contenders:
                contender.run(database, WARM_UP)
            database.settle()
            turns = [[contender.run(database) for contender in contenders] for _ in range(ROUNDS)]
            _verify(database)
            messages, templates = zip(*turns, strict=True)
            memory = web.largest_worker()
    part = "batch, PostgreSQL"
    return [
        *_figures(part, f"batch of {ITEMS}, {WORKERS} web workers, {CONNECTIONS} connections", messages),
        *_figures(part, f"batch-template of {ITEMS}", templates),
        Figure(part, "largest web worker", f"{memory}", f"< {LARGEST_WORKER} MB", memory.charged < LARGEST_WORKER),
    ]


def _verify(database: Database) -> None:
    """Accepted means stored."""
    expected = 2 * ITEMS * (WARM_UP + REQUESTS * ROUNDS)
    for table in ("mail_messages_message", "mail_messages_recipient", "batches_batchitem"):
        stored = database.query(f"SELECT count(*) FROM {table}")
        assert stored == [(expected,)], f"{stored} rows in {table}, not {expected}"


def _figures(part: str, what: str, rounds: tuple[Round, ...]) -> list[Figure]:
    rate, limit = statistics.median(done.rate for done in rounds), processes.CORES * 1e6 / RATE
    cost = statistics.median(done.cost for done in rounds)
    application = statistics.median(done.application for done in rounds)
    database = statistics.median(done.database for done in rounds)
    p50 = statistics.median(done.p50 for done in rounds)
    return [
        Figure(part, what, f"{rate:,.0f} messages/s, p50 {p50:,.0f} ms", f">= {RATE:,}/s", rate >= RATE),
        Figure(
            part,
            "its CPU a message: application + database",
            f"{application:,.0f} + {database:,.0f} us",
            f"< {limit:,.0f} us",
            cost < limit,
        ),
    ]


if __name__ == "__main__":
    print(render(main()))
