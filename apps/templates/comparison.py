"""What differs between two versions, line by line, for a person's eyes."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from apps.templates.engine.compiled import Part
from apps.templates.models import TemplateVersion

# Comparing takes the product of both lengths where nothing is alike.
MAX_LINES = 2_000
MAX_LINE = 2_000
AROUND = 3
KINDS = {"+": "added", "-": "removed", "@": "gap"}


@dataclass(frozen=True, slots=True)
class Line:
    kind: str  # added, removed, same, gap
    text: str


@dataclass(frozen=True, slots=True)
class PartDifference:
    part: str
    lines: Sequence[Line]
    is_too_long: bool = False


def compare(before: TemplateVersion, after: TemplateVersion) -> list[PartDifference]:
    """The parts that differ, with a few lines around each difference."""
    return [
        _compare(part, getattr(before, part), getattr(after, part))
        for part in Part
        if getattr(before, part) != getattr(after, part)
    ]


def _compare(part: Part, before: str, after: str) -> PartDifference:
    old, new = before.splitlines(), after.splitlines()
    if len(old) > MAX_LINES or len(new) > MAX_LINES:
        return PartDifference(part.value, [], is_too_long=True)
    # The first two lines name files.
    lines = list(difflib.unified_diff(old, new, n=AROUND, lineterm=""))[2:]
    return PartDifference(part.value, [_line(line) for line in lines])


def _line(line: str) -> Line:
    kind = KINDS.get(line[:1], "same")
    return Line(kind, line if kind == "gap" else line[1 : MAX_LINE + 1])
