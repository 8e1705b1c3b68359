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
from functools import cache

from apps.protocols.reports.types import LIMITS, Limits, TooMuchError

Fields = tuple[tuple[str, str], ...]  # lower-case name, unfolded value

_NAME = re.compile(rb"([!-9;-~]{1,200})[ \t]*:")
_PARAMETER = re.compile(r'(?:^|[;\s])(boundary|charset|report-type)(\*?)\s*=\s*(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]{0,2000})\?=")
_ENCODED_WORDS = re.compile(rf"(?:{_ENCODED_WORD.pattern.replace('(', '(?:')})+")
_BETWEEN_WORDS = re.compile(r"(\?=)[ \t]{1,80}(?==\?)")
_TAG = re.compile(r"<[^<>]*>")
_LINE_TAG = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6]|/td)\b[^<>]{0,200}>", re.IGNORECASE)
# Codecs of Python that are no charsets of mail, and some that are slow or that make other text of ASCII.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "utf-7", "undefined", "rot13"})
_MAX_STRUCTURED = 2_000


@dataclass(slots=True)
class Part:
    """A leaf: anything that is no multipart. A returned message is a leaf too."""

    fields: Fields
    type: str  # `text/plain`, lower case
    parameters: dict[str, str]
    lines: Sequence[bytes]
    parent: str = ""  # the type of the multipart that it is a part of

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
    # Multiparts that have no part, because their delimiter never comes.
    hollow: list[Part] = field(default_factory=list)


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
    while at < len(lines) and (lines[at].strip() or _is_fold(lines, at, name)):
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


def _is_fold(lines: Sequence[bytes], at: int, name: str) -> bool:
    """RFC 5322 section 4.2: a line of white space inside a folded field, which was allowed once."""
    follower = lines[at + 1 : at + 2]
    return bool(name and lines[at] and follower and follower[0][:1] in (b" ", b"\t") and follower[0].strip())


def _put(fields: list[tuple[str, str]], name: str, pieces: list[bytes]) -> None:
    if name:
        fields.append((name, _as_text(b" ".join(pieces).strip())))


def _as_text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return _mostly_utf8(octets)


def content_type(fields: Fields) -> tuple[str, dict[str, str]]:
    """Type and those parameters that matter here; plain text where it is missing or unreadable."""
    value = first(fields, "content-type")[:_MAX_STRUCTURED]
    kind = value.partition(";")[0].split()
    parameters: dict[str, str] = {}
    for name, star, quoted, bare in _PARAMETER.findall(value):
        # RFC 2231 section 4: charset and language stand before the value.
        text = (quoted or bare).rpartition("'")[2] if star else quoted or bare
        parameters.setdefault(name.lower(), text)
    return (kind[0].lower() if kind and "/" in kind[0] else "text/plain"), parameters


@dataclass(slots=True)
class _Open:
    """A multipart whose end has not come yet."""

    mark: bytes
    part: Part
    start: int
    children: int = 0


class _Cutter:
    """The stack of open multiparts, and the place in the lines."""

    def __init__(self, lines: list[bytes], limits: Limits) -> None:
        self._lines = lines
        self._limits = limits
        self._open: list[_Open] = []
        self._levels: dict[bytes, int] = {}
        self._parts: list[Part] = []
        self._outside: list[bytes] = []
        self._hollow: list[Part] = []

    def mail(self) -> Mail:
        start = self._start()
        fields, at = read_fields(self._lines, start, self._limits)
        kind, parameters = content_type(fields)
        at = self._entity(fields, at)
        while at < len(self._lines):
            at = self._after_delimiter(at)
        self._close(0, at)
        if not self._parts:
            # Nothing between the delimiters it names, or none of them: all of it is text.
            self._parts.append(Part((), "text/plain", {}, self._outside))
            self._outside = []
        return Mail(fields, kind, parameters, self._parts, self._outside, self._hollow)

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
        parent = self._open[-1].part.type if self._open else ""
        if self._open:
            self._open[-1].children += 1
        boundary = parameters.get("boundary", "").rstrip()
        if kind.startswith("multipart/") and boundary:
            if len(self._open) >= self._limits.depth:
                raise TooMuchError(f"Parts are nested more than {self._limits.depth} deep.")
            mark = b"--" + boundary.encode("utf-8", "surrogateescape")
            self._open.append(_Open(mark, Part(fields, kind, parameters, (), parent), at))
            self._set_levels()
            end = self._next_delimiter(at)
            self._outside.extend(self._lines[at:end])
            return end
        end = self._next_delimiter(at)
        if len(self._parts) >= self._limits.parts:
            raise TooMuchError(f"The message has more than {self._limits.parts} parts.")
        self._parts.append(Part(fields, kind, parameters, self._lines[at:end], parent))
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
        self._levels = {one.mark + end: level for level, one in enumerate(self._open) for end in (b"", b"--")}

    def _close(self, level: int, at: int) -> None:
        """Ends the multiparts from this level inwards at this line."""
        for one in self._open[level:]:
            if not one.children and len(self._hollow) < self._limits.parts:
                one.part.lines = self._lines[one.start : at]
                self._hollow.append(one.part)
        del self._open[level:]
        self._set_levels()

    def _after_delimiter(self, at: int) -> int:
        level = self._level(self._lines[at])
        if level is None:
            return len(self._lines)
        is_end = self._lines[at].rstrip() != self._open[level].mark
        self._close(level if is_end else level + 1, at)
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
    claimed = _codec(charset.strip().strip("\"'").lower() or "utf-8")
    for name in filter(None, (claimed, "utf-8")):
        try:
            return octets.decode(name)
        except ValueError:
            continue
    # Cut off in the middle of a character, or with a few that the charset does not have.
    return octets.decode(claimed, "replace") if claimed and claimed != "utf-8" else _mostly_utf8(octets)


def _mostly_utf8(octets: bytes) -> str:
    text = octets.decode("utf-8", "replace")
    return text if text.count("\ufffd") * 20 <= len(text) else octets.decode("latin-1")


@cache
def _codec(name: str) -> str | None:
    """Python's name of a charset of mail."""
    try:
        found = codecs.lookup(name).name
        "x".encode(found)  # raises for what is no charset at all, such as hex
    except (LookupError, ValueError):
        return None
    return None if found in _NO_CHARSETS else found


def decoded_words(value: str) -> str:
    """The encoded words of a header value (RFC 2047) as text."""
    if "=?" not in value:
        return value
    return _ENCODED_WORDS.sub(_decoded_run, _BETWEEN_WORDS.sub(r"\1", value))


def _decoded_run(run: re.Match[str]) -> str:
    """Words side by side; what one charset says in several of them is decoded at once: many cut inside a character."""
    text, octets, last = "", b"", ""
    for found in _ENCODED_WORD.finditer(run[0]):
        charset = found[1].partition("*")[0].lower()
        if charset != last:
            text, octets, last = text + decoded(octets, last), b"", charset
        octets += _word_octets(found[2], found[3].encode("utf-8", "replace"))
    return text + decoded(octets, last)


def _word_octets(kind: str, text: bytes) -> bytes:
    return binascii.a2b_qp(text, header=True) if kind in "qQ" else _from_base64(text) or text


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
