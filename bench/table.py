"""The figures of a run, each beside its goal, as one table."""

from collections.abc import Sequence
from dataclasses import dataclass

HEAD = ("part", "what", "measured", "goal", "")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; without a goal it is there for scale."""

    part: str
    what: str
    measured: str
    goal: str = ""
    is_met: bool | None = None

    @property
    def verdict(self) -> str:
        return {True: "met", False: "NOT MET", None: ""}[self.is_met]


def render(figures: Sequence[Figure]) -> str:
    rows = [HEAD, *((f.part, f.what, f.measured, f.goal, f.verdict) for f in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:], ""])
