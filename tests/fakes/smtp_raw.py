"""An SMTP server that misbehaves by script: hangs, drips, resets, lies; it records what it was told.

A script maps a phase ("banner", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot", "rset", "quit") to
what happens there: a reply as text, exact bytes, or one of the actions below. A list is used up one item a
time, over all connections; `None` in it, and everything after its end, is the ordinary answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, cast


@dataclass(frozen=True, slots=True)
class Hang:
    """Say nothing more, and keep the connection."""


@dataclass(frozen=True, slots=True)
class Deaf:
    """Say nothing more and read nothing more, until the test is over."""


@dataclass(frozen=True, slots=True)
class Close:
    """Hang up in good order, without a reply."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Break the connection (RST)."""


@dataclass(frozen=True, slots=True)
class Drip:
    """Send these bytes one at a time, then nothing."""

    data: bytes
    pause: float = 0.01


@dataclass(frozen=True, slots=True)
class Endless:
    """Send these bytes again and again, as long as the other side takes them."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Delay:
    """Answer, but later."""

    seconds: float
    reply: str


@dataclass(frozen=True, slots=True)
class Then:
    """Answer, and then do this without being asked."""

    reply: str
    after: Hang | Deaf | Close | Reset | Drip


Action = str | bytes | Hang | Deaf | Close | Reset | Drip | Endless | Delay | Then
Script = Mapping[str, Action | Sequence[Action | None]]

_ORDINARY = {
    "banner": "220 raw.test ESMTP",
    "starttls": "220 2.0.0 Go",
    "auth": "235 2.7.0 In",
    "mail": "250 2.1.0 Ok",
    "rcpt": "250 2.1.5 Ok",
    "data": "354 Go",
    "dot": "250 2.0.0 Queued",
    "rset": "250 2.0.0 Ok",
    "quit": "221 2.0.0 Bye",
}


@dataclass(slots=True)
class RawMessage:
    """What came between 354 and the final dot, dots and all."""

    recipients: list[str]
    data: bytes


@dataclass
class RawSmtpServer:
    """A scripted server in a thread of its own: `with RawSmtpServer({"mail": Hang()}) as server:`."""

    script: Script = field(default_factory=dict)
    features: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8")
    host: str = "127.0.0.1"
    port: int = 0
    connections: int = 0
    commands: list[str] = field(default_factory=list)  # each line received, over all connections
    messages: list[RawMessage] = field(default_factory=list)  # complete with their final dot, answered or not
    closed: threading.Event = field(default_factory=threading.Event)  # set when a client has gone

    def __enter__(self) -> Self:
        self._used: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._on_loop(asyncio.start_server(self._serve, self.host, self.port, limit=1 << 20))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._on_loop(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _on_loop(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _stop(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await _Conversation(self, reader, writer).run()
        writer.close()
        self.closed.set()

    def next_action(self, phase: str) -> Action:
        action = self.script.get(phase)
        if isinstance(action, Sequence) and not isinstance(action, str | bytes):
            turn = self._used.get(phase, 0)
            self._used[phase] = turn + 1
            action = action[turn] if turn < len(action) else None
        if action is not None:
            return action
        if phase == "ehlo":
            lines = ("raw.test", *self.features)
            return "".join(f"250-{line}\r\n" for line in lines[:-1]).encode() + f"250 {lines[-1]}\r\n".encode()
        return _ORDINARY.get(phase, "502 5.5.2 Unknown")


@dataclass
class _Conversation:
    server: RawSmtpServer
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    recipients: list[str] = field(default_factory=list)

    async def run(self) -> None:
        goes_on = await self._act("banner")
        while goes_on and (line := await self.reader.readline()):
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            self.server.commands.append(text)
            goes_on = await self._obey(text)

    async def _obey(self, text: str) -> bool:
        phase = {"helo": "ehlo"}.get(verb := text[:4].lower(), {"star": "starttls"}.get(verb, verb))
        if phase == "mail":
            self.recipients = []
        if phase == "rcpt":
            self.recipients.append(text[text.find("<") + 1 : text.rfind(">")])
        goes_on = await self._act(phase)
        if phase == "data" and goes_on and self._last.startswith(b"354"):
            return await self._content()
        return goes_on and phase != "quit"

    async def _content(self) -> bool:
        received = b""
        while not (received == b".\r\n" or received.endswith(b"\r\n.\r\n")):
            received += await self.reader.readuntil(b"\r\n")
        self.server.messages.append(RawMessage(self.recipients, received[:-3]))
        return await self._act("dot")

    async def _act(self, phase: str) -> bool:
        """Do what the script says; False if this connection is over."""
        action = self.server.next_action(phase)
        while isinstance(action, Then | Delay):
            if isinstance(action, Delay):
                await asyncio.sleep(action.seconds)
                action = action.reply
            else:
                await self._send(f"{action.reply}\r\n".encode())
                action = action.after
        if isinstance(action, str):
            action = f"{action}\r\n".encode()
        if isinstance(action, bytes):
            await self._send(action)
            return True
        await _LAST_WORDS[type(action)](self, action)
        return False

    async def _send(self, data: bytes) -> None:
        self._last = data
        self.writer.write(data)
        await self.writer.drain()

    async def _hang(self, _action: Hang) -> None:
        while await self.reader.read(65_536):
            pass

    async def _deafen(self, _action: Deaf) -> None:
        cast(asyncio.Transport, self.writer.transport).pause_reading()
        await asyncio.Event().wait()

    async def _close(self, _action: Close) -> None:
        self.writer.close()

    async def _reset(self, _action: Reset) -> None:
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    async def _drip(self, action: Drip) -> None:
        for octet in action.data:
            await self._send(bytes((octet,)))
            await asyncio.sleep(action.pause)
        await self._hang(Hang())

    async def _endless(self, action: Endless) -> None:
        while not self.writer.is_closing():
            await self._send(action.data)


_LAST_WORDS: dict[type, Callable[[_Conversation, Any], Coroutine[Any, Any, None]]] = {
    Hang: _Conversation._hang,
    Deaf: _Conversation._deafen,
    Close: _Conversation._close,
    Reset: _Conversation._reset,
    Drip: _Conversation._drip,
    Endless: _Conversation._endless,
}
