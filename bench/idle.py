"""How soon a message leaves when nothing else is going on: `python -m bench.idle`."""

import http.client
import json
import statistics
import sys
import time
from typing import Any

from bench import databases, processes
from bench.sinks import Sink, sink
from bench.table import Figure, render
from bench.web import gunicorn

MESSAGES, PAUSE_SECONDS = 100, 0.2
LIMIT_SECONDS = 60
LIMIT_MS = 250


class Sender:
    """One caller with one kept connection."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def post(self, recipient: str) -> float:
        """Sends one message; returns the moment at which the request went out."""
        body = {"from": "shop@shop.example", "to": recipient, "subject": "Your code", "text": "It is 123456."}
        at = time.time()
        self._connection.request("POST", "/v1/mail/send", json.dumps(body), self._headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status != http.HTTPStatus.ACCEPTED:
            raise RuntimeError(f"{response.status}: {content.decode()}")
        return at


def main() -> list[Figure]:
    with processes.folder() as folder, databases.postgres() as database, sink(folder) as target:
        env = processes.environment(database.url, folder, **target.relay)
        processes.migrate(env)
        key = processes.answer("bench.inside.queue_messages", 0, env=env)["key"]
        worker = processes.running([sys.executable, "manage.py", "worker"], env)
        with gunicorn("stackshift_mail.wsgi", env) as web, worker as supervisor:
            waits = _waits(Sender(web.port, key), target)
            before, idle = _cpu(supervisor.pid, database), 3.0
            time.sleep(idle)
            resting = (_cpu(supervisor.pid, database) - before) / idle
    return _figures(waits, resting)


def _waits(sender: Sender, target: Sink) -> list[float]:
    """Milliseconds from each request to its message's arrival; both ends read the same clock."""
    # The first message waits for the workers to start, and shows that they have.
    sender.post("first@host.example")
    _arrived(target, 1)
    posted = {}
    for number in range(MESSAGES):
        time.sleep(PAUSE_SECONDS)
        recipient = f"reader{number}@host.example"
        posted[recipient] = sender.post(recipient)
    arrived = {line["rcpts"][0]: line["time"] for line in _arrived(target, MESSAGES + 1)}
    return [(arrived[recipient] - at) * 1e3 for recipient, at in posted.items()]


def _arrived(target: Sink, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + LIMIT_SECONDS
    while target.count() < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{target.count()} of {count} messages arrived in {LIMIT_SECONDS} s")
        time.sleep(0.05)
    return target.lines()


def _cpu(worker: int, database: databases.Database) -> float:
    return processes.cpu_seconds(worker) + database.cpu_seconds()


def _figures(waits: list[float], resting: float) -> list[Figure]:
    cuts = statistics.quantiles(waits, n=20)
    p50, p95 = cuts[9], cuts[18]
    return [
        Figure(
            "idle, PostgreSQL",
            f"from POST to arrival at the relay, p50 of {len(waits)}",
            f"{p50:.0f} ms",
            f"< {LIMIT_MS} ms",
            p50 < LIMIT_MS,
        ),
        Figure("idle, PostgreSQL", "the same, p95 and slowest", f"{p95:.0f} ms, {max(waits):.0f} ms"),
        Figure("idle, PostgreSQL", "CPU of workers and database at rest", f"{resting:.1%} of a core"),
    ]


if __name__ == "__main__":
    print(render(main()))
