"""Reads a captured message for a person's eyes (RFC 5322, 2045-2047). Hostile input gives less, never an error."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message

# Of text on a page of ours; and of the HTML part, which stands in a frame of its own.
MAX_SHOWN, MAX_HTML = 200_000, 5_000_000
MAX_PARTS = 100
MAX_HEADERS = 200
# What Python's parser and its decoders are known to raise on malformed mail.
FAULTS = (MessageError, ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError)
UNREADABLE = "This message cannot be taken apart; its source is all there is to see."
# Controls, and what reorders the characters around it, so that a name reads as another one (U+202E above all).
MISLEADING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    content_type: str
    content: bytes = field(repr=False)

    @property
    def size(self) -> int:
        return len(self.content)


@dataclass(frozen=True, slots=True)
class Letter:
    """What the inbox shows; `fault` says why there is nothing."""

    headers: Sequence[tuple[str, str]] = ()
    text: str | None = None
    html: str | None = None
    attachments: Sequence[Attachment] = ()
    fault: str = ""
    # Whether a part that is shown is longer than what is shown of it.
    is_shortened: bool = False


def read(source: bytes) -> Letter:
    """Takes a message apart as far as it can be."""
    try:
        return _read(source)
    except FAULTS:
        return Letter(fault=UNREADABLE)


def printable_source(source: bytes) -> str:
    """The beginning of the message as it was captured."""
    return _printable(source[:MAX_SHOWN].decode("utf-8", "replace")) + ("\n…" if len(source) > MAX_SHOWN else "")


def unambiguous(text: str) -> str:
    """One line that reads as it is written, for names and addresses that somebody trusts before a click."""
    return MISLEADING.sub("\ufffd", text)


def _read(source: bytes) -> Letter:
    # The default policy of this class keeps headers as they are; the modern one parses them and may raise.
    message = message_from_bytes(source)
    text: str | None = None
    html: str | None = None
    is_shortened = False
    attachments = []
    for part in _leaves(message):
        kind = part.get_content_type()
        content = part.get_payload(decode=True)
        data = content if isinstance(content, bytes) else b""
        is_shown = part.get_content_disposition() != "attachment"
        if is_shown and kind == "text/plain" and text is None:
            text, is_shortened = _decoded(data, part, MAX_SHOWN), is_shortened or len(data) > MAX_SHOWN
        elif is_shown and kind == "text/html" and html is None:
            html, is_shortened = _decoded(data, part, MAX_HTML), is_shortened or len(data) > MAX_HTML
        else:
            attachments.append(Attachment(unambiguous(_header(_file_name(part))), _printable(kind), data))
    headers = [(_printable(name), _header(value)) for name, value in message.items()[:MAX_HEADERS]]
    return Letter(headers=headers, text=text, html=html, attachments=attachments, is_shortened=is_shortened)


def _leaves(message: Message) -> Iterator[Message]:
    leaves = (part for part in message.walk() if not part.is_multipart())
    return (part for _, part in zip(range(MAX_PARTS), leaves, strict=False))


def _file_name(part: Message) -> str:
    try:
        return part.get_filename() or "(no name)"
    except FAULTS:
        return "(name cannot be read)"


def _decoded(data: bytes, part: Message, most: int) -> str:
    charset = part.get_param("charset") or "utf-8"
    try:
        text = data[:most].decode(charset if isinstance(charset, str) else "utf-8", "replace")
    except (LookupError, ValueError):
        text = data[:most].decode("utf-8", "replace")
    return _printable(text) + ("\n…" if len(data) > most else "")


def _header(value: object) -> str:
    """The value with its encoded words read, or as it stands where they cannot be."""
    text = str(value)
    with suppress(*FAULTS):
        text = str(make_header(decode_header(text)))
    return _printable(text)


def _printable(text: str) -> str:
    """Without lone surrogates, which no answer could be encoded with, and without NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
