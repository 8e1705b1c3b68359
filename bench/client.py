"""A closed-loop HTTP client, cheap enough not to be what is measured: POSTs one body over kept connections.

`python -m bench.client PORT PATH KEY CONNECTIONS REQUESTS < BODY` prints its figures as JSON.
"""

import asyncio
import json
import os
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

import uvloop

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(slots=True)
class Load:
    """What all connections share: the request, how many of it are left, and what came back."""

    request: bytes
    left: int
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    in_flight: int = 0
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)


class Connection(asyncio.Protocol):
    """One kept connection: the next request goes out when the last answer is complete."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._post()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not found or length is None or len(body) < int(length[1]):
            return
        self._received = b""
        self._load.seconds.append(time.perf_counter() - self._began)
        status = head[9:12]
        self._load.statuses[status.decode()] += 1
        self._load.in_flight -= 1
        if not status.startswith(b"2"):
            self._load.left = 0  # whatever is wrong, more of it tells nothing
        self._post()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._load.finished.is_set():
            self._load.statuses["lost connection"] += 1
            self._load.finished.set()

    def _post(self) -> None:
        if self._load.left:
            self._load.left -= 1
            self._load.in_flight += 1
            self._began = time.perf_counter()
            self._transport.write(self._load.request)
        elif not self._load.in_flight:
            self._load.finished.set()


async def run(port: int, load: Load, connections: int) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", port)
    await load.finished.wait()
    times = os.times()
    return {
        "seconds": time.perf_counter() - began,
        "latencies": load.seconds,
        "statuses": load.statuses,
        "cpu": times.user + times.system,
    }


def main() -> None:
    port, path, key, connections, requests = sys.argv[1:]
    body = sys.stdin.buffer.read()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    load = Load(head.encode() + body, int(requests))
    print(json.dumps(uvloop.run(run(int(port), load, int(connections)))))


if __name__ == "__main__":
    main()
