"""Asks processes apart to read mail, keeps a few of them, and ends those that take too long."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from apps.protocols.apart import values
from apps.protocols.apart.tasks import NoOptions, Task

Value = TypeVar("Value")
_ROOT = Path(__file__).resolve().parents[3]
# At most so many at a time in one process of ours; others wait for their turn.
SIZE = 2
TURN_SECONDS = 30.0
_NOTHING = NoOptions()


class Unread(Exception):
    """The process apart did not come to an answer; the text says why, and nothing else is known of the mail."""


class NoTurn(Exception):
    """All processes apart were busy for too long; the same mail may be read later."""


class _Gone(Exception):
    """A child ended, or said what is no answer."""


class Child:
    """One process apart and our end of its socket."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                [sys.executable, "-s", "-m", "apps.protocols.apart.child"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=_ROOT,
                env={"PYTHONPATH": str(_ROOT), "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"},
            )

    def ask(self, task: Task[Value], raw: bytes, options: Any) -> Value:
        """Raises TimeoutError, EOFError, OSError, values.Broken; then this child is of no more use."""
        deadline = time.monotonic() + task.seconds
        self._ours.settimeout(task.seconds)
        header = {"task": task.name, "cpu": task.cpu_seconds, "options": values.pack(options, [])}
        values.send(self._ours, header, [raw])
        answer, octets = values.receive(self._ours, deadline)
        if "failed" in answer:
            raise Unread(_words(str(answer["failed"])))
        value: Value = values.unpack(task.answer, answer.get("value"), octets)
        return value

    def end(self) -> None:
        self._ours.close()
        self.process.kill()
        self.process.wait()

    def forget(self) -> None:
        """In a process that was forked off from ours: the child is not its own."""
        self._ours.close()

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None


class Pool:
    """Children that are free, and turns for those that want one. A child that goes on without work ends by itself."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._begin()
        os.register_at_fork(after_in_child=self._after_fork)

    def run(self, task: Task[Value], raw: bytes, options: Any = _NOTHING) -> Value:
        """What the task makes of these octets. Raises Unread, NoTurn."""
        if not self._turns.acquire(timeout=TURN_SECONDS):
            raise NoTurn
        try:
            return self._run(task, raw, options)
        finally:
            self._turns.release()

    def close(self) -> None:
        """Ends the children that are free."""
        while self._free:
            with suppress(IndexError):
                self._free.pop().end()

    def _run(self, task: Task[Value], raw: bytes, options: Any) -> Value:
        child, is_new = self._child()
        try:
            value = self._asked(child, task, raw, options)
        except _Gone:
            if is_new:
                raise Unread("The process that read it ended before it had an answer.") from None
            # It may have ended because it was idle, just when it was asked.
            return self._run(task, raw, options)
        return value

    def _asked(self, child: Child, task: Task[Value], raw: bytes, options: Any) -> Value:
        try:
            value = child.ask(task, raw, options)
        except Unread:
            self._free.append(child)
            raise
        except TimeoutError:
            child.end()
            raise Unread("Reading it took too long.") from None
        except (EOFError, OSError, ValueError, IndexError, TypeError):
            child.end()
            raise _Gone from None
        except BaseException:
            child.end()
            raise
        self._free.append(child)
        return value

    def _child(self) -> tuple[Child, bool]:
        """A free one, or a new one, and which of them."""
        while True:
            try:
                child = self._free.pop()
            except IndexError:
                return Child(), True
            if not child.has_ended:
                return child, False
            child.end()

    def _begin(self) -> None:
        self._free: list[Child] = []
        self._turns = threading.BoundedSemaphore(self._size)

    def _after_fork(self) -> None:
        for child in self._free:
            child.forget()
        self._begin()


def _words(failure: str) -> str:
    return "Reading it took too much memory." if failure == "memory" else f"It could not be read ({failure})."
