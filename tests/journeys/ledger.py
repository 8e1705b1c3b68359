"""The fast sink as a process of its own, its ledger, and the judgement: is anything lost, untrue, or unexplained?"""

import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from apps.events.models import Event
from apps.events.types import EventType
from apps.messages.models import Attempt, Message, Recipient
from apps.messages.states import AttemptStatus, Status
from tests.journeys.processes import ROOT, python

Copy = tuple[str, str]  # Message-ID and recipient


@dataclass(frozen=True, slots=True)
class Line:
    """One message that the sink took."""

    message_id: str
    recipients: tuple[str, ...]
    sha256: str
    is_answered: bool


class LedgerSink:
    """`with LedgerSink(path) as sink:` takes all mail on `sink.port`."""

    def __init__(self, path: Path, *, delay_ms: int = 0, drop_every: int = 0) -> None:
        self.path = path
        options = ["--ledger", str(path), "--delay-ms", str(delay_ms), "--drop-after-dot-every", str(drop_every)]
        self._command = python("-m", "tests.fakes.smtp_sink", *options)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline().split()[1])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def lines(self) -> list[Line]:
        return [_line(json.loads(text)) for text in self.path.read_text().splitlines()]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the ledger says against the platform's own story; all but `repeated` ought to be empty."""

    lost: set[Copy]
    untrue: set[Copy]
    unexplained: set[Copy]
    changed: set[str]
    repeated: int


def judge(lines: Collection[Line], accepted: Collection[str]) -> Judgement:
    """`accepted`: the ids of all messages that the API took."""
    rows = Recipient.objects.across_workspaces().filter(message_id__in=accepted)
    wanted = {(r.message.rfc_message_id, r.email): r for r in rows.select_related("message")}
    assert {str(r.message_id) for r in wanted.values()} == set(accepted)
    counts = Counter((line.message_id, email) for line in lines for email in line.recipients)
    answered = {(line.message_id, email) for line in lines if line.is_answered for email in line.recipients}
    forms: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        forms[line.message_id].add(line.sha256)
    flags = _flags()
    return Judgement(
        lost=set(wanted) - set(counts),
        untrue={copy for copy, row in wanted.items() if row.status == Status.SENT and copy not in answered},
        unexplained={copy for copy, count in counts.items() if count - 1 > flags[copy]},
        changed={message_id for message_id, found in forms.items() if len(found) > 1},
        repeated=sum(count - 1 for count in counts.values()),
    )


def _flags() -> Counter[Copy]:
    """How often each copy was owned up to as perhaps delivered: by an attempt and by an event, or it does not count."""
    ids = dict(Message.objects.across_workspaces().values_list("pk", "rfc_message_id"))
    ambiguous = Attempt.objects.across_workspaces().filter(status=AttemptStatus.AMBIGUOUS)
    by_attempt = Counter((ids[m], email) for m, email in ambiguous.values_list("message_id", "email"))
    events = Event.objects.across_workspaces().filter(type=EventType.DELIVERY_AMBIGUOUS)
    by_event = Counter((ids[m], data["recipient"]) for m, data in events.values_list("message_id", "data"))
    return by_attempt & by_event


def _line(fields: dict[str, object]) -> Line:
    recipients = fields["rcpts"]
    assert isinstance(recipients, list)
    return Line(
        str(fields["message_id"]).strip("<>"),
        tuple(recipients),
        str(fields["sha256"]),
        bool(fields["replied"]),
    )
