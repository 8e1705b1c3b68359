"""Which message a report is about: the returned message or its headers, and what else names it.

It also divides a notice from the copy that follows it in the same text: what stands in the copy says nothing
about the delivery.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from apps.protocols.reports.addresses import bare, typed
from apps.protocols.reports.dsn import Statuses
from apps.protocols.reports.parts import Fields, Mail, Part, decoded_words, first, read_fields
from apps.protocols.reports.types import (
    LIMITS,
    MAX_RETURNED_FIELDS,
    MAX_RETURNED_OCTETS,
    MAX_VALUE,
    OriginalMessage,
    TooMuchError,
)

_WHOLE = frozenset({"message/rfc822", "message/global", "message/partial"})
_HEADERS = frozenset({"text/rfc822-headers", "message/rfc822-headers", "message/global-headers", "text/rfc822-header"})
_NAME = re.compile(r"(?:>[ ]?)?([A-Za-z][A-Za-z0-9-]{1,40})[ \t]?:(?:\s|$)")
# One of these opens or marks a message's own header; From, To and Subject alone may be a summary.
_TELLING = frozenset(
    {
        "received",
        "return-path",
        "message-id",
        "mime-version",
        "dkim-signature",
        "arc-seal",
        "x-received",
        "delivered-to",
    }
)
_COMMON = _TELLING | {"from", "to", "subject", "date", "reply-to", "sender", "content-type", "x-mailer", "cc"}
# The line that announces the copy, in the words of many MTAs.
_SEPARATOR = re.compile(
    r"^\W{0,80}(?:"
    r"(?:this|below|here|enclosed|attached|the following|what follows)\W{1,3}(?:this line )?is (?:a |the )?"
    r"(?:copy|text|header|original)"
    r"|(?:the )?(?:headers?|text|body|content|copy|start|beginning|first \d{1,5} (?:lines|bytes))\b.{0,40}"
    r" (?:original|your|returned|undelivered|the) (?:message|e-?mail|mail)"
    r"|(?:the )?(?:original|returned|unsent|undelivered|rejected|bounced) (?:message|e-?mail|mail|text)"
    r"(?: (?:headers?|text|body|source|information|follows?|below|attached|is|details))?"
    r"|message (?:headers?|text|body|source)|your (?:original )?message (?:follows|is|was as follows)"
    r"|(?:included|below) is (?:a |the )?(?:copy|first)"
    r"|ursprüngliche nachricht|message d'origine|mensaje original|mensagem original|messaggio originale"
    r")[^@]{0,80}$",
    re.IGNORECASE,
)
_SHAPE = re.compile(r"^\W{0,3}[-_=*+#~<>|]{2,}|[:.]\W*$|follows?\W*$|[-_=*]{2,}\W*$|below\W*$")
_NOT_SEPARATOR = re.compile(
    r"received (?:at|on|from)|could not|was not|cannot|unable|failed|undeliverable to|addressed to", re.IGNORECASE
)
_MESSAGE_ID = re.compile(
    r"message[- ]?id\W{1,6}(<[^<>\s]{1,250}@[^<>\s]{1,250}>|[^<>\s@]{1,200}@[^<>\s]{1,250})", re.IGNORECASE
)
_FIRST_ID = re.compile(r"<[^<>\s]{1,400}>")


def is_copy(part: Part) -> bool:
    """Whether the part is the message that is returned, or its header."""
    return part.type in _WHOLE or part.type in _HEADERS


def returned_fields(mail: Mail, copied: Sequence[str]) -> Fields:
    """The header of the message that is returned, as a part or in the text."""
    for part in mail.parts:
        if is_copy(part):
            fields = _leniently(part.content(MAX_RETURNED_OCTETS).split(b"\n"))
            if fields:
                return fields
    for part in mail.parts[1:]:
        # Some send the header as an ordinary text attachment.
        if part.type.startswith("text/plain"):
            fields = _leniently(list(part.lines))
            if len(_COMMON & {name for name, _ in fields}) >= 3:
                return fields
    return _leniently([line.encode() for line in copied])


def _leniently(lines: list[bytes]) -> Fields:
    """The fields that can be had; too many of them are no reason to refuse the report."""
    start = 0
    while start < len(lines) and (not lines[start].strip() or lines[start].startswith((b"From ", b">From "))):
        start += 1
    try:
        return read_fields([line.rstrip(b"\r") for line in lines[start : start + 2_000]], 0, LIMITS)[0]
    except TooMuchError:
        return ()


def divided(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """A text as notice and copy: up to the line that announces the copy or begins its header."""
    for at, line in enumerate(lines):
        if _begins_header(lines, at):
            return list(lines[:at]), _unquoted(lines[at:])
        if at and _is_separator(line):
            return list(lines[:at]), _unquoted(lines[_past_blank(lines, at + 1) :])
    return list(lines), []


def _is_separator(line: str) -> bool:
    return (
        len(line) < 200
        and _SEPARATOR.search(line) is not None
        and _SHAPE.search(line.strip()) is not None
        and _NOT_SEPARATOR.search(line) is None
    )


def _past_blank(lines: Sequence[str], at: int) -> int:
    while at < len(lines) and not re.search(r"\w", lines[at][:200]):
        at += 1
    return at


def _begins_header(lines: Sequence[str], at: int) -> bool:
    if _NAME.match(lines[at]) is None:
        return False
    names: set[str] = set()
    count = 0
    for line in lines[at : at + 40]:
        found = _NAME.match(line)
        if found is not None:
            names.add(found[1].lower())
            count += 1
        elif not line[:1].isspace() and not line.startswith("> ") or not line.strip():
            break
    return (
        count >= 3
        and bool(names & _TELLING)
        and len(names & _COMMON) >= 2
        and not names & {"final-recipient", "action", "reporting-mta"}
    )


def _unquoted(lines: Sequence[str]) -> list[str]:
    return [
        line[1:].lstrip(" ") if line.startswith(">") and not line.startswith(">From ") else line
        for line in lines[:2_000]
    ]


def original_of(mail: Mail, fields: Fields, statuses: Statuses | None, notice: str) -> OriginalMessage:
    """All that identifies the message; what stands in its own header before what the report says about it."""

    def value(name: str) -> str:
        return first(fields, name)[:MAX_VALUE]

    about = statuses.about if statuses else None
    return OriginalMessage(
        message_id=value("message-id") or _named_id(mail, notice),
        envelope_id=about.first("original-envelope-id")[:MAX_VALUE] if about else "",
        return_path=bare(value("return-path") or value("x-envelope-from") or value("x-original-return-path")),
        from_=value("from"),
        to=value("to"),
        subject=decoded_words(value("subject"))[:MAX_VALUE],
        headers=tuple((name, text[:MAX_VALUE]) for name, text in fields[:MAX_RETURNED_FIELDS]),
    )


def _named_id(mail: Mail, notice: str) -> str:
    found = _MESSAGE_ID.search(notice)
    if found is not None:
        return found[1]
    # RFC 5322 section 3.6.4: whoever answers names what is answered; several MTAs do so in bounces.
    for name in ("in-reply-to", "references", "x-original-message-id", "x-ms-exchange-parent-message-id"):
        named = _FIRST_ID.findall(first(mail.fields, name)[:2_000])
        if named:
            return str(named[-1])
    return ""


def sent_to(mail: Mail) -> tuple[str, ...]:
    """Whom the report itself was sent to."""
    found = []
    for name in ("to", "delivered-to", "x-original-to", "x-envelope-to", "envelope-to", "x-rcpt-to"):
        address = typed(first(mail.fields, name)[:2_000])
        if address:
            found.append(address)
    return tuple(dict.fromkeys(found))
