"""A cheap SMTP sink for load: parses no more than it must, and keeps a ledger of what it accepted.

The ledger is one JSON line per message, each written with one `write()`, so that it can be read while it
grows and never holds half a line.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import time
from dataclasses import dataclass
from typing import cast

try:
    import uvloop
except ImportError:
    uvloop = None  # type: ignore[assignment]

GREETING = b"220 sink.test ESMTP\r\n"
HELLO = b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 104857600\r\n"


@dataclass(slots=True)
class Ledger:
    """What the sink accepted, and whether it said so."""

    descriptor: int
    drop_every: int = 0  # after every n-th message hang up instead of answering: 0 is never
    delay: float = 0.0  # seconds between the final dot and the answer
    accepted: int = 0

    def note(self, line: dict[str, object]) -> None:
        os.write(self.descriptor, json.dumps(line).encode() + b"\n")


class FastSink(asyncio.Protocol):
    """One connection to the sink."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rest = b""
        self._in_content = False
        self._sender = ""
        self._recipients: list[str] = []
        self._unanswered: dict[str, object] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(GREETING)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._unanswered is not None:
            self._ledger.note(self._unanswered)

    def data_received(self, data: bytes) -> None:
        self._rest += data
        answers: list[bytes] = []
        while self._rest and (self._take_content(answers) if self._in_content else self._take_line(answers)):
            pass
        if answers and self._transport is not None:
            self._transport.write(b"".join(answers))

    def _take_line(self, answers: list[bytes]) -> bool:
        line, found, rest = self._rest.partition(b"\r\n")
        if not found:
            return False
        self._rest = rest
        answers.append(self._answer(line))
        return True

    def _answer(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb == b"MAIL":
            self._sender, self._recipients = _path(line), []
            return b"250 2.1.0 Ok\r\n"
        if verb == b"RCPT":
            self._recipients.append(_path(line))
            return b"250 2.1.5 Ok\r\n"
        if verb == b"DATA":
            self._in_content = bool(self._recipients)
            return b"354 Go\r\n" if self._in_content else b"503 5.5.1 No recipients\r\n"
        if verb == b"EHLO":
            return HELLO
        if verb in (b"HELO", b"RSET", b"NOOP"):
            return b"250 2.0.0 Ok\r\n"
        if verb == b"QUIT":
            return b"221 2.0.0 Bye\r\n"
        return b"502 5.5.2 Unknown\r\n"

    def _take_content(self, answers: list[bytes]) -> bool:
        end = 0 if self._rest.startswith(b".\r\n") else self._rest.find(b"\r\n.\r\n") + 2
        if end == 1:
            return False
        content, self._rest = self._rest[:end], self._rest[end + 3 :]
        self._in_content = False
        self._accept(content.replace(b"\r\n..", b"\r\n.").removeprefix(b"."), answers)
        return True

    def _accept(self, content: bytes, answers: list[bytes]) -> None:
        ledger = self._ledger
        ledger.accepted += 1
        is_dropped = bool(ledger.drop_every) and ledger.accepted % ledger.drop_every == 0
        line: dict[str, object] = {
            "time": time.time(),
            "mail_from": self._sender,
            "rcpts": self._recipients,
            "message_id": _message_id(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "octets": len(content),
            "replied": not is_dropped,
        }
        if is_dropped:
            ledger.note(line)
            if self._transport is not None:
                self._transport.abort()
        elif ledger.delay:
            self._unanswered = line | {"replied": False}
            asyncio.get_running_loop().call_later(ledger.delay, self._answer_late, line)
        else:
            ledger.note(line)
            answers.append(b"250 2.0.0 Queued\r\n")

    def _answer_late(self, line: dict[str, object]) -> None:
        if self._transport is not None:
            self._unanswered = None
            self._ledger.note(line)
            self._transport.write(b"250 2.0.0 Queued\r\n")


def _path(line: bytes) -> str:
    return line[line.find(b"<") + 1 : line.rfind(b">")].decode("utf-8", "replace")


def _message_id(content: bytes) -> str:
    head = content[: content.find(b"\r\n\r\n") + 2]
    start = head.lower().find(b"\nmessage-id:")
    if start < 0:
        start = -1 if head[:11].lower() == b"message-id:" else len(head)
    value = head[start + 12 :]
    return value[: value.find(b"\r\n")].strip().decode("ascii", "replace")


async def serve(port: int, ledger: Ledger) -> None:
    """Serve until the process ends; say on standard output when it may be used."""
    server = await asyncio.get_running_loop().create_server(lambda: FastSink(ledger), "127.0.0.1", port)
    # The reader of this line knows that the port is open, also where it asked for port 0.
    os.write(1, f"ready {server.sockets[0].getsockname()[1]}\n".encode())
    await server.serve_forever()


def main() -> None:
    """The command line of `python -m tests.fakes.smtp_sink`."""
    parser = argparse.ArgumentParser(description="An SMTP sink with a ledger.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ledger", default=os.devnull)
    parser.add_argument("--drop-after-dot-every", type=int, default=0, metavar="N")
    parser.add_argument("--delay-ms", type=float, default=0.0, metavar="N")
    chosen = parser.parse_args()
    descriptor = os.open(chosen.ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    ledger = Ledger(descriptor, chosen.drop_after_dot_every, chosen.delay_ms / 1000)
    run = asyncio.run if uvloop is None else uvloop.run
    run(serve(chosen.port, ledger))
