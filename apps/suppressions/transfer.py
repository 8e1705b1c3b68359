"""Taking a list of addresses over from a file, and giving one out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID

import orjson
from django.db import transaction
from django.db.models import QuerySet

from apps.core.clock import wire_time
from apps.protocols.address import AddressError, Mailbox
from apps.suppressions.addresses import suppressible
from apps.suppressions.csv_files import Line, Table, written
from apps.suppressions.models import Reason, Source, Suppression
from apps.suppressions.services import NewSuppression, add, suppressed_pairs

CHUNK = 1_000
COLUMNS = ("email", "reason", "source", "created_at", "message_id", "bounce_id", "metadata")


@dataclass(frozen=True, slots=True)
class Refused:
    line: int
    email: str
    why: str


@dataclass(slots=True)
class Report:
    """What became of the lines: addresses that are new, suppressed already, named earlier in the file; and the rest."""

    new: int = 0
    known: int = 0
    repeated: int = 0
    refused: list[Refused] = field(default_factory=list)

    @property
    def lines(self) -> int:
        return self.new + self.known + self.repeated + len(self.refused)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one transaction of an import has stored."""

    first_line: int
    last_line: int
    new: int


def import_table(workspace_id: UUID, table: Table, reason: Reason, *, note: Callable[[Chunk], object] | None) -> Report:
    """Suppresses what the table lists; `reason` where a line has none.

    Each thousand lines are a transaction, in which `note` may write down what was done. Without it nothing is stored:
    the report says what would be. What is suppressed already stays as it is, so that a file can be imported again.
    """
    report, seen = Report(), set[str]()
    lines = table.lines()
    while some := list(islice(lines, CHUNK)):
        read = [_wanted(workspace_id, line, reason, report, seen) for line in some]
        wanted = [suppression for suppression in read if suppression is not None]
        if note is None:
            new = len(wanted) - len(suppressed_pairs({(workspace_id, Mailbox(w.email).key) for w in wanted}))
        else:
            with transaction.atomic():
                new = add(wanted)
                note(Chunk(some[0].number, some[-1].number, new))
        report.new += new
        report.known += len(wanted) - new
    return report


def _wanted(workspace_id: UUID, line: Line, reason: Reason, report: Report, seen: set[str]) -> NewSuppression | None:
    try:
        email, reason = _read(line, reason)
    except ValueError as error:
        report.refused.append(Refused(line.number, line.email[:100], str(error)))
        return None
    key = Mailbox(email).key
    if key in seen:
        report.repeated += 1
        return None
    seen.add(key)
    return NewSuppression(workspace_id, email, reason, Source.USER)


def _read(line: Line, reason: Reason) -> tuple[str, Reason]:
    """Raises ValueError with what is wrong in words."""
    if line.fault:
        raise ValueError(line.fault)
    if line.reason and line.reason.lower() not in set(Reason):
        raise ValueError(f"The reason is none of {', '.join(Reason)}.")
    try:
        return suppressible(line.email), Reason(line.reason.lower()) if line.reason else reason
    except AddressError as error:
        raise ValueError(error.reason) from error


def export_rows(rows: QuerySet[Suppression]) -> Iterator[bytes]:
    """The rows as CSV, newest first, a thousand at a time: never all in memory, and no transaction is kept open."""
    yield written([COLUMNS])
    rows = rows.order_by("-pk")
    page = list(rows[:CHUNK])
    while page:
        yield written([_cells(row) for row in page])
        page = list(rows.filter(pk__lt=page[-1].pk)[:CHUNK]) if len(page) == CHUNK else []


def _cells(row: Suppression) -> Sequence[str]:
    ids = (str(row.message_id or ""), str(row.bounce_id or ""))
    metadata = orjson.dumps(row.metadata).decode() if row.metadata else ""
    return (row.email, row.reason, row.source, wire_time(row.created_at) or "", *ids, metadata)
