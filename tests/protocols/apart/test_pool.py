"""A process apart answers as if the work were done here, and whatever happens to it happens to nothing else."""

import os
import resource
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from apps.protocols.apart import child, values
from apps.protocols.apart.child import MEMORY
from apps.protocols.apart.pool import Child, Pool, Unread
from apps.protocols.apart.tasks import REPORT, TASKS
from apps.protocols.reports.reader import read_report

SAMPLES = sorted((Path(__file__).parents[2] / "data" / "reports").glob("*.eml"))
RAW = b"Subject: hello\r\n\r\nhello\r\n"


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool()
    yield made
    made.close()


def process_of(pool: Pool) -> int:
    (one,) = pool._free
    return one.process.pid


def test_what_comes_back_is_what_would_be_read_here(pool: Pool) -> None:
    for sample in SAMPLES:
        raw = sample.read_bytes()

        assert pool.run(REPORT, raw) == read_report(raw), sample.name


def test_one_process_reads_many(pool: Pool) -> None:
    pool.run(REPORT, RAW)
    first = process_of(pool)

    for _ in range(20):
        pool.run(REPORT, RAW)

    assert process_of(pool) == first


def test_there_are_never_more_than_its_size(pool: Pool) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: pool.run(REPORT, RAW), range(40)))

    assert 1 <= len(pool._free) <= 2


def test_the_kernel_limits_what_one_may_use(pool: Pool) -> None:
    pool.run(REPORT, RAW)
    limits = resource.prlimit

    assert limits(process_of(pool), resource.RLIMIT_CPU)[0] <= 1 + REPORT.cpu_seconds
    assert limits(process_of(pool), resource.RLIMIT_AS) == (MEMORY, MEMORY)
    assert limits(process_of(pool), resource.RLIMIT_FSIZE) == (0, 0)
    assert limits(process_of(pool), resource.RLIMIT_CORE) == (0, 0)


def test_two_that_die_of_the_same_mail_end_the_trying(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def die(one: Child, *_: object) -> None:
        asked.append(one.process.pid)
        os.kill(one.process.pid, signal.SIGXCPU)
        one.process.wait()
        raise EOFError

    pool.run(REPORT, RAW)
    with monkeypatch.context() as patch:
        patch.setattr(Child, "ask", die)
        with pytest.raises(Unread, match="ended before it had an answer"):
            pool.run(REPORT, RAW)

    assert len(set(asked)) == 2
    assert pool.run(REPORT, RAW) == read_report(RAW)


def test_one_that_takes_too_long_is_killed_and_the_next_mail_is_read(pool: Pool) -> None:
    pool.run(REPORT, RAW)
    first = process_of(pool)

    with pytest.raises(Unread, match="took too long"):
        pool.run(replace(REPORT, seconds=0.000_001), RAW)

    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    assert pool.run(REPORT, RAW) == read_report(RAW)


def test_too_much_memory_is_told_and_the_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*_: object) -> None:
        raise MemoryError

    monkeypatch.setitem(TASKS, "report", replace(REPORT, run=greedy))
    monkeypatch.setattr(child, "_allow_seconds", lambda _: None)
    here, there = socket.socketpair()
    with here, there:
        goes_on = child._answer(there, {"task": "report", "cpu": 5, "options": {}}, [RAW])

        assert values.receive(here) == ({"failed": "memory", "sizes": []}, [])
        assert not goes_on


def test_one_that_has_ended_meanwhile_is_replaced(pool: Pool) -> None:
    pool.run(REPORT, RAW)
    (one,) = pool._free
    one.process.kill()

    assert pool.run(REPORT, RAW) == read_report(RAW)
    assert process_of(pool) != one.process.pid


def test_a_child_knows_neither_django_nor_a_secret(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIELD_KEYS", "a-secret")
    pool.run(REPORT, RAW)
    process = Path(f"/proc/{process_of(pool)}")

    assert b"a-secret" not in (process / "environ").read_bytes()
    assert "django" not in (process / "maps").read_text().lower()
    # Its socket and nothing else of ours: neither the database's connection nor another child's.
    assert {int(name) for name in os.listdir(process / "fd")} <= {0, 1, 2, 3}
