"""Throws captured mail away, in steps that neither lock the table for long nor hold a request for ever."""

import time
from dataclasses import dataclass

from django.db.models import QuerySet

from apps.delivery.models import CapturedMessage

CHUNK = 1_000
CLEAR_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Cleared:
    """How many were deleted, and whether there was time for all."""

    count: int
    is_complete: bool


def clear(rows: QuerySet[CapturedMessage], *, seconds: float = CLEAR_SECONDS) -> Cleared:
    """Deletes the rows, oldest first, each chunk in a transaction of its own; what is left can be cleared again."""
    ends_at = time.monotonic() + seconds
    count = 0
    while oldest := list(rows.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        if time.monotonic() >= ends_at:
            return Cleared(count, is_complete=False)
        deleted, _ = rows.filter(pk__lte=oldest[-1]).delete()
        count += deleted
    return Cleared(count, is_complete=True)
