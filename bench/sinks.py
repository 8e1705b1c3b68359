"""The receiving mail server: the tests' fast sink, in a process of its own."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import processes


@dataclass(frozen=True, slots=True)
class Sink:
    """A running sink; its ledger has one line for each message that it accepted."""

    pid: int
    port: int
    ledger: Path

    @property
    def relay(self) -> dict[str, str]:
        """What sends all mail of a platform here."""
        return {"MAIL_TRANSPORT": "relay", "MAIL_RELAY_URL": f"smtp://127.0.0.1:{self.port}"}

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ledger.read_text().splitlines()]

    def count(self) -> int:
        return self.ledger.read_bytes().count(b"\n")

    def cpu_seconds(self) -> float:
        return processes.cpu_seconds(self.pid)


@contextlib.contextmanager
def sink(folder: Path) -> Iterator[Sink]:
    ledger = folder / "ledger"
    ledger.touch()
    command = [sys.executable, "-m", "tests.fakes.smtp_sink", "--port", "0", "--ledger", str(ledger)]
    env = {"PATH": os.environ.get("PATH", os.defpath)}
    with processes.running(command, env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[1])
        yield Sink(process.pid, port, ledger)
