"""Compose a mail as the exact bytes that are signed and sent (RFC 5322, RFC 2045 to 2047, RFC 6532).

Nothing here repairs a header: what callers hand in is checked by `check_headers`, by `check_text` and by the
address module when it is accepted; composing what they would refuse is misuse and raises.
"""

import base64
import binascii
import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import AnyStr

from apps.protocols.address import Mailbox
from apps.protocols.text import TextError, check_text, holds_encoded_word

MAX_HEADERS = 50
MAX_HEADER_NAME = 60
MAX_HEADER_VALUE = 998  # octets
MAX_HEADERS_SIZE = 16 * 1024  # octets, all names and values together

_SOFT_LIMIT = 76  # RFC 2047, 2 for lines with encoded words; within the 78 of RFC 5322, 2.1.1
_HARD_LIMIT = 998  # RFC 5322, 2.1.1
_ENCODED_WORD_LIMIT = 75  # RFC 2047, 2
_ENCODED_WORD_FRAME = len("=?utf-8?q??=")
# An address with a shorter name stays in one piece, so that lists fold between addresses.
_ADDRESS_LIMIT = 64

_HEADER_NAME = re.compile(rf"[A-Za-z0-9-]{{1,{MAX_HEADER_NAME}}}")
# Written by us, by relays, or telling who sent the mail; a caller's copy would be a second, false one.
_RESERVED_NAMES = frozenset(
    {
        "from",
        "to",
        "cc",
        "bcc",
        "subject",
        "date",
        "message-id",
        "reply-to",
        "sender",
        "return-path",
        "authentication-results",
        "mime-version",
    }
)
_RESERVED_PREFIXES = ("received", "dkim-", "arc-", "content-", "resent-")
_PLATFORM_PREFIX = "x-stackshift-"

_MESSAGE_ID = re.compile(r"[!-;=?A-~]+@[!-;=?A-~]+")
# The shape of a canonical address, as a last guard against a second one in the same place.
_CANONICAL = re.compile(r"[^\s<>()\[\],;:\\\"@]+@[a-z0-9.-]+")
# RFC 5322, 3.2.3: names of these words alone need no quotes.
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
# One word with the spaces that stand before it, less the one that a fold takes. Only for text that ends in a
# word: spaces at the end would cost quadratic time.
_SPACED_WORD = re.compile(r"(?:\A| )( *[^ ]+)")

# ASCII that no relay has reason to touch, with the tab and the line end.
_PRINTABLE = bytes([0x09, 0x0A, *range(0x20, 0x7F)])
_LONG_ENDING = re.compile(rb"^(.{74,75})(=20|=09)$", re.MULTILINE)
_FROM_LINE = re.compile(rb"^From ", re.MULTILINE)

# RFC 5322, 3.3: English, whatever the locale of the process.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class HeaderError(ValueError):
    """A caller's header cannot be sent; `reason` can be shown to the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Mail:
    """All that composing needs, checked and canonical. Recipients in bcc stand in no header, so not here."""

    sender: Mailbox
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    reply_to: Mailbox | None
    subject: str
    text: str | None
    html: str | None
    headers: tuple[tuple[str, str], ...]
    message_id: str  # without the angle brackets
    date: datetime  # aware


def compose(mail: Mail) -> bytes:
    """Return the mail with CRLF line ends throughout; the same Mail gives the same bytes.

    Raises ValueError for what the checks at the door would have refused.
    """
    fields, body = _content(mail)
    head = "\r\n".join((*_own_headers(mail), *_extra_headers(mail.headers), "MIME-Version: 1.0", *fields))
    return b"%s\r\n\r\n%s" % (head.encode(), body)


def needs_smtputf8(mail: Mail) -> bool:
    """Whether the header itself holds UTF-8 (RFC 6531, 3.4), so that only an SMTPUTF8 host can take it."""
    boxes = (mail.sender, *mail.to, *mail.cc, *((mail.reply_to,) if mail.reply_to else ()))
    return any(box.needs_smtputf8 for box in boxes)


def check_headers(headers: Mapping[str, str]) -> None:
    """Check all the headers of one request, each alone and all together. Raises HeaderError."""
    if len(headers) > MAX_HEADERS:
        raise HeaderError(f"A message may have at most {MAX_HEADERS} headers of its own.")
    seen: set[str] = set()
    size = 0
    for name, value in headers.items():
        check_header(name, value)
        if name.lower() in seen:
            raise HeaderError(f"The header {name} is given twice.")
        seen.add(name.lower())
        size += len(name) + len(value.encode())
    if size > MAX_HEADERS_SIZE:
        raise HeaderError(f"The headers hold more than {MAX_HEADERS_SIZE} bytes together.")


def check_header(name: str, value: str) -> None:
    """Check one header that a caller adds. Raises HeaderError."""
    _check_form(name, value)
    if _is_reserved(name) or name.lower().startswith(_PLATFORM_PREFIX):
        raise HeaderError(f"The header {name} is set by the platform and cannot be given.")


def _check_form(name: str, value: str) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise HeaderError(f"A header name must be 1 to {MAX_HEADER_NAME} ASCII letters, digits and hyphens.")
    try:
        check_text(value)
    except TextError as error:
        raise HeaderError(f"The value of the header {name} cannot be sent. {error.reason}") from error
    if len(value.encode()) > MAX_HEADER_VALUE:
        raise HeaderError(f"The value of the header {name} is longer than {MAX_HEADER_VALUE} bytes.")


def _is_reserved(name: str) -> bool:
    return name.lower() in _RESERVED_NAMES or name.lower().startswith(_RESERVED_PREFIXES)


def _own_headers(mail: Mail) -> list[str]:
    if not _MESSAGE_ID.fullmatch(mail.message_id):
        raise ValueError("the message id is not of the form left@right")
    lines = [_address_header("From", (mail.sender,))]
    # RFC 5322, 3.4: an empty group says that the recipients are kept back.
    lines.append(_address_header("To", mail.to) if mail.to else "To: undisclosed-recipients:;")
    if mail.cc:
        lines.append(_address_header("Cc", mail.cc))
    if mail.reply_to:
        lines.append(_address_header("Reply-To", (mail.reply_to,)))
    lines.append(_header("Subject", _subject_chunks(mail.subject)))
    lines.append(f"Date: {_date(mail.date)}")
    lines.append(_header("Message-ID", [f"<{mail.message_id}>"]))
    return lines


def _extra_headers(headers: Sequence[tuple[str, str]]) -> list[str]:
    for name, value in headers:
        _check_form(name, value)
        # The platform's own X- headers may stand here; the names that this module writes may not.
        if _is_reserved(name):
            raise HeaderError(f"The header {name} is written by the composer.")
    return [_header(name, _value_chunks(name, value.strip(" "))) for name, value in headers]


def _header(name: str, chunks: Sequence[str]) -> str:
    """Join the chunks by single spaces, folding before one that would not fit (RFC 5322, 2.2.3)."""
    # The last gate before the wire: chunks come from several places, and none may hold a line end.
    check_text("".join(chunks))
    if not chunks:
        return f"{name}:"
    lines: list[str] = []
    line = f"{name}:"
    # Some readers stumble over a field name alone on its line; only the limits of the RFCs force that.
    limit = _SOFT_LIMIT if chunks[0].startswith("=?") else _HARD_LIMIT
    for chunk in chunks:
        if len(line) + 1 + len(chunk) > limit:
            lines.append(line)
            line = ""
        line = f"{line} {chunk}"
        limit = _SOFT_LIMIT
    return "\r\n".join((*lines, line))


def _address_header(name: str, boxes: Sequence[Mailbox]) -> str:
    chunks: list[str] = []
    for box in boxes:
        chunks += _mailbox_chunks(box)
        chunks[-1] += ","
    chunks[-1] = chunks[-1][:-1]
    return _header(name, chunks)


def _mailbox_chunks(box: Mailbox) -> list[str]:
    if not _CANONICAL.fullmatch(box.email):
        raise ValueError("the address of a mailbox is not in canonical form")
    if not box.name:
        return [box.email]
    address = f"<{box.email}>"
    phrase = _ascii_phrase(box.name)
    words = [phrase] if phrase else _encoded_words(box.name, _ADDRESS_LIMIT)
    whole = " ".join((*words, address))
    return [whole] if len(whole) <= _ADDRESS_LIMIT else [*words, address]


def _ascii_phrase(name: str) -> str:
    """The name as atoms or one quoted string (RFC 5322, 3.2.4); empty where it needs encoded words."""
    if not name.isascii() or "=?" in name:
        return ""
    if _ATOMS.fullmatch(name):
        phrase = name
    else:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        phrase = f'"{escaped}"'
    return phrase if len(phrase) <= _ADDRESS_LIMIT else ""


def _subject_chunks(subject: str) -> list[str]:
    room = _room_beside("Subject")
    # Readers drop white space at the ends and decode what looks encoded: neither would be what was given.
    if subject.isascii() and "=?" not in subject and subject == subject.strip(" "):
        words = _SPACED_WORD.findall(subject)
        if max(map(len, words), default=0) <= room:
            return words
    return _encoded_words(subject, room)


def _value_chunks(name: str, value: str) -> list[str]:
    words = _SPACED_WORD.findall(value)
    # A long word is left alone here: many a header has a structure, and encoded words would break its URLs.
    is_literal = value.isascii() and not holds_encoded_word(value)
    if is_literal and max(map(len, words), default=0) < _HARD_LIMIT:
        return words
    return _encoded_words(value, _room_beside(name))


def _room_beside(name: str) -> int:
    """How long an encoded word may be on the line of the field name; a short rest of a line is left empty."""
    room = _SOFT_LIMIT - len(name) - len(": ")
    return room if room > 2 * _ENCODED_WORD_FRAME else _ENCODED_WORD_LIMIT


def _encoded_words(text: str, room: int) -> list[str]:
    """RFC 2047, 4, in the shorter of its two encodings; no character is cut (RFC 2047, 5)."""
    # Encoding would only hide these from the gate in `_header`; readers decode them again.
    check_text(text)
    chars = [char.encode() for char in text]
    quoted = ["".join(map(_Q_BYTES.__getitem__, char)) for char in chars]
    first, others = room - _ENCODED_WORD_FRAME, _ENCODED_WORD_LIMIT - _ENCODED_WORD_FRAME
    if 3 * sum(map(len, quoted)) <= 4 * sum(map(len, chars)):
        return [f"=?utf-8?q?{word}?=" for word in _pack(quoted, first, others)]
    groups = _pack(chars, first // 4 * 3, others // 4 * 3)
    return [f"=?utf-8?b?{base64.b64encode(group).decode('ascii')}?=" for group in groups]


def _q_byte(octet: int) -> str:
    """RFC 2047, 4.2 (2), and 5 (3): the few that may be literal in a phrase may be so in any place."""
    char = chr(octet)
    if char == " ":
        return "_"
    return char if char.isascii() and (char.isalnum() or char in "!*+-/") else f"={octet:02X}"


_Q_BYTES = [_q_byte(octet) for octet in range(256)]


def _pack(pieces: Sequence[AnyStr], first: int, others: int) -> list[AnyStr]:
    """Join neighbours into groups of at most `others` length, the first group of at most `first`."""
    starts: list[int] = [0]
    size, limit = 0, first
    for index, piece in enumerate(pieces):
        size += len(piece)
        if size > limit:
            starts.append(index)
            size, limit = len(piece), others
    empty = pieces[0][:0]
    return [empty.join(pieces[start:end]) for start, end in itertools.pairwise([*starts, len(pieces)])]


def _date(at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError("the date of a mail must be aware")
    utc = at.astimezone(UTC)
    day = f"{_DAYS[utc.weekday()]}, {utc.day:02d} {_MONTHS[utc.month - 1]} {utc.year:04d}"
    return f"{day} {utc.hour:02d}:{utc.minute:02d}:{utc.second:02d} +0000"


def _content(mail: Mail) -> tuple[list[str], bytes]:
    """The fields that describe the body, and the body."""
    parts = [
        _part(f"text/{subtype}", text)
        for subtype, text in (("plain", mail.text), ("html", mail.html))
        if text is not None
    ]
    if not parts:
        raise ValueError("a mail needs a text or an html body")
    if len(parts) > 1:
        return _alternative(mail.message_id, parts)
    fields, body = parts[0]
    return fields, body if body.endswith(b"\r\n") else body + b"\r\n"


def _alternative(message_id: str, parts: Sequence[tuple[list[str], bytes]]) -> tuple[list[str], bytes]:
    """RFC 2046, 5.1.4: the plainest part first."""
    boundary = _boundary(message_id, [body for _, body in parts])
    opening = b"--%s\r\n" % boundary.encode()
    # RFC 2046, 5.1.1: the CRLF before a boundary belongs to it, so each body stays as it is.
    pieces = [b"%s%s\r\n\r\n%s\r\n" % (opening, "\r\n".join(fields).encode(), body) for fields, body in parts]
    fields = [f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"']
    return fields, b"".join(pieces) + b"--%s--\r\n" % boundary.encode()


def _boundary(message_id: str, bodies: Sequence[bytes]) -> str:
    """A boundary that the same mail gets again, and that occurs in no part (RFC 2046, 5.1.1)."""
    for attempt in itertools.count():
        digest = hashlib.sha256(f"{attempt} {message_id}".encode()).hexdigest()[:32]
        # `=_` cannot come up in quoted-printable or base64 (RFC 2045, 6.7); plain ASCII can hold anything.
        boundary = f"=_{digest}"
        if not any(boundary.encode() in body for body in bodies):
            break
    return boundary


def _part(content_type: str, text: str) -> tuple[list[str], bytes]:
    encoding, body = _encode_body(text)
    return [f"Content-Type: {content_type}; charset=utf-8", f"Content-Transfer-Encoding: {encoding}"], body


def _encode_body(text: str) -> tuple[str, bytes]:
    """Choose the transfer encoding (RFC 2045, 6) that any relay passes on unchanged; readable ones first."""
    # RFC 5322, 2.3: CR and LF occur only together. A lone one can end the mail early at a lax server.
    data = text.replace("\r\n", "\n").replace("\r", "\n").encode()
    if _passes_as_it_is(data):
        return "7bit", data.replace(b"\n", b"\r\n")
    # Quoted-printable triples each such octet, base64 adds a third to all of them.
    if 6 * len(data.translate(None, _PRINTABLE)) > len(data):
        return "base64", _base64(data)
    return "quoted-printable", _quoted_printable(data)


def _passes_as_it_is(data: bytes) -> bool:
    if data.translate(None, _PRINTABLE) or max(map(len, data.split(b"\n"))) > _HARD_LIMIT:
        return False
    # RFC 2049, 3: some relays write `>From `, which breaks the signature, or end the mail at a lone dot.
    lines = b"\n%s\n" % data
    return b"\nFrom " not in lines and b"\n.\n" not in lines


def _base64(data: bytes) -> bytes:
    # RFC 2045, 6.8: line ends of text are CRLF before they are encoded.
    encoded = base64.b64encode(data.replace(b"\n", b"\r\n"))
    return b"\r\n".join(encoded[at : at + _SOFT_LIMIT] for at in range(0, len(encoded), _SOFT_LIMIT))


def _quoted_printable(data: bytes) -> bytes:
    # binascii wraps the lines, and writes a lone dot and white space at line ends in hex (RFC 2045, 6.7).
    encoded = binascii.b2a_qp(data, istext=True)
    if max(map(len, encoded.split(b"\n"))) > _SOFT_LIMIT:
        # But it wraps before it knows that a space ends the line, and is then one or two over.
        encoded = _LONG_ENDING.sub(rb"\1=\n\2", encoded)
    if b"From " in encoded:
        # Wrapped after the word, or its line could grow beyond 76.
        encoded = _FROM_LINE.sub(b"=46rom=\n ", encoded)
    return encoded.replace(b"\n", b"\r\n")
