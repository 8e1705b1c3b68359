"""Compose a mail as the exact bytes that are signed and sent (RFC 5322, RFC 2045 to 2047, RFC 6532).

Nothing here repairs a header: what callers hand in is checked by `check_headers`, by `check_text` and by the
address module when it is accepted; composing what they would refuse is misuse and raises.
"""

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from apps.protocols.address import Mailbox
from apps.protocols.mime_attachments import Attachment, attachment_part
from apps.protocols.mime_body import encode_text
from apps.protocols.mime_header import address_header, header, subject_chunks, value_chunks
from apps.protocols.text import TextError, check_text

MAX_HEADERS = 50
MAX_HEADER_NAME = 60
MAX_HEADER_VALUE = 998  # octets
MAX_HEADERS_SIZE = 16 * 1024  # octets, all names and values together

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
    attachments: tuple[Attachment, ...] = ()


def compose(mail: Mail) -> bytes:
    """Return the mail with CRLF line ends throughout; the same Mail gives the same bytes.

    Raises ValueError for what the checks at the door would have refused.
    """
    fields, body = _content(mail)
    head = "\r\n".join((*_own_headers(mail), *_extra_headers(mail.headers), "MIME-Version: 1.0", *fields))
    return b"".join((head.encode(), b"\r\n\r\n", *body))


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
    lines = [address_header("From", (mail.sender,))]
    # RFC 5322, 3.4: an empty group says that the recipients are kept back.
    lines.append(address_header("To", mail.to) if mail.to else "To: undisclosed-recipients:;")
    if mail.cc:
        lines.append(address_header("Cc", mail.cc))
    if mail.reply_to:
        lines.append(address_header("Reply-To", (mail.reply_to,)))
    lines.append(header("Subject", subject_chunks(mail.subject)))
    lines.append(f"Date: {_date(mail.date)}")
    lines.append(header("Message-ID", [f"<{mail.message_id}>"]))
    return lines


def _extra_headers(headers: Sequence[tuple[str, str]]) -> list[str]:
    for name, value in headers:
        _check_form(name, value)
        # The platform's own X- headers may stand here; the names that this module writes may not.
        if _is_reserved(name):
            raise HeaderError(f"The header {name} is written by the composer.")
    return [header(name, value_chunks(name, value.strip(" "))) for name, value in headers]


def _date(at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError("the date of a mail must be aware")
    utc = at.astimezone(UTC)
    day = f"{_DAYS[utc.weekday()]}, {utc.day:02d} {_MONTHS[utc.month - 1]} {utc.year:04d}"
    return f"{day} {utc.hour:02d}:{utc.minute:02d}:{utc.second:02d} +0000"


def _content(mail: Mail) -> tuple[list[str], Sequence[bytes]]:
    """The fields that describe the body, and the body in pieces."""
    fields, body = _readable(mail)
    if mail.attachments:
        return _mixed(mail, fields, body)
    return fields, (body,) if body.endswith(b"\r\n") else (body, b"\r\n")


def _readable(mail: Mail) -> tuple[list[str], bytes]:
    """What the recipient reads, as the only or the first part."""
    parts = [
        _part(f"text/{subtype}", text)
        for subtype, text in (("plain", mail.text), ("html", mail.html))
        if text is not None
    ]
    if not parts:
        raise ValueError("a mail needs a text or an html body")
    return _alternative(mail.message_id, parts) if len(parts) > 1 else parts[0]


def _alternative(message_id: str, parts: Sequence[tuple[list[str], bytes]]) -> tuple[list[str], bytes]:
    """RFC 2046, 5.1.4: the plainest part first."""
    boundary = _boundary(message_id, [body for _, body in parts])
    pieces = _multipart(boundary, [(fields, (body, b"\r\n")) for fields, body in parts])
    return [_multipart_field("alternative", boundary)], b"".join(pieces)


def _mixed(mail: Mail, fields: list[str], body: bytes) -> tuple[list[str], Sequence[bytes]]:
    """RFC 2046, 5.1.3: the files come after what is read."""
    parts: list[tuple[list[str], Sequence[bytes]]] = [(fields, (body, b"\r\n"))]
    parts += map(attachment_part, mail.attachments)
    # Only the first part is searched: base64 holds no `=_`.
    boundary = _boundary(mail.message_id, [body])
    return [_multipart_field("mixed", boundary)], _multipart(boundary, parts)


def _multipart(boundary: str, parts: Iterable[tuple[list[str], Sequence[bytes]]]) -> list[bytes]:
    """The body in pieces, which `compose` puts together once."""
    opening = b"--%s\r\n" % boundary.encode()
    pieces: list[bytes] = []
    for fields, body in parts:
        # RFC 2046, 5.1.1: the CRLF before a boundary belongs to it; each body has it as its last piece.
        pieces.append(b"%s%s\r\n\r\n" % (opening, "\r\n".join(fields).encode()))
        pieces += body
    pieces.append(b"--%s--\r\n" % boundary.encode())
    return pieces


def _multipart_field(subtype: str, boundary: str) -> str:
    return f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"'


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
    encoding, body = encode_text(text)
    return [f"Content-Type: {content_type}; charset=utf-8", f"Content-Transfer-Encoding: {encoding}"], body
