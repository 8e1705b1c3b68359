"""Lists of addresses as CSV: read line by line whatever they hold, written so that no spreadsheet runs anything."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from apps.core.errors import Invalid, PayloadTooLarge

MAX_ROWS = 50_000
MAX_BYTES = 10_000_000
MAX_LINE_BYTES = 4_000
# A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
GUARD = "'"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
DELIMITERS = ",;\t"
EMAIL, REASON = "email", "reason"

NOT_UTF_8 = "It is not UTF-8."
LINE_TOO_LONG = f"It is longer than {MAX_LINE_BYTES:,} bytes."


@dataclass(frozen=True, slots=True)
class Line:
    """One row: its number in the file, and its cells; or why it cannot be read."""

    number: int
    email: str = ""
    reason: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns there are, and how cells are kept apart."""

    delimiter: str
    columns: Sequence[str]
    has_header: bool

    @property
    def ignored(self) -> list[str]:
        return [name for name in self.columns if name not in {EMAIL, REASON}]


class Table:
    """A file of somebody's, which is read from its beginning each time. Raises Invalid, PayloadTooLarge."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        if size > MAX_BYTES:
            raise PayloadTooLarge(f"The file has more than {MAX_BYTES:,} bytes. Nothing was imported.")
        self._file = file
        self.layout = self._look()
        if sum(1 for _ in self._raw()) > MAX_ROWS:
            raise PayloadTooLarge(f"The file has more than {MAX_ROWS:,} rows. Divide it; nothing was imported.")

    def lines(self) -> Iterator[Line]:
        """Every row but the header and empty ones. Each is read by itself, so that one stray quote harms one line."""
        for number, raw in self._raw():
            yield self._line(number, raw)

    def _raw(self) -> Iterator[tuple[int, bytes]]:
        self._file.seek(0)
        number = 0
        while raw := self._file.readline(MAX_LINE_BYTES + 1):
            number += 1
            rest = raw
            while not rest.endswith(b"\n") and (rest := self._file.readline(MAX_LINE_BYTES)):
                pass  # the rest of a line that is too long
            is_header = number == 1 and self.layout.has_header
            if raw.strip(b" \t\r\n,;") and not is_header:
                yield number, raw

    def _line(self, number: int, raw: bytes) -> Line:
        if len(raw) > MAX_LINE_BYTES:
            return Line(number, fault=LINE_TOO_LONG)
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            return Line(number, fault=NOT_UTF_8)
        try:
            cells = _cells(text, self.layout.delimiter)
        except csv.Error as error:
            return Line(number, text[:100], fault=f"It is no line of CSV: {error}.")
        found = dict(zip(self.layout.columns, cells, strict=False))
        return Line(number, unguarded(found.get(EMAIL, "").strip(" ")), found.get(REASON, "").strip(" "))

    def _look(self) -> Layout:
        self._file.seek(0)
        first = self._file.readline(MAX_LINE_BYTES + 1)
        if first.startswith(UTF_16):
            raise Invalid({"file": ["is not UTF-8 but UTF-16; save it as CSV UTF-8"]})
        text = first.decode("utf-8-sig", errors="replace").strip("\r\n")
        delimiter = next((sign for sign in DELIMITERS if sign in text), ",")
        try:
            cells = [cell.strip().lower() for cell in _cells(text, delimiter)]
        except csv.Error:
            cells = []
        if EMAIL in cells:
            return Layout(delimiter, cells, has_header=True)
        if cells and "@" in cells[0]:
            return Layout(delimiter, (EMAIL, REASON), has_header=False)
        raise Invalid(
            {"file": ["must name its columns in the first line, of which one is email and one may be reason"]}
        )


def _cells(text: str, delimiter: str) -> list[str]:
    return next(csv.reader([text], delimiter=delimiter), [])


def guarded(cell: str) -> str:
    """The cell, with a quote before what a spreadsheet would calculate."""
    return f"{GUARD}{cell}" if cell.startswith(FORMULA_STARTS) else cell


def unguarded(cell: str) -> str:
    """What `guarded` was given, so that our own files can be read again."""
    return cell[1:] if cell.startswith(GUARD) and cell[1:].startswith(FORMULA_STARTS) else cell


def written(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows as CSV, each cell guarded."""
    out = io.StringIO()
    csv.writer(out).writerows([[guarded(cell) for cell in row] for row in rows])
    return out.getvalue().encode()
