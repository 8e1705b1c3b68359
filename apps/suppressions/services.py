"""Suppressing addresses, and asking which are suppressed. Whoever asks passes canonical comparison keys."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from apps.core import clock
from apps.core.errors import Conflict, TemporarilyUnavailable
from apps.core.ids import new_id
from apps.events.services import NewEvent, record
from apps.events.types import EventType, ResourceType
from apps.protocols.address import Mailbox
from apps.suppressions.models import Reason, Source, Suppression

# Somebody would have to add and lift the same address between two statements of ours, each time.
TRIES = 30


class NeedsForce(Conflict):
    code = "invalid_state"
    message = (
        "A recipient has complained about mail of this workspace, and his provider told us. "
        "Lift this with ?force=true, and only if he has asked for mail again."
    )


@dataclass(frozen=True, slots=True)
class NewSuppression:
    """An address to suppress and the evidence for it."""

    workspace_id: UUID
    email: str
    reason: Reason
    source: Source
    message_id: UUID | None = None
    bounce_id: UUID | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def suppressed_pairs(pairs: Collection[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Which of these (workspace, comparison key) pairs are suppressed."""
    return set(_among(pairs).values_list("workspace_id", "key")) & set(pairs)


def in_force(pairs: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], Suppression]:
    """The suppressions of these (workspace, comparison key) pairs."""
    found = {(row.workspace_id, row.key): row for row in _among(pairs)}
    return {pair: found[pair] for pair in pairs if pair in found}


def add(suppressions: Sequence[NewSuppression], *, at: datetime | None = None) -> int:
    """Suppresses addresses in the caller's transaction, with an event for each that was not suppressed before.

    Returns how many were new. Of two writers at once one inserts; the other finds the row and changes nothing.
    """
    # Sorted, so that two writers with the same addresses cannot wait for each other in a circle.
    rows = sorted((_row(suppression) for suppression in suppressions), key=lambda row: (row.workspace_id, row.key))
    Suppression.objects.across_workspaces().bulk_create(rows, ignore_conflicts=True)
    ours = {row.pk for row in rows}
    stored = set(Suppression.objects.across_workspaces().filter(pk__in=ours).values_list("pk", flat=True))
    new = [row for row in rows if row.pk in stored]
    if new:
        record([_event(EventType.SUPPRESSION_CREATED, row) for row in new], at=at)
    return len(new)


def ensure(new: NewSuppression) -> tuple[Suppression, bool]:
    """The suppression of an address, and whether it is new. What is there already stays as it is, reason and all."""
    for _ in range(TRIES):
        with transaction.atomic():
            is_new = add([new]) == 1
            rows = Suppression.objects.of(new.workspace_id).filter(key=Mailbox(new.email).key)
            if (row := rows.first()) is not None:
                return row, is_new
    raise TemporarilyUnavailable


def lift(suppression: Suppression, *, even_complaints: bool = False) -> bool:
    """Lifts a suppression; False: somebody else was faster. Raises NeedsForce.

    Asked for `even_complaints` only where a provider reported them: what a caller called so he may take back.
    """
    if suppression.source == Source.COMPLAINT_PROCESSOR and not even_complaints:
        raise NeedsForce
    with transaction.atomic():
        deleted, _ = Suppression.objects.of(suppression.workspace_id).filter(pk=suppression.pk).delete()
        if deleted:
            record([_event(EventType.SUPPRESSION_DELETED, suppression)])
    return deleted > 0


def _among(pairs: Collection[tuple[UUID, str]]) -> QuerySet[Suppression]:
    """What is stored for any of these keys in any of these workspaces; by the index, which begins with those."""
    workspaces, keys = {workspace for workspace, _ in pairs}, {key for _, key in pairs}
    rows: QuerySet[Suppression] = Suppression.objects.across_workspaces().filter(
        workspace_id__in=workspaces, key__in=keys
    )
    return rows


def _row(new: NewSuppression) -> Suppression:
    return Suppression(
        id=new_id(),
        workspace_id=new.workspace_id,
        email=new.email,
        key=Mailbox(new.email).key,
        reason=new.reason,
        source=new.source,
        message_id=new.message_id,
        bounce_id=new.bounce_id,
        metadata=dict(new.metadata),
        created_at=clock.now(),
    )


def _event(event_type: EventType, row: Suppression) -> NewEvent:
    data = {"email": row.email, "reason": row.reason, "source": row.source}
    return NewEvent(row.workspace_id, event_type, ResourceType.SUPPRESSION, row.pk, row.message_id, data)
