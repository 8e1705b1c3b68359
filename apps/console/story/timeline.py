"""Events, tries and what operators did, as one line of time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.admin.models import LogEntry

from apps.console.story.telling import span
from apps.events.models import Event
from apps.events.types import EventType
from apps.messages.models import Attempt
from apps.messages.states import AttemptStatus
from apps.messages.story import LEVELS, sentence
from apps.messages.waits import EXPLANATIONS, WaitCode

# As LEVELS has it for the events of the same; where nothing stands, it was a warning.
LEVEL_OF_TRY = {AttemptStatus.SENT: "info", AttemptStatus.FAILED: "error"}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened."""

    at: datetime
    text: str
    level: str = "info"
    by: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    moment: Moment
    # Since the line before; empty at the first.
    after: str


def timeline(events: Sequence[Event], attempts: Sequence[Attempt], entries: Sequence[LogEntry]) -> list[Line]:
    """Oldest first, in whatever order they come. A try that an event tells of already is not told twice."""
    moments = [*_of_events(events), *_of_attempts(attempts, events), *_of_operators(entries)]
    moments.sort(key=lambda moment: moment.at)
    earlier = [None, *moments]
    return [
        Line(moment, f"+ {span(moment.at - before.at)}" if before else "")
        for before, moment in zip(earlier, moments, strict=False)
    ]


def _of_events(events: Sequence[Event]) -> Iterator[Moment]:
    for event in events:
        level = LEVELS.get(event.type, "info")  # type: ignore[call-overload]  # a word of the database, as the keys are
        yield Moment(event.created_at, _told(event), level)


def _told(event: Event) -> str:
    """The reason to wait itself, where the event has one: its label knows only that something waits."""
    reason = event.data.get("reason")
    if event.type != EventType.MESSAGE_DEFERRED or reason not in set(WaitCode):
        return sentence(event)
    text = f"{EXPLANATIONS[WaitCode(reason)].sentence.rstrip('.')}, for {event.data.get('recipient')}"
    said = event.data.get("response") or event.data.get("detail")
    return f"{text}: {said}" if said and said != EXPLANATIONS[WaitCode(reason)].sentence else text


def _of_attempts(attempts: Sequence[Attempt], events: Sequence[Event]) -> Iterator[Moment]:
    told = {(event.data.get("recipient"), event.data.get("attemptNumber")) for event in events}
    for attempt in attempts:
        if (attempt.email, attempt.number) not in told:
            text = f"Try {attempt.number} for {attempt.email}: {attempt.response or attempt.get_status_display()}"
            yield Moment(attempt.finished_at, text, LEVEL_OF_TRY.get(AttemptStatus(attempt.status), "warning"))


def _of_operators(entries: Sequence[LogEntry]) -> Iterator[Moment]:
    for entry in entries:
        yield Moment(entry.action_time, entry.get_change_message() or str(entry), "operator", str(entry.user))
