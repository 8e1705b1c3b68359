"""The web server, started as the platform starts it, for whatever application is to be measured."""

import contextlib
import http.client
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench import processes
from bench.processes import Memory

WORKERS = 2
START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Web:
    """A running gunicorn; `pid` is its arbiter."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        return processes.cpu_seconds(self.pid)

    def largest_worker(self) -> Memory:
        return max((processes.memory(pid) for pid in processes.children(self.pid)), key=lambda used: used.charged)


@contextlib.contextmanager
def gunicorn(application: str, env: Mapping[str, str]) -> Iterator[Web]:
    port = _free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "stackshift_mail/gunicorn.conf.py", application]
    env = {**env, "PORT": str(port), "WEB_WORKERS": str(WORKERS)}
    with processes.running(command, env) as process:
        _wait(port)
        yield Web(process.pid, port)


def _wait(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.suppress(OSError), contextlib.closing(connection):
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            return
        time.sleep(0.1)
    raise RuntimeError(f"no web server on port {port} after {START_SECONDS} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
