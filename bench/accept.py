"""How fast the API accepts single messages, beside plain DRF and ORM in the same minutes: `python -m bench.accept`."""

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from bench import databases, processes
from bench.databases import Database
from bench.processes import Memory
from bench.table import Figure, render
from bench.web import WORKERS, Web, gunicorn

PATH, BARE_PATH = "/v1/mail/send", "/bare/send"
REQUESTS, ROUNDS, WARM_UP, CONNECTIONS = 1_000, 3, 200, 16
PARAGRAPH = "Thank you for your order. We pack it today and tell you as soon as it is on its way. "
BODY = {
    "from": "shop@shop.example",
    "to": "ada@example.com",
    "subject": "Your order",
    "text": PARAGRAPH * 14,
    "html": f"<html><body>{f'<p>{PARAGRAPH}</p>' * 23}</body></html>",
}
TIMES_FASTER = 2.0
LARGEST_WORKER = 150


@dataclass(frozen=True, slots=True)
class Round:
    """One run of the client. Costs are CPU microseconds for a request."""

    rate: float
    p50: float
    p99: float
    application: float
    database: float
    client: float


@dataclass(frozen=True, slots=True)
class Contender:
    """One application behind its server, and the key that it accepts."""

    web: Web
    key: str
    path: str = PATH

    def run(self, database: Database, requests: int = REQUESTS) -> Round:
        before = self.web.cpu_seconds(), database.cpu_seconds()
        found = self._post(requests)
        spent = self.web.cpu_seconds() - before[0], database.cpu_seconds() - before[1]
        if found["statuses"] != {"202": requests}:
            raise RuntimeError(f"not every request was accepted: {found['statuses']}")
        cuts = statistics.quantiles(found["latencies"], n=100)
        return Round(
            rate=requests / found["seconds"],
            p50=cuts[49] * 1e3,
            p99=cuts[98] * 1e3,
            application=spent[0] / requests * 1e6,
            database=spent[1] / requests * 1e6,
            client=found["cpu"] / requests * 1e6,
        )

    def _post(self, requests: int) -> dict[str, Any]:
        command = [sys.executable, "-m", "bench.client"]
        command += [str(self.web.port), self.path, self.key, str(CONNECTIONS), str(requests)]
        body = json.dumps(BODY).encode()
        done = subprocess.run(command, cwd=processes.ROOT, input=body, stdout=subprocess.PIPE, check=True, timeout=120)
        return dict(json.loads(done.stdout))


def main() -> list[Figure]:
    with processes.folder() as folder, databases.postgres() as database:
        plain = database.beside("yardstick")
        ours = processes.environment(database.url, folder)
        theirs = processes.environment(plain.url, folder, DJANGO_SETTINGS_MODULE="bench.yardstick.settings")
        processes.migrate(ours)
        our_key = processes.answer("bench.inside.queue_messages", 0, env=ours)["key"]
        their_key = processes.answer("bench.inside.yardstick_key", env=theirs)["key"]
        with (
            gunicorn("stackshift_mail.wsgi", ours) as our_web,
            gunicorn("bench.yardstick.wsgi", theirs) as their_web,
        ):
            contenders = [
                Contender(our_web, our_key),
                Contender(their_web, their_key),
                Contender(their_web, their_key, path=BARE_PATH),
            ]
            rounds = _take_turns(contenders, database)
            _verify(database, plain)
            return _figures(*rounds, our_web.largest_worker())


def _take_turns(contenders: list[Contender], database: Database) -> list[list[Round]]:
    """A, B, A, B: what else the machine does at the time befalls both."""
    for contender in contenders:
        contender.run(database, WARM_UP)
    database.settle()
    turns = [[contender.run(database) for contender in contenders] for _ in range(ROUNDS)]
    return [list(rounds) for rounds in zip(*turns, strict=True)]


def _verify(ours: Database, theirs: Database) -> None:
    """Accepted means stored, on both sides."""
    once = WARM_UP + REQUESTS * ROUNDS
    for database, table, expected in (
        (ours, "mail_messages_recipient", once),
        (theirs, "yardstick_recipient", 2 * once),
    ):
        stored = database.query(f"SELECT count(*) FROM {table}")
        assert stored == [(expected,)], f"{stored} rows in {table}, not {expected}"


def _figures(ours: list[Round], theirs: list[Round], bare: list[Round], memory: Memory) -> list[Figure]:
    part = "accept, PostgreSQL"
    faster = _median(ours, "rate") / _median(theirs, "rate")
    cheaper = _cpu(theirs) / _cpu(ours)
    goal = f">= {TIMES_FASTER:g} x"
    server = f"{WORKERS} web workers, {CONNECTIONS} connections"
    return [
        Figure(part, f"single POST, {server}", _shown(ours)),
        Figure(part, "its CPU: application + database", _cost(ours)),
        Figure(part, "plain DRF + ORM, same checks", _shown(theirs)),
        Figure(part, "its CPU: application + database", _cost(theirs)),
        Figure(part, "faster than plain DRF + ORM", f"{faster:.2f} x", goal, faster >= TIMES_FASTER),
        Figure(part, "cheaper in CPU", f"{cheaper:.2f} x", goal, cheaper >= TIMES_FASTER),
        Figure(part, "plain DRF + ORM, no checks", _shown(bare)),
        Figure(part, "its CPU: application + database", _cost(bare)),
        Figure(
            part,
            "faster than that, cheaper",
            f"{_median(ours, 'rate') / _median(bare, 'rate'):.2f} x, {_cpu(bare) / _cpu(ours):.2f} x",
        ),
        Figure(part, "CPU of the client", f"{_median(ours, 'client'):,.0f} us"),
        Figure(part, "largest web worker", f"{memory}", f"< {LARGEST_WORKER} MB", memory.charged < LARGEST_WORKER),
    ]


def _shown(rounds: list[Round]) -> str:
    return f"{_median(rounds, 'rate'):,.0f}/s, p50 {_median(rounds, 'p50'):.1f} ms, p99 {_median(rounds, 'p99'):.1f} ms"


def _cost(rounds: list[Round]) -> str:
    return f"{_median(rounds, 'application'):,.0f} + {_median(rounds, 'database'):,.0f} us"


def _cpu(rounds: list[Round]) -> float:
    return _median(rounds, "application") + _median(rounds, "database")


def _median(rounds: list[Round], name: str) -> float:
    return float(statistics.median(getattr(done, name) for done in rounds))


if __name__ == "__main__":
    print(render(main()))
