"""What is told of a batch as a whole, as it follows from the states of its items."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import models

from apps.messages.states import OPEN, Status


class BatchStatus(models.TextChoices):
    """Of a batch (wire contract 4)."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    PARTIALLY_FAILED = "partially_failed"
    FAILED = "failed"


# An item without a message was refused, and that is a failure too.
REFUSED = Status.FAILED
LOST = frozenset({Status.FAILED, Status.BOUNCED})


@dataclass(frozen=True, slots=True)
class Tally:
    """How many items of a batch are in which state, and when the last of them ended; null while one is open."""

    counts: Mapping[str, int]
    completed_at: datetime | None

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def queued(self) -> int:
        """Of these nothing final is known yet."""
        return self._sum(OPEN)

    @property
    def sent(self) -> int:
        return self._sum({Status.SENT})

    @property
    def failed(self) -> int:
        return self._sum(LOST)

    @property
    def suppressed(self) -> int:
        return self._sum({Status.SUPPRESSED})

    @property
    def status(self) -> BatchStatus:
        if self.queued:
            is_untouched = self.queued == self._sum({Status.QUEUED}) and not self.sent
            return BatchStatus.QUEUED if is_untouched and not self._sum({Status.BOUNCED}) else BatchStatus.PROCESSING
        if not self.failed:
            return BatchStatus.COMPLETED
        return BatchStatus.FAILED if self.failed == self.total else BatchStatus.PARTIALLY_FAILED

    def _sum(self, states: Iterable[str]) -> int:
        return sum(self.counts.get(state, 0) for state in states)
