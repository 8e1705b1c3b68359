"""Keeps child processes running as one tree, and ends all of them when it ends itself, however that happens."""

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

from apps.core import leash

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.5
STOP_SECONDS = 6.0
BACKOFF_SECONDS = (0, 0.5, 1, 2, 5)
PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Child:
    """One command, started anew whenever it ends."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    # When it is to be started, by the monotonic clock; None while it has been.
    starts_at: float | None = 0.0
    failures: int = 0

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, leash_end: int) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own commands
            self.command,
            env={**os.environ, **self.environment, leash.VARIABLE: str(leash_end)},
            pass_fds=(leash_end,),
            # A session of its own, so that Ctrl-C reaches the supervisor alone and a kill reaches the whole group.
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        self.started_at, self.starts_at = time.monotonic(), None

    def signal(self, number: int) -> None:
        if self.process is not None and self.is_running:
            self.process.send_signal(number)

    def kill(self) -> None:
        """Ends the whole process group at once; what it held is taken up again from the rows."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Supervisor:
    """Runs children until SIGTERM, SIGINT, or the end of a supervisor above. `watch` is called at every tick."""

    def __init__(
        self,
        children: Sequence[Child],
        *,
        watch: Callable[["Supervisor"], None] | None = None,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self.children = children
        self._watch = watch
        self._stop_seconds = stop_seconds
        self._is_stopping = False
        self._leash_end, self._leash_hold = os.pipe()

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop_soon)
        try:
            while not self._is_stopping and not leash.is_cut():
                for child in self.children:
                    if not child.is_running:
                        self._start(child)
                if self._watch is not None and not self._is_stopping:
                    self._watch(self)
                time.sleep(TICK_SECONDS)
        finally:
            self._end()

    def restart(self, child: Child, why: str) -> None:
        logger.error("restarting %s: %s", child.name, why)
        child.kill()
        child.start(self._leash_end)

    def _start(self, child: Child) -> None:
        now = time.monotonic()
        if child.starts_at is None:
            has_lasted = now - child.started_at > BACKOFF_SECONDS[-1]
            child.failures = 0 if has_lasted else child.failures + 1
            logger.error(
                "%s ended with code %s; starting it again", child.name, child.process and child.process.returncode
            )
            child.kill()  # children of its own may still be there
            # Waited for between ticks: the others, and whoever wants to stop us, cannot wait that long.
            child.starts_at = now + BACKOFF_SECONDS[min(child.failures, len(BACKOFF_SECONDS) - 1)]
        if now >= child.starts_at:
            child.start(self._leash_end)

    def _stop_soon(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True

    def _end(self) -> None:
        os.close(self._leash_hold)
        for child in self.children:
            child.signal(signal.SIGTERM)
        until = time.monotonic() + self._stop_seconds
        while time.monotonic() < until and any(child.is_running for child in self.children):
            time.sleep(0.05)
        for child in self.children:
            child.kill()
        os.close(self._leash_end)


def _die_with_parent() -> None:
    """SIGTERM for the child if the supervisor is killed (Linux; elsewhere the leash alone has to do)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
