"""What is read of a mail, as plain values that can cross a process boundary."""

from __future__ import annotations

from dataclasses import dataclass

from apps.protocols.reports.types import Limits

LIMITS = Limits(
    octets=128 * 1024 * 1024, lines=4_000_000, fields=20_000, field_octets=1024 * 1024, parts=1_000, depth=20
)
MAX_FILES = 500
MAX_ADDRESSES = 1_000
MAX_HEADERS = 500
MAX_VALUE = 20_000  # characters of one header field that is handed on
MAX_SUBJECT = 2_000
MAX_TEXT = 5_000_000  # octets of the text, and of the HTML


@dataclass(frozen=True, slots=True)
class Correspondent:
    """An address and the name beside it, as the sender wrote them; neither is proof of anything."""

    email: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A part that is not the text: what the sender called it, and its octets."""

    name: str
    content_type: str
    content_id: str
    is_inline: bool
    content: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail, read. `fault` says what could not be read, where something could not."""

    subject: str = ""
    from_: tuple[Correspondent, ...] = ()
    to: tuple[Correspondent, ...] = ()
    cc: tuple[Correspondent, ...] = ()
    reply_to: tuple[Correspondent, ...] = ()
    message_id: str = ""
    headers: tuple[tuple[str, str], ...] = ()  # lower-case name, unfolded value as it stands
    text: str | None = None
    html: str | None = None
    files: tuple[File, ...] = ()
    is_automatic: bool = False  # RFC 3834: nobody should answer it by itself
    hops: int = 0  # Received fields
    fault: str = ""
