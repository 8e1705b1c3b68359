"""Starts processes of the platform with an environment of their own, and reads from /proc what they cost."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parent.parent
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 15
CORES = len(os.sched_getaffinity(0))
DELIVERY_WORKERS = 2


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one process, in MB; the proportional share counts pages that it shares with others by parts."""

    resident: float
    proportional: float | None

    @property
    def charged(self) -> float:
        return self.resident if self.proportional is None else self.proportional

    def __str__(self) -> str:
        shown = f"{self.resident:.0f} MB RSS"
        return shown if self.proportional is None else f"{shown}, {self.proportional:.0f} MB PSS"


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A private folder for one part of the bench."""
    with tempfile.TemporaryDirectory(prefix="stackshift-bench-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def environment(database_url: str, var: Path, **changes: str) -> dict[str, str]:
    """The platform's whole environment; nothing of the caller's own configuration gets in."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "DJANGO_SETTINGS_MODULE": "stackshift_mail.settings",
        "DATABASE_URL": database_url,
        "STACKSHIFT_VAR": str(var),
        "SECRET_KEY": "for-the-bench-only-" + "0" * 40,
        "FIELD_KEYS": Fernet.generate_key().decode(),
        "DELIVERY_WORKERS": str(DELIVERY_WORKERS),
        "LOG_LEVEL": "WARNING",
        **changes,
    }


def migrate(env: Mapping[str, str]) -> None:
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity=0"], cwd=ROOT, env=env, check=True)


def answer(module: str, *arguments: object, env: Mapping[str, str]) -> Any:
    """Runs a module to its end and returns the JSON that it printed."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, check=True, timeout=300)
    return json.loads(done.stdout)


@contextlib.contextmanager
def running(command: Sequence[str], env: Mapping[str, str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process for as long as the block lasts; its whole process group is gone afterwards."""
    process = subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def cpu_seconds(root: int) -> float:
    """Of a process and its descendants, those included that have ended and were waited for."""
    found = _processes()
    ticks, family = 0, [root]
    while family:
        pid = family.pop()
        ticks += found[pid][1] if pid in found else 0
        family += [child for child, (parent, _) in found.items() if parent == pid]
    return ticks / TICKS_PER_SECOND


def children(root: int) -> list[int]:
    return [pid for pid, (parent, _) in _processes().items() if parent == root]


def memory(pid: int) -> Memory:
    sizes = _sizes(Path(f"/proc/{pid}/status").read_text())
    try:
        rollup = _sizes(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:
        rollup = {}
    return Memory(sizes["VmRSS"], rollup.get("Pss"))


def _processes() -> dict[int, tuple[int, int]]:
    """The parent and the ticks of every process; ticks include its ended children."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name stands in brackets and may hold anything, so the count starts behind the last of them.
            fields = path.read_text().rpartition(")")[2].split()
            found[int(path.parent.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    return found


def _sizes(text: str) -> dict[str, float]:
    """The lines `Name:   1234 kB`, in MB."""
    lines = (line.partition(":") for line in text.splitlines() if line.endswith(" kB"))
    return {name: int(value.split()[0]) / 1024 for name, _, value in lines}
