"""Processes that a test starts, and everything that these start, found by a mark in their environment."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARK = "STACKSHIFT_TEST_MARK"
POLL_SECONDS = 0.05
POLLS = 1200


def wait_until(holds: Callable[[], object], what: str, *, polls: int = POLLS) -> None:
    """Looks again and again, a bounded number of times, until it holds."""
    for _ in range(polls):
        if holds():
            return
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"in {polls} looks it was never so that {what}")


class Tree:
    """One command of ours and all that runs below it; its output goes to a file."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.mark = secrets.token_hex(8)
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**environment, MARK: self.mark}, stdout=output, stderr=output
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def pids(self) -> list[int]:
        """All processes that carry the mark, orphans too."""
        return [pid for pid in _running() if f"{MARK}={self.mark}".encode() in _read(pid, "environ").split(b"\0")]

    def below(self) -> list[int]:
        return [pid for pid in self.pids() if pid != self.pid]

    def terminate(self) -> int:
        """Asks it to end, as a service manager would; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def clear_away(self) -> None:
        """Leaves nothing running, whatever state the test left it in."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self.process.poll() is None:
                self.process.terminate()
                self.process.wait(15)
        for pid in self.pids():
            kill(pid)
        self.process.wait()


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> bool:
    """Whether the process was still there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def manage(*arguments: str) -> list[str]:
    return python("manage.py", *arguments)


def parent_of(pid: int) -> int:
    """0 for a process that is gone."""
    after_name = _read(pid, "stat").rpartition(b")")[2].split()
    return int(after_name[1]) if after_name else 0


def _running() -> list[int]:
    """Zombies have no environment any more, and so carry no mark."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
