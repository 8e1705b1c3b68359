"""Reads a mail into a Letter."""

from __future__ import annotations

import re

from apps.protocols.letters.correspondents import correspondents
from apps.protocols.letters.parameters import parameter
from apps.protocols.letters.types import (
    LIMITS,
    MAX_FILES,
    MAX_HEADERS,
    MAX_SUBJECT,
    MAX_TEXT,
    MAX_VALUE,
    Correspondent,
    File,
    Letter,
)
from apps.protocols.reports.parts import Fields, Mail, Part, decoded, decoded_words, every, first, read_mail
from apps.protocols.reports.types import Limits, TooMuchError
from apps.protocols.text import storable

_BODY = frozenset({"text/plain", "text/html"})
_FIELD = re.compile(rb"[!-9;-~]{1,200}[ \t]*:")
_TWO_FIELDS = re.compile(rb"[!-9;-~]{1,200}:[^\n]{0,2000}\n(?:[ \t][^\n]{0,2000}\n){0,50}[!-9;-~]{1,200}:")
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,500})>")


def read_letter(raw: bytes, limits: Limits = LIMITS) -> Letter:
    """What stands in this mail. Never raises; where a limit is exceeded only its header is told."""
    try:
        return _read(read_mail(_without_junk(raw), limits), limits)
    except TooMuchError as error:
        return _header_only(raw, str(error))


def _without_junk(raw: bytes) -> bytes:
    """Without one line before the header that is no field, where fields follow it."""
    line, _, rest = raw.partition(b"\n")
    is_junk = bool(line.strip()) and not _FIELD.match(line) and not line.startswith((b"From ", b">From "))
    return rest if is_junk and _TWO_FIELDS.match(rest) else raw


def _header_only(raw: bytes, fault: str) -> Letter:
    """The beginning of the header, of a mail that is not taken apart."""
    head = raw[: 256 * 1024].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    lines = b"\n".join(line[:2_000] for line in head.split(b"\n")[:500])
    try:
        return _letter(read_mail(lines, LIMITS).fields, fault=fault)
    except TooMuchError:
        return Letter(fault=fault)


def _read(mail: Mail, limits: Limits) -> Letter:
    texts: dict[str, list[str]] = {kind: [] for kind in _BODY}
    files: list[File] = []
    for part in [*mail.parts, *mail.hollow]:
        name = file_name(part.fields)
        if _type(part) in _BODY and not name and not _is_attachment(part.fields):
            texts[part.type].append(_text(part))
        elif len(files) < MAX_FILES:
            files.append(_file(part, name, limits))
        else:
            return _letter(mail.fields, fault=f"The message has more than {MAX_FILES} files.")
    found = {kind: storable("\n".join(pieces))[:MAX_TEXT] if pieces else None for kind, pieces in texts.items()}
    return _letter(mail.fields, text=found["text/plain"], html=found["text/html"], files=tuple(files))


def _letter(
    fields: Fields, *, text: str | None = None, html: str | None = None, files: tuple[File, ...] = (), fault: str = ""
) -> Letter:
    return Letter(
        subject=_line(decoded_words(first(fields, "subject")))[:MAX_SUBJECT],
        from_=_people(fields, "from"),
        to=_people(fields, "to"),
        cc=_people(fields, "cc"),
        reply_to=_people(fields, "reply-to"),
        message_id=_message_id(first(fields, "message-id")),
        headers=tuple((name, storable(value)[:MAX_VALUE]) for name, value in fields[:MAX_HEADERS]),
        text=text,
        html=html,
        files=files,
        is_automatic=_is_automatic(fields),
        hops=len(every(fields, "received")),
        fault=fault,
    )


def _people(fields: Fields, name: str) -> tuple[Correspondent, ...]:
    found = [one for value in every(fields, name)[:3] for one in correspondents(value)]
    return tuple(Correspondent(_line(one.email), _line(one.name)) for one in found[:1_000])


def _message_id(value: str) -> str:
    found = _MESSAGE_ID.search(value[:2_000])
    return _line(found[1] if found else value[:500])


def _is_automatic(fields: Fields) -> bool:
    """RFC 3834 section 5, and the words that were usual before it."""
    submitted = first(fields, "auto-submitted").strip().lower()
    if submitted and submitted != "no":
        return True
    return first(fields, "precedence").strip().lower() in {"bulk", "junk", "list", "auto_reply"}


def _type(part: Part) -> str:
    """RFC 2046 section 5.1.5: what has no type in a digest is a message."""
    has_own = bool(first(part.fields, "content-type"))
    return "message/rfc822" if part.parent == "multipart/digest" and not has_own else part.type


def _is_attachment(fields: Fields) -> bool:
    return first(fields, "content-disposition").partition(";")[0].strip().lower() == "attachment"


def file_name(fields: Fields) -> str:
    """What the sender calls the part; it is a name for people and no path of anything."""
    disposition, kind = first(fields, "content-disposition"), first(fields, "content-type")
    return _line(parameter(disposition, "filename") or parameter(kind, "name"))


def _text(part: Part) -> str:
    return decoded(part.content(MAX_TEXT), part.parameters.get("charset", "")).replace("\r\n", "\n")


def _file(part: Part, name: str, limits: Limits) -> File:
    disposition = first(part.fields, "content-disposition").partition(";")[0].strip().lower()
    content_id = first(part.fields, "content-id").strip().strip("<>")
    return File(
        name=name,
        content_type=_type(part)[:127],
        content_id=_line(content_id)[:500],
        is_inline=disposition == "inline" or (not disposition and bool(content_id)),
        content=part.content(limits.octets),
    )


def _line(text: str) -> str:
    return " ".join(storable(text).split())
