"""What became of batches and their items, read off the messages in set-based queries at the time of asking."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, F, Max, Q, QuerySet, Value, When

from apps.batches.models import Batch, BatchItem
from apps.batches.states import REFUSED, Tally
from apps.messages.states import OPEN

STATE = Case(When(message=None, then=Value(REFUSED.value)), default=F("message__status"))


def with_states(items: QuerySet[BatchItem]) -> QuerySet[Any]:
    """The same items, each with its `state`."""
    return items.annotate(state=STATE)


def in_state(items: QuerySet[BatchItem], state: str) -> QuerySet[BatchItem]:
    is_it = Q(message__status=state)
    return items.filter(is_it | Q(message=None) if state == REFUSED else is_it)


def tallies(items: QuerySet[BatchItem], batches: Collection[Batch]) -> dict[UUID, Tally]:
    """The tally of each of these batches, in one query for all of them. `items`: those that the asker may see."""
    groups = items.filter(batch__in=batches).values("batch_id", "message__status").order_by()
    found: dict[UUID, list[Any]] = defaultdict(list)
    for group in groups.annotate(count=Count("pk"), sent=Max("message__sent_at"), failed=Max("message__failed_at")):
        found[group["batch_id"]].append(group)
    return {batch.pk: _tally(batch.created_at, found[batch.pk]) for batch in batches}


def _tally(created_at: datetime, groups: Collection[dict[str, Any]]) -> Tally:
    counts: dict[str, int] = defaultdict(int)
    for group in groups:
        counts[group["message__status"] or REFUSED.value] += group["count"]
    ends = [moment for group in groups for moment in (group["sent"], group["failed"]) if moment is not None]
    is_open = any(counts[status] for status in OPEN)
    return Tally(dict(counts), None if is_open else max([created_at, *ends]))
