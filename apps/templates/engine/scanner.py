"""Finds the markup in a template in one pass: `{{ ... }}`, `{% ... %}`, and what stands between.

The library's own lexer is a regular expression that looks for the end of each opening anew: 256 KB of `{{` cost it
hours. This one goes forward only, and it is the only opinion about where markup begins and ends: the parser reads its
tokens, and the CSS inliner and the checks of addresses see the same pieces.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from apps.templates.engine.limits import MAX_BLANKS, MAX_MARKUP_LENGTH, MAX_MARKUPS, MAX_OPENINGS

_TAGS = (
    "if elsif else endif unless endunless case when endcase for break continue endfor assign capture endcapture "
    "cycle echo increment decrement comment endcomment raw endraw #"
)
TAGS = frozenset(_TAGS.split())
# Tags that write a value, as `{{ ... }}` does.
WRITING = frozenset({"echo", "cycle", "increment", "decrement"})
OPENING = re.compile(r"\{\{|\{%")
NAME = re.compile(r"#|\w+")
BLANKS = re.compile(rf"\s{{{MAX_BLANKS + 1}}}")
END_OF = {
    "raw": re.compile(r"\{%-?\s{0,9}endraw\s{0,9}-?%\}"),
    "comment": re.compile(r"\{%-?\s{0,9}(end)?comment\b[^%]{0,99}%\}"),
}


class Kind(StrEnum):
    TEXT = "text"
    OUTPUT = "output"
    TAG = "tag"
    RAW = "raw"  # from {% raw %} to {% endraw %}; `inner` is what stands between
    COMMENT = "comment"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the source. `inner` is the expression of markup, and its text where it is text."""

    kind: Kind
    start: int
    end: int
    inner: str
    inner_start: int
    name: str = ""
    strips_left: bool = False
    strips_right: bool = False


class MarkupError(ValueError):
    """The template cannot be read; `position` is where in the source."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


def scan(source: str) -> Iterator[Piece]:
    """The source piece by piece, without gaps. Raises MarkupError."""
    position = count = 0
    while opening := OPENING.search(source, position):
        start = opening.start()
        if start > position:
            yield Piece(Kind.TEXT, position, start, source[position:start], position)
        count += 1
        if count > MAX_MARKUPS:
            raise MarkupError(f"there are more than {MAX_MARKUPS:,} tags and variables", start)
        piece = _output(source, start) if opening[0] == "{{" else _tag(source, start)
        yield piece
        position = piece.end
    if position < len(source):
        yield Piece(Kind.TEXT, position, len(source), source[position:], position)


def stripped(source: str) -> Iterator[tuple[Piece, str]]:
    """The pieces, each with the text that it writes by itself: without the blanks that its neighbours strip off.

    Raises MarkupError.
    """
    strips_left = False
    pieces = list(scan(source))
    for piece, following in zip(pieces, [*pieces[1:], None], strict=True):
        text = piece.inner if piece.kind in (Kind.TEXT, Kind.RAW) else ""
        if piece.kind is Kind.TEXT:
            text = text.lstrip() if strips_left else text
            text = text.rstrip() if following is not None and following.strips_left else text
        yield piece, text
        strips_left = piece.strips_right


def line_of(source: str, position: int) -> int:
    return source.count("\n", 0, position) + 1


def _output(source: str, start: int) -> Piece:
    inner, inner_start, strips_left, strips_right, end = _between(source, start, "}}")
    if not inner:
        raise MarkupError("there is no variable between '{{' and '}}'", start)
    return Piece(Kind.OUTPUT, start, end, inner, inner_start, "", strips_left, strips_right)


def _tag(source: str, start: int) -> Piece:
    inner, inner_start, strips_left, strips_right, end = _between(source, start, "%}")
    name = NAME.match(inner)
    if name is None:
        raise MarkupError("there is no tag's name after '{%'", start)
    if name[0] not in TAGS:
        raise MarkupError(f"there is no tag '{name[0][:40]}'", start)
    if name[0] in END_OF:
        return _region(source, Piece(Kind.TAG, start, end, "", end, name[0], strips_left, strips_right))
    rest = inner[name.end() :]
    expression = rest.lstrip()
    expression_start = inner_start + name.end() + len(rest) - len(expression)
    return Piece(Kind.TAG, start, end, expression, expression_start, name[0], strips_left, strips_right)


def _between(source: str, start: int, closing: str) -> tuple[str, int, bool, bool, int]:
    """What stands between the delimiters, where, whether each side strips, and where the markup ends."""
    end = source.find(closing, start + 2, start + MAX_MARKUP_LENGTH)
    if end == -1:
        opening = source[start : start + 2]
        far = f" within {MAX_MARKUP_LENGTH:,} characters"
        raise MarkupError(f"'{opening}' is not closed by '{closing}'{far}", start)
    text = source[start + 2 : end]
    if BLANKS.search(text):
        raise MarkupError(f"there are more than {MAX_BLANKS} blanks in a row in a tag", start)
    if text.count("(") + text.count("[") > MAX_OPENINGS:
        raise MarkupError(f"there are more than {MAX_OPENINGS} brackets in one tag", start)
    strips_left = text.startswith("-")
    strips_right = len(text) > 1 and text.endswith("-")
    bare = text[strips_left : len(text) - strips_right]
    left = bare.lstrip()
    return left.rstrip(), start + 2 + strips_left + len(bare) - len(left), strips_left, strips_right, end + 2


def _region(source: str, opening: Piece) -> Piece:
    """A whole {% raw %} or {% comment %}; comments may stand in one another."""
    depth = 1
    for found in END_OF[opening.name].finditer(source, opening.end):
        depth += 1 if opening.name == "comment" and not found[1] else -1
        if depth == 0:
            kind = Kind.RAW if opening.name == "raw" else Kind.COMMENT
            inner = source[opening.end : found.start()]
            strips_right = found[0].endswith("-%}")
            return Piece(kind, opening.start, found.end(), inner, opening.end, "", opening.strips_left, strips_right)
    raise MarkupError(f"'{{% {opening.name} %}}' is never closed", opening.start)
