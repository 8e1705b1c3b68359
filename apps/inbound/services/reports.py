"""Takes reports about mail that we sent: reads, matches, keeps them, and lets what they say take effect; once each."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from apps.core import clock
from apps.core.crypto import seal, unseal
from apps.core.ids import new_id
from apps.inbound.models import Report
from apps.inbound.reading import read_in_child
from apps.inbound.services.arrival import MAX_RECIPIENTS, Arrival
from apps.inbound.services.consequences import finding
from apps.inbound.services.matching import Match, match
from apps.inbound.states import Door, Matched
from apps.messages.services import reported
from apps.messages.services.reported import Finding
from apps.messages.states import BounceSource
from apps.protocols.reports.prediction import prediction
from apps.protocols.reports.types import Report as Reading
from apps.protocols.text import storable

# What is kept of the mail itself, and for how long; what was read in it stays.
MAX_KEPT_OCTETS = 256 * 1024
KEEP_RAW, KEEP_STRAY = timedelta(days=30), timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a report says and where that comes from."""

    reading: Reading
    source: BounceSource = BounceSource.DSN
    occurred_at: datetime | None = None
    noted: dict[str, Any] = field(default_factory=dict)


def take(door: Door, arrival: Arrival) -> UUID:
    """Takes a report as mail; the id of the row that keeps it. Raises TemporarilyUnavailable."""
    return _once(arrival.fingerprint(door), lambda: Facts(read_in_child(arrival.raw)), door, arrival)


def take_facts(arrival: Arrival, facts: Facts) -> UUID:
    """Takes what a log says of one delivery; `arrival` holds it as it came. Raises TemporarilyUnavailable."""
    return _once(arrival.fingerprint("log"), lambda: facts, Door.BOUNCES, arrival)


def sweep(now: datetime) -> int:
    """Forgets the mail of old reports, and old reports that touched nobody; how many. What was read in others stays."""
    old = Report.objects.filter(received_at__lt=now - KEEP_RAW)
    forgotten = old.exclude(raw_sealed="").update(raw_sealed="")
    return forgotten + old.filter(received_at__lt=now - KEEP_STRAY).exclude(status=Matched.MATCHED).delete()[0]


def raw_of(report: Report) -> bytes:
    """The beginning of the mail as it came; empty once that is no longer kept. Raises SealBroken."""
    return unseal(report.raw_sealed, bound_to=_sealed_name(report.pk)).encode("latin-1") if report.raw_sealed else b""


def _once(fingerprint: str, read: Callable[[], Facts], door: Door, arrival: Arrival) -> UUID:
    known = Report.objects.filter(fingerprint=fingerprint).values_list("pk", flat=True)
    if (earlier := known.first()) is not None:
        return UUID(str(earlier))
    facts = read()
    try:
        return _keep(fingerprint, facts, door, arrival)
    except IntegrityError:
        # The same report came twice at once, and the other was faster.
        if (earlier := known.first()) is None:
            raise
        return UUID(str(earlier))


def _keep(fingerprint: str, facts: Facts, door: Door, arrival: Arrival) -> UUID:
    report_id, now = new_id(), clock.now()
    with transaction.atomic():
        found = match(facts.reading, arrival.recipients)
        findings = _findings(found, facts, report_id, facts.occurred_at or now)
        # First, so that of two at once the second waits here and changes nothing.
        row = _row(report_id, facts, door, arrival, found)
        row.fingerprint, row.received_at = fingerprint, now
        row.explanation = found.explanation or _told(findings)
        row.save(force_insert=True)
        if findings:
            reported.record(findings)
    return report_id


def _findings(found: Match, facts: Facts, report_id: UUID, at: datetime) -> list[Finding]:
    each = (finding(one, facts.reading, facts.source, report_id=report_id, at=at) for one in found.about)
    return [one for one in each if one is not None]


def _row(report_id: UUID, facts: Facts, door: Door, arrival: Arrival, found: Match) -> Report:
    kept = arrival.raw[:MAX_KEPT_OCTETS].decode("latin-1")
    return Report(
        id=report_id,
        door=door,
        kind=facts.reading.kind.value,
        status=found.status,
        matched_by=found.by or "",
        workspace_id=found.message.workspace_id if found.message and found.status == Matched.MATCHED else None,
        message_id=found.message.pk if found.message else None,
        envelope_sender=storable(arrival.sender)[:320],
        envelope_recipients=[storable(address)[:320] for address in arrival.recipients[:MAX_RECIPIENTS]],
        reading=storable_tree(shown(facts.reading) | facts.noted),
        size=len(arrival.raw),
        raw_sealed=seal(kept, bound_to=_sealed_name(report_id)),
    )


def shown(reading: Reading) -> dict[str, Any]:
    """What was read, for a person: the flat form of `parse_report`, and what identifies the message."""
    original = asdict(reading.original)
    original.pop("headers")
    each = [asdict(recipient) for recipient in reading.recipients]
    return prediction(reading) | {
        "perRecipient": each,
        "original": original,
        "sentTo": list(reading.sent_to),
        "note": reading.note,
    }


def _told(findings: Sequence[Finding]) -> str:
    """What followed, in a sentence."""
    if not findings:
        return "It is no reason to do anything."
    return "; ".join(f"{one.event.label}: {one.email}" for one in findings) + "."


def storable_tree(value: Any) -> Any:
    """The value with each of its texts as a database can hold it."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(str(name)): storable_tree(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [storable_tree(inner) for inner in value]
    return value


def _sealed_name(report_id: UUID) -> str:
    return f"inbound.Report:{report_id}"
