"""How fast queued, signed mail leaves: `python -m bench.drain [PROFILE]`, which profiles one more process."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import databases, processes, signing
from bench.databases import Database
from bench.processes import DELIVERY_WORKERS, Memory
from bench.sinks import Sink, sink
from bench.table import Figure, render

MESSAGES, ROUNDS = 2_000, 3
LIMIT_SECONDS = 90
STATES = "SELECT status, count(*), max(finished_at) FROM mail_messages_recipient GROUP BY status"
DEFERRED = "SELECT count(*) FROM events_event WHERE type = 'mail.message.deferred'"
LOWEST_RATE = 600
LARGEST_WORKER = 200
SHARE_OF_DATABASE = 0.25


@dataclass(frozen=True, slots=True)
class Round:
    """One emptied queue. Costs are CPU microseconds for a message."""

    seconds: float
    messages: int
    worker: float
    database: float
    sink: float
    deferrals: int
    memory: Memory

    @property
    def rate(self) -> float:
        return self.messages / self.seconds


class Bench:
    """A database, a sink and what the rounds have in common."""

    def __init__(self, database: Database, target: Sink, folder: Path) -> None:
        self.database, self.sink = database, target
        self.env = processes.environment(database.url, folder, **target.relay)
        processes.migrate(self.env)

    def queue(self, count: int) -> None:
        processes.answer("bench.inside.queue_messages", count, env=self.env)
        self.database.settle()

    def run(self, count: int, *, workers: int = DELIVERY_WORKERS, profile: str = "") -> Round:
        """Queues so many and waits until all of them are recorded as sent."""
        self.queue(count)
        before, deferrals = self._sent(), self._deferrals()
        with ExitStack() as stack:
            started = [stack.enter_context(_worker(self.env, profile)) for _ in range(workers)]
            for worker in started:
                assert worker.stdout is not None
                worker.stdout.readline()
            costs = self.database.cpu_seconds(), self.sink.cpu_seconds()
            began = time.time()
            for worker in started:
                os.write(worker.stdin.fileno(), b"\n")  # type: ignore[union-attr]
            self._wait(before + count)
            spent = self.database.cpu_seconds() - costs[0], self.sink.cpu_seconds() - costs[1]
            reports = [json.loads(worker.communicate()[0]) for worker in started]
        return Round(
            seconds=self._ended() - began,
            messages=count,
            worker=sum(report["cpu"] for report in reports) / count * 1e6,
            database=spent[0] / count * 1e6,
            sink=spent[1] / count * 1e6,
            deferrals=self._deferrals() - deferrals,
            memory=max((Memory(**report["memory"]) for report in reports), key=lambda used: used.charged),
        )

    def verify(self, count: int) -> None:
        """Everything was sent once, and what was sent carries a valid signature. Raises AssertionError."""
        lines = self.sink.lines()
        assert len(lines) == count, f"the sink has {len(lines)} messages of {count}"
        assert len({line["message_id"] for line in lines}) == count, "a message was sent twice"
        sample = processes.answer("bench.inside.sample", env=self.env)
        assert sample["sha256"] in {line["sha256"] for line in lines}, "what was sent is not what was composed"
        assert sample["is_valid"], "dkimpy does not accept the signature"

    def _wait(self, count: int) -> None:
        """Watches the sink, which costs the database nothing; looks at the rows only at the end."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline:
            if self.sink.count() >= count and self._sent() >= count:
                return
            time.sleep(0.05)
        raise RuntimeError(f"after {LIMIT_SECONDS} s: {self.database.query(STATES)}, the sink has {self.sink.count()}")

    def _sent(self) -> int:
        return sum(count for status, count, _ in self.database.query(STATES) if status == "sent")

    def _ended(self) -> float:
        """When the last recipient was recorded; the database's clock is this machine's."""
        [ended] = [moment for status, _, moment in self.database.query(STATES) if status == "sent"]
        if isinstance(ended, str):
            ended = datetime.fromisoformat(ended).replace(tzinfo=UTC)
        return float(ended.timestamp())

    def _deferrals(self) -> int:
        return int(self.database.query(DEFERRED)[0][0])


def _worker(env: Mapping[str, str], profile: str) -> Any:
    command = [sys.executable, "-m", "bench.inside.deliver", *([profile] if profile else [])]
    return processes.running(command, env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def measure_postgres(profile: str = "") -> list[Figure]:
    with processes.folder() as folder, databases.postgres() as database, sink(folder) as target:
        bench = Bench(database, target, folder)
        rounds = [bench.run(MESSAGES) for _ in range(ROUNDS)]
        bench.verify(MESSAGES * ROUNDS)
        if profile:
            bench.run(MESSAGES, workers=1, profile=profile)
    return _figures("drain, PostgreSQL", rounds, signing.micros())


def measure_sqlite() -> list[Figure]:
    with processes.folder() as folder, sink(folder) as target:
        bench = Bench(databases.sqlite(folder), target, folder)
        rounds = [bench.run(MESSAGES)]
        bench.verify(MESSAGES)
    return _figures("drain, SQLite", rounds, signing.micros())


def _figures(part: str, rounds: list[Round], signature: float) -> list[Figure]:
    rates = sorted(done.rate for done in rounds)
    rate = statistics.median(rates)
    worker, database, receiver = (
        statistics.median(getattr(done, name) for done in rounds) for name in ("worker", "database", "sink")
    )
    total = worker + database + receiver
    # By CPU and not by the clock: the machine may be doing something else.
    besides, of_database = total - signature, database / total
    possible = processes.CORES * 1e6 / total
    largest = max((done.memory for done in rounds), key=lambda used: used.charged)
    deferrals = sum(done.deferrals for done in rounds) / sum(done.messages for done in rounds)
    queue = f"{len(rounds)} x {MESSAGES:,} messages, {DELIVERY_WORKERS} processes"
    return [
        Figure(
            part,
            queue,
            f"{rate:,.0f}/s ({rates[0]:,.0f}-{rates[-1]:,.0f})",
            f">= {LOWEST_RATE}/s",
            rate >= LOWEST_RATE,
        ),
        Figure(
            part, f"of what its CPU allows on {processes.CORES} cores", f"{rate / possible:.0%} of {possible:,.0f}/s"
        ),
        Figure(part, "CPU: worker + database + sink", f"{worker:,.0f} + {database:,.0f} + {receiver:,.0f} us"),
        Figure(part, f"CPU besides the signature ({signature:,.0f} us)", f"{besides:,.0f} us"),
        Figure(
            part,
            "the database's share of CPU",
            f"{of_database:.0%}",
            f"<= {SHARE_OF_DATABASE:.0%}",
            of_database <= SHARE_OF_DATABASE,
        ),
        Figure(part, "deferrals for a message", f"{deferrals:.2f}", "0", deferrals == 0),
        Figure(
            part,
            "largest delivery process",
            f"{largest}",
            f"< {LARGEST_WORKER} MB",
            largest.charged < LARGEST_WORKER,
        ),
    ]


def main(profile: str = "") -> list[Figure]:
    return [*measure_postgres(profile), *measure_sqlite()]


if __name__ == "__main__":
    print(render(main(*sys.argv[1:2])))
