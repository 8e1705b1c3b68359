"""The bytes of an SMTP conversation (RFC 5321): replies in, commands and content out, every wait bounded.

What is said in which order is decided in `smtp.py` and `smtp_session.py`; what an answer means in `reply.py`.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, cast

# RFC 5321 section 4.5.3.1.5 allows 512 octets a reply line; more is cut, much more is an attack.
MAX_LINE = 2_048
MAX_LINES = 100
MAX_REPLY = 65_536
MAX_TEXT = 1_000
# More unread replies than the largest pipeline (1,000 recipients) can ever earn.
MAX_UNREAD = 2_048


class Phase(StrEnum):
    """Where in the conversation an answer was given."""

    CONNECT = "connect"
    BANNER = "banner"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"
    RSET = "rset"
    QUIT = "quit"


class FailureKind(StrEnum):
    """Why there is no reply."""

    TIMEOUT = "timeout"  # the server said nothing (or not enough) in time
    REFUSED = "refused"  # nobody listens on that port
    RESET = "reset"  # the connection broke
    UNREACHABLE = "unreachable"  # no way to the host
    CLOSED = "closed"  # the server hung up in good order, but without an answer
    TLS = "tls"  # the handshake failed, or the certificate did not convince
    PROTOCOL = "protocol"  # what came is not SMTP, or too much of it, or out of turn
    NOT_OFFERED = "not_offered"  # STARTTLS is required and not offered
    AUTH = "auth"  # credentials could not be offered safely, or not at all
    TOO_LARGE = "too_large"  # larger than the SIZE that the server announced; nothing was sent
    SMTPUTF8 = "smtputf8"  # needs SMTPUTF8, which the server does not offer; nothing was sent
    EIGHT_BIT = "eight_bit"  # needs 8BITMIME, which the server does not offer; nothing was sent
    ABORTED = "aborted"  # the caller called it off before the point of no return


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server said; never an exception, whatever the code."""

    code: int
    enhanced: str | None
    text: str
    command: Phase
    milliseconds: int

    @property
    def line(self) -> str:
        """The reply as one line, as it would stand in a log."""
        return " ".join(part for part in (str(self.code), self.enhanced, self.text) if part)


@dataclass(frozen=True, slots=True)
class Failure:
    """What happened instead of a reply."""

    kind: FailureKind
    command: Phase
    text: str
    milliseconds: int

    @property
    def line(self) -> str:
        return f"({self.kind}) {self.text}"


Answer = Reply | Failure


class RawReply(NamedTuple):
    """A complete reply as bytes: the code, and each line without it."""

    code: int
    lines: list[bytes]


class ReplyParser:
    """Cuts a byte stream into replies. Never raises; `broken` says why it can read no further."""

    __slots__ = ("_lines", "_rest", "_size", "broken")

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._rest = b""
        self._size = 0
        self.broken: str | None = None

    @property
    def is_idle(self) -> bool:
        """True between two replies: nothing begun, nothing left over."""
        return not (self._rest or self._lines)

    def feed(self, data: bytes) -> list[RawReply]:
        """The replies that are complete now."""
        replies: list[RawReply] = []
        if self.broken is not None:
            return replies
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            reply = self._end_line(line)
            if reply is not None:
                replies.append(reply)
            elif self.broken is not None:
                return replies
        # Cutting here keeps a byte-by-byte drip from copying an ever longer line.
        self._size += max(0, len(rest) - MAX_LINE)
        self._rest = rest[:MAX_LINE]
        if self._size + len(self._rest) > MAX_REPLY:
            self.broken = f"the reply is longer than {MAX_REPLY:,} octets"
        return replies

    def _end_line(self, line: bytes) -> RawReply | None:
        self._size += len(line) + 1
        line = line.removesuffix(b"\r")
        code, mark = line[:3], line[3:4]
        # RFC 5321 section 4.2: three digits, the first of them 2 to 5, then a space, a hyphen or the end.
        if len(code) != 3 or not code.isdigit() or not b"2" <= code < b"6" or mark not in (b" ", b"-", b""):
            self.broken = f"not an SMTP reply: {clean(line[:80].decode('utf-8', 'replace'))}"
            return None
        if self._size > MAX_REPLY or len(self._lines) >= MAX_LINES:
            self.broken = f"the reply has more than {MAX_LINES} lines or {MAX_REPLY:,} octets"
            return None
        self._lines.append(line[4:MAX_LINE])
        if mark == b"-":
            return None
        # RFC 5321 section 4.2.1: the line without the hyphen carries the code that counts.
        reply = RawReply(int(code), self._lines)
        self._lines, self._size = [], 0
        return reply


# RFC 3463 section 2. `5.1`, `5.1.` and `5.1.1.1` are not codes and stay text.
_ENHANCED = re.compile(r"#?([245])\.([0-9]{1,3})\.([0-9]{1,3})(?!\.?\w)[.:]?\s*", re.ASCII)
# qmail and its children put the code at the end of the text.
_ENHANCED_AT_END = re.compile(r"\(#([245])\.([0-9]{1,3})\.([0-9]{1,3})\)")


def reply_from(raw: RawReply, command: Phase, milliseconds: int) -> Reply:
    """A reply made of its bytes: enhanced code normalised, text safe to store and to show."""
    enhanced = None
    texts = []
    for line in raw.lines:
        text = clean(line.decode("utf-8", "replace"))
        found = _ENHANCED.match(text)
        if found is not None:
            code = _normalised(found)
            enhanced = enhanced or code
            if code == enhanced:  # RFC 2034 section 4: every line repeats it
                text = text[found.end() :]
        texts.append(text)
    joined = texts[0] if len(texts) == 1 else " ".join(filter(None, texts))
    if enhanced is None and "(#" in joined:
        found = _ENHANCED_AT_END.search(joined)
        enhanced = _normalised(found) if found is not None else None
    return Reply(raw.code, enhanced, joined[:MAX_TEXT], command, milliseconds)


def _normalised(found: re.Match[str]) -> str:
    kind, subject, detail = found.groups()
    return f"{kind}.{int(subject)}.{int(detail)}"


def clean(text: str) -> str:
    """Text without control, format and bidirectional characters: safe in a log, a table and a page."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return text.strip()


def check_content(content: bytes) -> None:
    """Raises ValueError unless every line ends in CRLF and no CR or LF stands alone.

    A bare CR or LF here is the outbound half of SMTP smuggling: RFC 5321 section 2.3.8 forbids it.
    """
    breaks = content.count(b"\r\n")
    if not content.endswith(b"\r\n") or content.count(b"\n") != breaks or content.count(b"\r") != breaks:
        raise ValueError("The content must consist of lines that end in CRLF, without a bare CR or LF.")


def dot_stuffed(content: bytes) -> bytes:
    """The content with each leading dot doubled (RFC 5321 section 4.5.2), without the final dot."""
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..")


class Wire(asyncio.Protocol):
    """One connection. Replies queue up as they arrive; whoever waits for one gives a deadline (loop time)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.last_lines: list[bytes] = []  # of the reply read last; only EHLO needs them apart
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = ReplyParser()
        self._replies: deque[tuple[RawReply, float]] = deque()
        self._waiter: asyncio.Future[bool] | None = None
        self._is_full = False
        self._sent_at = loop.time()
        self._ending: tuple[FailureKind, str] | None = None

    @property
    def is_open(self) -> bool:
        return self._ending is None and self._transport is not None

    @property
    def has_unread(self) -> bool:
        """True if the server has said something that nobody has read yet."""
        return bool(self._replies) or not self._parser.is_idle

    def write(self, data: bytes) -> None:
        """Send. Without effect on an ended connection: the reply awaited next tells."""
        self._sent_at = self._loop.time()
        if self._ending is None and self._transport is not None:
            self._transport.write(data)

    async def reply(self, command: Phase, by: float) -> Answer:
        """The next reply, complete. A failure leaves the connection closed, and so does a 421."""
        while not self._replies:
            if self._ending is not None:
                return Failure(self._ending[0], command, self._ending[1], self._elapsed(self._loop.time()))
            if not await self._woken(by):
                return self.fail(FailureKind.TIMEOUT, command, "the server did not answer in time")
        raw, arrived = self._replies.popleft()
        self.last_lines = raw.lines
        if raw.code == 421:
            # RFC 5321 section 3.8: whatever was asked, the server is closing the channel.
            self.abort()
        return reply_from(raw, command, self._elapsed(arrived))

    async def drained(self, command: Phase, by: float) -> Failure | None:
        """Wait until there is room to write, the server speaks, or the connection ends."""
        while self._is_full and self._ending is None and not self._replies:
            if not await self._woken(by):
                return self.fail(FailureKind.TIMEOUT, command, "the server did not take the content in time")
        return None

    async def start_tls(self, context: ssl.SSLContext, host: str, *, command: Phase, by: float) -> Failure | None:
        """Put TLS under the conversation. RFC 3207 section 5, for what may lie in between."""
        if self.has_unread:
            # Bytes sent in clear must never be taken for an answer given under TLS (response injection).
            return self.fail(FailureKind.PROTOCOL, command, "the server spoke between STARTTLS and the handshake")
        if self._transport is None or self._ending is not None:
            return self.fail(FailureKind.CLOSED, command, "the server hung up before the handshake")
        try:
            async with asyncio.timeout_at(by):
                transport = await self._loop.start_tls(
                    self._transport, self, context, server_hostname=host.rstrip(".") or None
                )
        except TimeoutError:
            return self.fail(FailureKind.TLS, command, "the TLS handshake did not end in time")
        except (
            OSError,
            ValueError,
        ) as error:  # ssl.SSLError is an OSError; a name unfit for SNI a ValueError
            return self.fail(FailureKind.TLS, command, clean(str(error)) or "the TLS handshake was broken off")
        if transport is None:
            return self.fail(FailureKind.TLS, command, "the TLS handshake was broken off")
        self._transport = transport
        return None

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        """The TLS state of the connection, if there is one."""
        return self._transport.get_extra_info("ssl_object") if self._transport is not None else None

    def fail(self, kind: FailureKind, command: Phase, text: str) -> Failure:
        """End the connection for this reason; the reason as a value."""
        self._end(kind, text)
        self.abort()
        return Failure(kind, command, text[:MAX_TEXT], self._elapsed(self._loop.time()))

    def abort(self) -> None:
        """Close at once, dropping what is not sent yet."""
        self._end(FailureKind.CLOSED, "the connection is closed")
        if self._transport is not None:
            self._transport.abort()

    def dismiss(self) -> None:
        """Say QUIT (RFC 5321 section 4.1.1.10) without waiting for the answer, and close."""
        self.write(b"QUIT\r\n")
        self._end(FailureKind.CLOSED, "the connection is closed")
        if self._transport is not None:
            self._transport.close()

    async def _woken(self, by: float) -> bool:
        """True when something has happened, False when the deadline has passed."""
        self._waiter = waiter = self._loop.create_future()
        timer = self._loop.call_at(by, _expire, waiter)
        try:
            return bool(await waiter)
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)

    def _end(self, kind: FailureKind, text: str) -> None:
        if self._ending is None:
            self._ending = (kind, text[:MAX_TEXT])

    def _elapsed(self, now: float) -> int:
        # A reply that arrived before the command was written is nobody's delay.
        return max(0, round((now - self._sent_at) * 1000))

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        now = self._loop.time()
        for raw in self._parser.feed(data):
            self._replies.append((raw, now))
        broken = self._parser.broken
        if broken is None and len(self._replies) > MAX_UNREAD:
            broken = "the server sends replies that nobody asked for"
        if broken is not None:
            self._end(FailureKind.PROTOCOL, broken)
            self.abort()
        if self._replies or broken is not None:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            self._end(FailureKind.CLOSED, "the server closed the connection")
        elif isinstance(exc, TimeoutError):
            self._end(FailureKind.TIMEOUT, "the server no longer answers")
        else:
            self._end(FailureKind.RESET, clean(str(exc)) or "the connection broke")
        self._wake()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._wake()


def _expire(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)
