"""Finds out where in the HTML each value stands, whichever way conditions and loops go, and keeps it there.

Escaping makes `<` and quotes of a value harmless: between tags it stays text, between quotes an attribute's value. So a
value may stand in those places only, and it has to be in the same one however often a loop runs and whichever branch
is taken: `<a {% if x %}title="{% endif %}{{ v }}">` would leave it without its quotes. The template's literals and
captured texts are not escaped, being markup of its author; what would end their place is, once they are written.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from liquid.exceptions import LiquidError

from apps.templates.engine.markup import COMMENT_END, OPENING, RAW_TEXT
from apps.templates.engine.scanner import WRITING, Kind, MarkupError, Piece, stripped

QUOTES_WANTED = "put quotes around the attribute's value, or move the variable out of the tag"
NAME_DEPENDS = "a tag's name cannot come from a variable or depend on a condition"
ATTRIBUTE_DEPENDS = "an attribute's name and its '=' have to stand together"
COMMENT_DEPENDS = "the end of a comment, '-->', has to stand together"
BRANCHES_DIFFER = "a tag, its quotes or a comment must be left the same way by all branches of a condition or loop"
CAPTURE_OPEN = "a captured text must not end within a tag or comment"
IN_DRAWING = "a variable cannot stand in this element behind <svg> or <math>"

# What stands between these may be written several times, or not at all.
OPENS = frozenset({"if", "unless", "case", "for", "capture"})
CLOSES = frozenset({"endif", "endunless", "endcase", "endfor", "endcapture"})
BRANCHES = frozenset({"else", "elsif", "when"})
NAME = re.compile(r"[^\s/>]*")
BETWEEN = re.compile(r"[\s/]*")
ATTRIBUTE = re.compile(r"[^\s>/][^\s=>/]*(?:\s*(=))?")
UNQUOTED = re.compile(r"[^\s>]*")
BLANKS = re.compile(r"\s*")
# What cannot be told for sure if markup follows it, or if it follows markup.
HALF_OPENING = ("<", "</", "<!", "<!-")
HALF_RAW_END = re.compile(r"</?[A-Za-z]*\Z")
EQUALS = re.compile(r"\s*=")
HALF_COMMENT_END = re.compile(r"-?!?>")
# Tags as nearly all are written, each closed.
WHOLE_TAGS = re.compile(
    r"""(?:[^<]++|</?[A-Za-z][\w:-]*+(?:[\s/]++|[^\s/>"'=<]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'=<>]++))?)*+>)*+\Z""",
    re.ASCII,
)
RAW_TAG = re.compile(rf"<(?:{'|'.join(sorted(RAW_TEXT))})", re.IGNORECASE)
# For any other text, which is read piece by piece.
STEPS_PER_CHARACTER = 4
# Within them <style> and <title> are elements like any other (HTML, 13.2.6.5).
DRAWING = re.compile(r"<(?:svg|math)\b", re.IGNORECASE)


class At(Enum):
    TEXT = auto()
    NAME = auto()
    TAG = auto()
    VALUE = auto()
    UNQUOTED = auto()
    DOUBLE = auto()
    SINGLE = auto()
    RAW = auto()
    COMMENT = auto()
    DECLARATION = auto()


class Unfinished(LiquidError):
    """A text that is markup of the author's, and ends within a tag."""

    def __init__(self) -> None:
        super().__init__("a literal or captured text ends within a tag or comment", token=None)


@dataclass(frozen=True, slots=True)
class State:
    """Of a reader of HTML. `raw` is the element whose text holds no tags: within its tag, or in its text."""

    at: At = At.TEXT
    raw: str = ""
    has_dash: bool = field(default=False, compare=False)  # the comment's last character is one


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: it leaves the place by this character, which is written in another way."""

    leaves_by: str
    instead: str = ""

    def kept(self, text: str, spend: Callable[[int], None]) -> str:
        """The text so that it stays here; takes the steps that finding out costs.

        Raises Unfinished for a text between tags that leaves something open.
        """
        if self.instead:
            # Not the text's own method: that of markup would escape what it puts in.
            return str.replace(text, self.leaves_by, self.instead)
        if not WHOLE_TAGS.match(text) or RAW_TAG.search(text):
            spend(len(text) * STEPS_PER_CHARACTER)
            if read_on(State(), text).at is not At.TEXT:
                raise Unfinished
        return text


PLACES = {
    At.TEXT: Place("<"),
    At.DOUBLE: Place('"', "&#34;"),
    At.SINGLE: Place("'", "&#39;"),
    At.RAW: Place("<", "&lt;"),
    At.COMMENT: Place(">", "&gt;"),
    At.DECLARATION: Place(">", "&gt;"),
}


def find_places(source: str) -> dict[int, Place]:
    """The place of each output, by where it begins in the source, of which the blocks are known to fit.

    Raises MarkupError where one would stand in a tag without quotes.
    """
    walk = _Walk(source)
    pieces = list(stripped(source))
    for (piece, text), following in zip(pieces, [*pieces[1:], None], strict=True):
        if piece.kind in (Kind.TEXT, Kind.RAW):
            walk.read(piece, text, is_last=following is None)
        elif piece.kind is Kind.OUTPUT or piece.name in WRITING:
            walk.put(piece)
        elif piece.kind is Kind.TAG:
            walk.turn(piece)
    return walk.places


def read_on(state: State, text: str) -> State:
    """Where a reader is after this text."""
    position = 0
    while position < len(text):
        state, position = _STEPS[state.at](state, text, position)
    if state.at is At.COMMENT:
        return replace(state, has_dash=text.endswith("-") if text else state.has_dash)
    return state


@dataclass(slots=True)
class _Block:
    name: str
    entry: State
    ends: list[State] = field(default_factory=list)
    has_else: bool = False


class _Walk:
    """Goes through a template as all of its renderings do at once."""

    def __init__(self, source: str) -> None:
        self.places: dict[int, Place] = {}
        self._state = State()
        self._blocks: list[_Block] = []
        drawing = DRAWING.search(source)
        self._drawing = drawing.start() if drawing else len(source)

    def read(self, piece: Piece, text: str, *, is_last: bool) -> None:
        if reason := _broken_before(self._state, text):
            raise MarkupError(reason, piece.start)
        self._state = read_on(self._state, text)
        if not is_last and (reason := _broken_after(self._state, text)):
            raise MarkupError(reason, piece.end - 1)

    def put(self, piece: Piece) -> None:
        place = PLACES.get(self._state.at)
        if place is None:
            raise MarkupError(NAME_DEPENDS if self._state.at is At.NAME else QUOTES_WANTED, piece.start)
        if self._state.at is At.RAW and self._drawing < piece.start:
            raise MarkupError(IN_DRAWING, piece.start)
        self.places[piece.start] = place

    def turn(self, piece: Piece) -> None:
        """Goes into a block, to its next branch, or out of it."""
        if piece.name in OPENS:
            self._blocks.append(_Block(piece.name, self._state))
            self._state = State() if piece.name == "capture" else self._state
        elif piece.name in BRANCHES and self._blocks:
            block = self._blocks[-1]
            # What stands before the first branch of a `case` is never written.
            block.ends.append(block.entry if block.name == "case" and not block.ends else self._state)
            block.has_else = block.has_else or piece.name == "else"
            self._state = block.entry
        elif piece.name in CLOSES and self._blocks:
            self._close(self._blocks.pop(), piece)
        elif piece.name in ("break", "continue"):
            around = next((block for block in reversed(self._blocks) if block.name == "for"), None)
            if around is not None and not _are_alike([around.entry, self._state]):
                raise MarkupError(BRANCHES_DIFFER, piece.start)

    def _close(self, block: _Block, piece: Piece) -> None:
        if block.name == "capture":
            if self._state != State():
                raise MarkupError(CAPTURE_OPEN, piece.start)
            self._state = block.entry
            return
        ends = [*block.ends, self._state]
        # The branches of a `case` may all be written, one after another, and the body of a loop again and again.
        if not (block.has_else and block.name in ("if", "unless")):
            ends.append(block.entry)
        if not _are_alike(ends):
            raise MarkupError(BRANCHES_DIFFER, piece.start)
        self._state = _either(ends)


def _are_alike(states: Sequence[State]) -> bool:
    """Whether the same may follow. A tag whose name has just ended may go on with attributes, as after others."""
    return len({(At.TAG if state.at is At.NAME else state.at, state.raw) for state in states}) == 1


def _either(states: Sequence[State]) -> State:
    """Alike states as one, after which only that may follow which may follow each."""
    named = next((state for state in states if state.at is At.NAME), states[0])
    return replace(named, has_dash=any(state.has_dash for state in states))


def _broken_before(state: State, text: str) -> str:
    """Why this text cannot follow markup here."""
    if state.at is At.NAME and text and not text[0].isspace() and text[0] not in "/>":
        return NAME_DEPENDS
    if state.at is At.TAG and EQUALS.match(text):
        return ATTRIBUTE_DEPENDS
    return COMMENT_DEPENDS if state.has_dash and HALF_COMMENT_END.match(text) else ""


def _broken_after(state: State, text: str) -> str:
    """Why no markup can follow this text here."""
    if state.at in (At.TEXT, At.DECLARATION) and text.endswith(HALF_OPENING):
        return NAME_DEPENDS
    return NAME_DEPENDS if state.at is At.RAW and HALF_RAW_END.search(text[-80:]) else ""


Step = tuple[State, int]


def _text(state: State, text: str, position: int) -> Step:
    opening = OPENING.search(text, position)
    if opening is None:
        return state, len(text)
    start = opening.start()
    if text.startswith("<!--", start):
        return State(At.COMMENT), start + 2
    if text[start + 1] in "!?":
        return State(At.DECLARATION), start + 2
    is_closing = text[start + 1] == "/"
    name = NAME.match(text, start + 1 + is_closing)
    word = name[0] if name else ""
    raw = word.lower() if word.lower() in RAW_TEXT and not is_closing else ""
    return State(At.NAME, raw), start + 1 + is_closing + len(word)


def _name(state: State, text: str, position: int) -> Step:
    return State(At.TAG, state.raw), position


def _tag(state: State, text: str, position: int) -> Step:
    position = _skip(BETWEEN, text, position)
    if text.startswith(">", position):
        return State(At.RAW if state.raw else At.TEXT, state.raw), position + 1
    attribute = ATTRIBUTE.match(text, position)
    if attribute is None:
        return state, position
    return (State(At.VALUE, state.raw) if attribute[1] else state), attribute.end()


def _value(state: State, text: str, position: int) -> Step:
    position = _skip(BLANKS, text, position)
    first = text[position : position + 1]
    if first in ('"', "'"):
        return State(At.DOUBLE if first == '"' else At.SINGLE, state.raw), position + 1
    if not first:
        return state, position
    return State(At.TAG if first == ">" else At.UNQUOTED, state.raw), position


def _unquoted(state: State, text: str, position: int) -> Step:
    position = _skip(UNQUOTED, text, position)
    return (state if position == len(text) else State(At.TAG, state.raw)), position


def _quoted(state: State, text: str, position: int) -> Step:
    end = text.find('"' if state.at is At.DOUBLE else "'", position)
    return (state, len(text)) if end == -1 else (State(At.TAG, state.raw), end + 1)


def _raw(state: State, text: str, position: int) -> Step:
    ending = re.compile(rf"</{state.raw}(?=[\s/>])", re.IGNORECASE).search(text, position)
    return (State(At.TAG), ending.end()) if ending else (state, len(text))


def _comment(state: State, text: str, position: int) -> Step:
    end = COMMENT_END.search(text, position)
    return (State(), end.end()) if end else (state, len(text))


def _declaration(state: State, text: str, position: int) -> Step:
    end = text.find(">", position)
    return (state, len(text)) if end == -1 else (State(), end + 1)


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


_STEPS: dict[At, Callable[[State, str, int], Step]] = {
    At.TEXT: _text,
    At.NAME: _name,
    At.TAG: _tag,
    At.VALUE: _value,
    At.UNQUOTED: _unquoted,
    At.DOUBLE: _quoted,
    At.SINGLE: _quoted,
    At.RAW: _raw,
    At.COMMENT: _comment,
    At.DECLARATION: _declaration,
}
