"""HTTP/1.1 from the side of a client that wants to know little of the answer: status, headers, the first bytes.

RFC 9112. Whatever a server sends, no more than a fixed number of bytes is read, and what cannot be read is Malformed.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_BYTES = 64 * 1024
MAX_INTERIM = 8
SWITCHING_PROTOCOLS = 101

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([^\r\n]*))?")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?\r\n", re.DOTALL)


class Malformed(Exception):
    """What came back is not an answer in HTTP/1.1."""


class NothingCame(Exception):
    """The connection ended before the first byte of an answer."""


@dataclass(slots=True)
class Head:
    """The status line and the headers, by lower-case name; of a header that comes twice, the first."""

    status: int
    headers: dict[str, str]
    may_be_kept: bool


@dataclass(slots=True)
class Body:
    """The first bytes of a body, and whether the connection stands after its end."""

    content: bytes = b""
    is_whole: bool = False


@dataclass(slots=True)
class Budget:
    """The bytes that may still be read."""

    left: int = field(default=MAX_BYTES)

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise Malformed("the headers of the answer are too long")


def request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """The bytes of a request. Raises ValueError where a header would smuggle a line."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line break in a request's header")
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("latin-1") + body


async def read_head(reader: asyncio.StreamReader, budget: Budget) -> Head:
    """The final answer's head, after interim ones (RFC 9110, section 15.2). Raises Malformed, NothingCame."""
    for _ in range(MAX_INTERIM):
        raw = await _until_blank_line(reader)
        budget.spend(len(raw))
        head = _parse_head(raw)
        if head.status >= 200 or head.status == SWITCHING_PROTOCOLS:
            return head
    raise Malformed("too many interim answers came and no final one")


async def read_body(reader: asyncio.StreamReader, head: Head, budget: Budget, body: Body) -> None:
    """Fills `body` as far as the budget allows; what is there already counts if the caller stops waiting."""
    if head.status in {204, 304} or head.status < 200:
        body.is_whole = True
    elif "transfer-encoding" in head.headers:
        # RFC 9112, section 6.1: a length beside it may be an attempt at smuggling, so such a connection ends.
        is_sound = head.headers["transfer-encoding"].strip().lower() == "chunked"
        body.is_whole = is_sound and await _read_chunks(reader, budget, body) and "content-length" not in head.headers
    elif (length := head.headers.get("content-length", "")).isdigit() and length.isascii():
        body.is_whole = await _read_some(reader, int(length[:18]), budget, body)
    else:
        await _read_some(reader, budget.left, budget, body)


async def _until_blank_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            raise NothingCame from error
        raise Malformed("the answer ended within its headers") from error
    except asyncio.LimitOverrunError as error:
        raise Malformed("the headers of the answer are too long") from error


def _parse_head(raw: bytes) -> Head:
    first, *lines = raw[:-4].split(b"\r\n")
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise Malformed("what came back is not HTTP/1.1")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon:
            headers.setdefault(name.decode("latin-1").lower(), value.strip().decode("latin-1"))
    asked_to_close = "close" in headers.get("connection", "").lower()
    return Head(int(match[2]), headers, may_be_kept=match[1] == b"1" and not asked_to_close)


async def _read_some(reader: asyncio.StreamReader, length: int, budget: Budget, body: Body) -> bool:
    """Whether all of them came."""
    left = length
    while left and budget.left:
        part = await reader.read(min(left, budget.left))
        if not part:
            return False
        body.content += part
        left -= len(part)
        budget.left -= len(part)
    return not left


async def _read_chunks(reader: asyncio.StreamReader, budget: Budget, body: Body) -> bool:
    """Whether the last chunk came, without trailers (RFC 9112, section 7.1)."""
    while budget.left > 0:
        try:
            line = await reader.readuntil(b"\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return False
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            return False
        budget.left -= len(line)
        length = int(size[1], 16)
        if not await _read_some(reader, length, budget, body) or await reader.read(2) != b"\r\n":
            return False
        budget.left -= 2
        if not length:
            return True
    return False
