"""Cuts a message into its parts (RFC 2045, 2046) in one pass over the lines, with every count limited.

Python's own reader recurses, and takes the letter of the standard for granted; what MTAs write honours neither.
"""

from __future__ import annotations

import binascii
import codecs
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from apps.protocols.reports.types import LIMITS, Limits, TooMuchError

Fields = tuple[tuple[str, str], ...]  # lower-case name, unfolded value

_NAME = re.compile(rb"([!-9;-~]{1,200})[ \t]*:")
_PARAMETER = re.compile(r'(?:^|[;\s])(boundary|charset|report-type)\s*=\s*(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]{0,2000})\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)[ \t]{1,80}(?==\?)")
_TAG = re.compile(r"<[^<>]*>")
_LINE_TAG = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6]|/td)\b[^<>]{0,200}>", re.IGNORECASE)
# Codecs of Python that are no charsets of mail, and some that are slow or that make other text of ASCII.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf-7", "undefined"})
_MAX_STRUCTURED = 2_000


@dataclass(slots=True)
class Part:
    """A leaf: anything that is no multipart. A returned message is a leaf too."""

    fields: Fields
    type: str  # `text/plain`, lower case
    parameters: dict[str, str]
    lines: Sequence[bytes]

    def content(self, limit: int) -> bytes:
        """The body with its transfer encoding undone, at most about `limit` octets."""
        taken, size = [], 0
        # Encodings make it longer: base64 by a third, quoted-printable threefold.
        for line in self.lines:
            size += len(line) + 1
            taken.append(line)
            if size > limit * 3:
                break
        return _transfer_decoded(b"\n".join(taken), first(self.fields, "content-transfer-encoding"))[:limit]

    def text(self, limit: int) -> str:
        """The body as text; HTML as what one would see of it."""
        text = decoded(self.content(limit), self.parameters.get("charset", ""))
        return without_markup(text) if self.type == "text/html" else text


@dataclass(slots=True)
class Mail:
    """A message: its own header fields, and its leaves in order."""

    fields: Fields
    type: str
    parameters: dict[str, str]
    parts: list[Part] = field(default_factory=list)
    # What stands outside of the parts; some MTAs put the notice there.
    outside: list[bytes] = field(default_factory=list)


def first(fields: Fields, name: str) -> str:
    """The first field of this name, or nothing."""
    return next((value for found, value in fields if found == name), "")


def every(fields: Fields, name: str) -> list[str]:
    return [value for found, value in fields if found == name]


def read_mail(raw: bytes, limits: Limits = LIMITS) -> Mail:
    """The message in parts. Raises TooMuchError when a limit is exceeded."""
    if len(raw) > limits.octets:
        raise TooMuchError(f"The message is larger than {limits.octets:,} octets.")
    if raw.count(b"\n") > limits.lines:
        raise TooMuchError(f"The message has more than {limits.lines:,} lines.")
    lines = raw.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").split(b"\n")
    return _Cutter(lines, limits).mail()


def read_fields(lines: Sequence[bytes], start: int, limits: Limits) -> tuple[Fields, int]:
    """The header fields from this line on, and the line after the empty one. Raises TooMuchError."""
    fields: list[tuple[str, str]] = []
    name, pieces, size, at = "", [], 0, start
    while at < len(lines) and lines[at].strip():
        line = lines[at]
        found = _NAME.match(line)
        if line[:1] in b" \t" and name:
            pieces.append(line.strip())
            size += len(line)
        elif found is None:
            # No header field: the empty line is missing, and the body begins here.
            break
        else:
            _put(fields, name, pieces)
            name, pieces, size = found[1].decode("ascii").lower(), [line[found.end() :].strip()], len(line)
        if size > limits.field_octets:
            raise TooMuchError(f"A header field is longer than {limits.field_octets:,} octets.")
        if len(fields) >= limits.fields:
            raise TooMuchError(f"A header has more than {limits.fields:,} fields.")
        at += 1
    _put(fields, name, pieces)
    return tuple(fields), min(at + 1, len(lines)) if at < len(lines) and not lines[at].strip() else at


def _put(fields: list[tuple[str, str]], name: str, pieces: list[bytes]) -> None:
    if name:
        fields.append((name, _as_text(b" ".join(pieces).strip())))


def _as_text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def content_type(fields: Fields) -> tuple[str, dict[str, str]]:
    """Type and those parameters that matter here; plain text where it is missing or unreadable."""
    value = first(fields, "content-type")[:_MAX_STRUCTURED]
    kind = value.partition(";")[0].split()
    parameters: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(value):
        parameters.setdefault(name.lower(), quoted or bare)
    return (kind[0].lower() if kind and "/" in kind[0] else "text/plain"), parameters


class _Cutter:
    """The stack of open multiparts, and the place in the lines."""

    def __init__(self, lines: list[bytes], limits: Limits) -> None:
        self._lines = lines
        self._limits = limits
        self._open: list[bytes] = []
        self._levels: dict[bytes, int] = {}
        self._parts: list[Part] = []
        self._outside: list[bytes] = []

    def mail(self) -> Mail:
        start = self._start()
        fields, at = read_fields(self._lines, start, self._limits)
        kind, parameters = content_type(fields)
        at = self._entity(fields, at)
        while at < len(self._lines):
            at = self._after_delimiter(at)
        if not self._parts:
            # Nothing between the delimiters it names, or none of them: all of it is text.
            self._parts.append(Part((), "text/plain", {}, self._outside))
            self._outside = []
        return Mail(fields, kind, parameters, self._parts, self._outside)

    def _start(self) -> int:
        """Past empty lines and the envelope line of an mbox."""
        at = 0
        while at < len(self._lines) and not self._lines[at].strip():
            at += 1
        if at < len(self._lines) and self._lines[at].startswith((b"From ", b">From ")):
            at += 1
        return at

    def _entity(self, fields: Fields, at: int) -> int:
        """Take one entity whose body begins at `at`; the line of the delimiter that ends it."""
        kind, parameters = content_type(fields)
        boundary = parameters.get("boundary", "").rstrip()
        if kind.startswith("multipart/") and boundary:
            if len(self._open) >= self._limits.depth:
                raise TooMuchError(f"Parts are nested more than {self._limits.depth} deep.")
            self._open.append(b"--" + boundary.encode("utf-8", "surrogateescape"))
            self._set_levels()
            end = self._next_delimiter(at)
            self._outside.extend(self._lines[at:end])
            return end
        end = self._next_delimiter(at)
        if len(self._parts) >= self._limits.parts:
            raise TooMuchError(f"The message has more than {self._limits.parts} parts.")
        self._parts.append(Part(fields, kind, parameters, self._lines[at:end]))
        return end

    def _next_delimiter(self, at: int) -> int:
        while at < len(self._lines):
            if self._lines[at].startswith(b"--") and self._level(self._lines[at]) is not None:
                return at
            at += 1
        return at

    def _level(self, line: bytes) -> int | None:
        """Which open multipart this line delimits; an inner one may have been left without its end."""
        return self._levels.get(line.rstrip())

    def _set_levels(self) -> None:
        """Inner ones win where two have the same boundary."""
        self._levels = {mark + end: level for level, mark in enumerate(self._open) for end in (b"", b"--")}

    def _after_delimiter(self, at: int) -> int:
        level = self._level(self._lines[at])
        if level is None:
            return len(self._lines)
        is_end = self._lines[at].rstrip() != self._open[level]
        del self._open[level if is_end else level + 1 :]
        self._set_levels()
        if is_end:
            end = self._next_delimiter(at + 1)
            self._outside.extend(self._lines[at + 1 : end])
            return end
        if at + 1 < len(self._lines) and self._level(self._lines[at + 1]) is not None:
            return at + 1
        fields, body = read_fields(self._lines, at + 1, self._limits)
        return self._entity(fields, body)


def _transfer_decoded(body: bytes, encoding: str) -> bytes:
    encoding = encoding.strip().lower()
    if encoding.startswith("quoted-printable"):
        return binascii.a2b_qp(body)
    if encoding.startswith("base64"):
        return _from_base64(body)
    return body


def _from_base64(text: bytes) -> bytes:
    squeezed = b"".join(text.split())
    for missing in (b"", b"=", b"=="):
        try:
            return binascii.a2b_base64(squeezed + missing)
        except binascii.Error:
            continue
    return b""


def decoded(octets: bytes, charset: str) -> str:
    """Text whatever the charset claims; a wrong one never raises."""
    for name in (charset.strip().strip("\"'").lower() or "utf-8", "utf-8"):
        try:
            found = codecs.lookup(name).name
            if found not in _NO_CHARSETS:
                return octets.decode(found)
        except (LookupError, ValueError):
            continue
    return octets.decode("latin-1")


def decoded_words(value: str) -> str:
    """The encoded words of a header value (RFC 2047) as text."""
    if "=?" not in value:
        return value
    return _ENCODED_WORD.sub(_decoded_word, _BETWEEN_WORDS.sub(r"\1", value))


def _decoded_word(found: re.Match[str]) -> str:
    charset, kind, text = found.groups()
    octets = text.encode("utf-8", "replace")
    if kind in "qQ":
        return decoded(binascii.a2b_qp(octets, header=True), charset.partition("*")[0])
    return decoded(_from_base64(octets), charset.partition("*")[0]) or found[0]


def without_markup(text: str) -> str:
    """What one would read of HTML, roughly: enough to find words and addresses."""
    for name in ("style", "script"):
        text = _without_element(text, name)
    return html.unescape(_TAG.sub(" ", _LINE_TAG.sub("\n", text)))


def _without_element(text: str, name: str) -> str:
    """The text without these elements and what is in them; one pass."""
    kept, at, lower = [], 0, text.lower()
    while (start := lower.find(f"<{name}", at)) >= 0:
        kept.append(text[at:start])
        end = lower.find(f"</{name}", start)
        if end < 0:
            return "".join(kept)
        at = end
    kept.append(text[at:])
    return "".join(kept)
