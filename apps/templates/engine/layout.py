"""Tells in one pass, and without a tree, whether HTML may be laid out as text, and what that would cost.

A table costs its lines times its width, whatever little is in it: one long cell makes all others of its column as wide,
one of many lines all others of its row as high. A table in a cell is laid out again with each table around it.
"""

import re
from dataclasses import dataclass, field

from apps.templates.engine.markup import VOID

# The library goes down into tags by recursion, and gives nothing beyond some 250 levels; each line in a list is
# indented by all the lists around it.
MAX_DEPTH, MAX_LISTS = 150, 12
MAX_LENGTH, MAX_TAGS = 500_000, 20_000
# Characters that are written, at every level again.
MAX_COST = 8_000_000
# A line is copied with every piece that is added to it; so many copied characters cost as much as a written one.
COPIES_PER_CHARACTER = 16
# Between two columns.
GAP = 2
# Up to the next bracket, so that tags which are not closed are read once.
TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)([^<>]*)>?")
_LINES = (
    "address article blockquote body br caption center dd div dl dt footer form h1 h2 h3 h4 h5 h6 head header hr html "
    "li main nav ol p pre section table tbody td tfoot th thead tr ul"
)
LINES = frozenset(_LINES.split())
# They have empty lines around them, or are one.
_SPACED = "blockquote br dd dl dt h1 h2 h3 h4 h5 h6 hr ol p pre ul"
SPACED = frozenset(_SPACED.split())
LISTS = frozenset({"ul", "ol", "dl", "blockquote"})
BLOCKS = LISTS | {"table", "tr", "td", "th"}
NOT_SHOWN = frozenset({"script", "style", "title"})


def is_tame(source: str) -> bool:
    """Counts rather too much than too little."""
    if len(source) > MAX_LENGTH:
        return False
    return _is_shallow(source) if _is_small(source) else _is_cheap(source)


def _is_small(source: str) -> bool:
    """Whether nothing can come of it even if each tag made two lines as long as all of it, with each table again."""
    lines = 2 * source.count("<")
    tables = 1 + source.lower().count("<table")
    return "<pre" not in source.lower() and tables * lines * (len(source) + GAP * lines) < MAX_COST


def _is_shallow(source: str) -> bool:
    """Counts the levels alone, which is three times faster."""
    depth = lists = 0
    for closing, name, _ in TAG.findall(source):
        word, step = name.lower(), -1 if closing else 1
        depth = max(0, depth + step * (word not in VOID))
        lists = max(0, lists + step * (word in LISTS))
        if depth > MAX_DEPTH or lists > MAX_LISTS:
            return False
    return True


def _is_cheap(source: str) -> bool:
    """Lays the page out by its measures alone, on the way through its tags."""
    page = _Page()
    position = line = depth = copied = 0
    for count, tag in enumerate(TAG.finditer(source), start=1):
        start, end = tag.span()
        closing, name, attributes = tag.groups()
        word, step = name.lower(), -1 if closing else 1
        line += start - position
        position = end
        copied += line
        if word in LINES:
            page.cell.write(line, is_spaced=word in SPACED)
            line = 0
            if word in BLOCKS:
                page.open_or_close(word, step)
            elif word == "pre" and not closing:
                page.cell.lines += source.count("\n", end, source.find("</pre", end))
        else:
            line = _added(line, word, attributes)
        depth = max(0, depth + step * (word not in VOID))
        if depth > MAX_DEPTH or page.lists > MAX_LISTS or count > MAX_TAGS:
            return False
    page.cell.write(line + len(source) - position)
    return page.closed() + copied // COPIES_PER_CHARACTER <= MAX_COST


def _added(line: int, word: str, attributes: str) -> int:
    """The length of the line after a tag that does not end it: the address of a link is written behind it."""
    if word == "a":
        return line + len(attributes)
    return 0 if word in NOT_SHOWN else line


@dataclass(slots=True)
class _Cell:
    """Lines one below another: a table's cell, or the whole page."""

    lines: int = 0
    widest: int = 0

    def write(self, line: int, *, is_spaced: bool = False) -> None:
        """Ends the line that has so many characters."""
        self.lines += (line > 0) + is_spaced
        self.widest = max(self.widest, line)


@dataclass(slots=True)
class _Table:
    widths: list[int] = field(default_factory=list)
    height: int = 0
    row_height: int = 0
    column: int = 0
    # What stands between the cells counts as another one.
    cell: _Cell = field(default_factory=_Cell)

    def close_cell(self) -> None:
        if self.column == len(self.widths):
            self.widths.append(0)
        self.widths[self.column] = max(self.widths[self.column], self.cell.widest)
        self.row_height = max(self.row_height, self.cell.lines, 1)
        self.column += 1
        self.cell = _Cell()

    def close_row(self) -> None:
        self.close_cell()
        self.height += self.row_height
        self.row_height = self.column = 0


class _Page:
    """The page as it would be laid out, by its measures alone."""

    def __init__(self) -> None:
        self.cost = self.lists = 0
        self.cell = self._outside = _Cell()
        self._tables: list[_Table] = []

    def open_or_close(self, word: str, step: int) -> None:
        if word in LISTS:
            self.lists = max(0, self.lists + step)
        elif word == "table" and step > 0:
            self._tables.append(_Table())
        elif not self._tables:
            return
        elif word == "table":
            self._close_table()
        elif word in ("td", "th"):
            self._tables[-1].close_cell()
        elif word == "tr" and step > 0:
            self._tables[-1].close_row()
        self._settle()

    def closed(self) -> int:
        """Ends all that is open; returns what everything costs."""
        while self._tables:
            self._close_table()
            self._settle()
        return self.cost

    def _settle(self) -> None:
        self.cell = self._tables[-1].cell if self._tables else self._outside

    def _close_table(self) -> None:
        table = self._tables.pop()
        table.close_row()
        width = sum(table.widths) + GAP * len(table.widths)
        self.cost += table.height * width
        self._settle()
        self.cell.lines += table.height
        self.cell.widest = max(self.cell.widest, width)
