"""Accepts batches: the batch, its items and all their messages in one transaction."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError

from apps.batches.models import Batch, BatchItem, BatchType
from apps.batches.states import REFUSED, Tally
from apps.core import clock
from apps.core.errors import Problem
from apps.core.ids import new_id
from apps.core.rows import Part
from apps.keys import idempotency
from apps.keys.services import Caller
from apps.messages.services.accept import Answer, accept_many
from apps.messages.services.draft import Order
from apps.protocols.address import Mailbox
from apps.templates.services.rendering import Prepared
from apps.workspaces.errors import SendingDisabled

FAMILIES = {BatchType.MESSAGE: "batch", BatchType.TEMPLATE: "batch-template"}
# What is kept of one item's refusal; a caller who gets so much wrong needs no complete list.
MAX_FIELDS_TOLD, MAX_MESSAGE, MAX_DETAILS = 20, 500, 8_000
NO_SENDER = Mailbox("")


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch that is not stored yet. `sender`: what it gives for all its items, if it gives one."""

    id: UUID
    type: BatchType
    sender: Mailbox | None = None
    template: Prepared | None = None
    use: idempotency.Use | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One item: its order, and for whom and with which key it came."""

    order: Order
    to: Sequence[str]
    key: str


@dataclass(frozen=True, slots=True)
class AcceptedBatch:
    """What was stored, as rows, with the state of each item."""

    batch: Mapping[str, Any]
    items: Sequence[Mapping[str, Any]]
    states: Sequence[str]

    @property
    def tally(self) -> Tally:
        counts = Counter(self.states)
        tally = Tally(counts, None)
        return tally if tally.queued else Tally(counts, self.batch["created_at"])


def accept_batch(caller: Caller, new: NewBatch, entries: Sequence[Entry]) -> AcceptedBatch | UUID:
    """Stores a batch with what can be accepted of its items; or the id of the earlier one with its key.

    Raises SendingDisabled and IdempotencyConflict; then nothing is stored.
    """
    if caller.is_suspended:
        raise SendingDisabled
    made: list[AcceptedBatch] = []

    def beside(answers: Sequence[Answer]) -> list[Part]:
        # Asked again where a limit or another request came between; the last answers are those that are stored.
        made.append(_rows(caller.workspace_id, new, entries, answers))
        return _parts(new, made[-1], answers)

    try:
        accept_many(caller, [entry.order for entry in entries], beside=beside)
    except IntegrityError:
        # The same batch at the same time, and the other one was faster.
        if new.use is None or (earlier := earlier_batch(new.use)) is None:
            raise
        return earlier
    return made[-1]


def earlier_batch(use: idempotency.Use) -> UUID | None:
    """The batch that this key made before. Raises IdempotencyConflict where another request used it."""
    return idempotency.earlier(use, told_as="batchId")


def _parts(new: NewBatch, accepted: AcceptedBatch, answers: Sequence[Answer]) -> list[Part]:
    taken = [(new.use, new.id)] if new.use is not None and not _is_to_be_tried_again(answers) else []
    return [(Batch, [accepted.batch]), (BatchItem, accepted.items), idempotency.part(taken)]


def _is_to_be_tried_again(answers: Sequence[Answer]) -> bool:
    """Whether nothing was accepted for reasons that pass: the same request with its key has to have a chance later."""
    refusals = [answer for answer in answers if isinstance(answer, Problem)]
    return len(refusals) == len(answers) and any(is_temporary(refusal) for refusal in refusals)


def is_temporary(refusal: Problem) -> bool:
    """As the published clients see it (wire contract 1.5)."""
    return refusal.status in {408, 425, 429} or refusal.status >= 500


def _rows(workspace_id: UUID, new: NewBatch, entries: Sequence[Entry], answers: Sequence[Answer]) -> AcceptedBatch:
    sender, template = new.sender or NO_SENDER, new.template
    batch = {
        "id": new.id,
        "workspace_id": workspace_id,
        "type": new.type.value,
        "template_id": template.template_id if template else None,
        "template_version_id": template.version_id if template else None,
        "from_email": sender.email,
        "from_name": sender.name,
        "created_at": clock.now(),
    }
    items, states = [], []
    for index, (entry, answer) in enumerate(zip(entries, answers, strict=True)):
        row = {
            "id": new_id(),
            "workspace_id": workspace_id,
            "batch_id": new.id,
            "index": index,
            "to": entry.to,
            "idempotency_key": entry.key,
        }
        items.append(row | _outcome(answer))
        states.append(REFUSED.value if isinstance(answer, Problem) else answer.status)
    return AcceptedBatch(batch, items, states)


def _outcome(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Problem):
        return {
            "message_id": None,
            "error_code": answer.code,
            "error_message": answer.message[:MAX_MESSAGE],
            "error_details": _bounded(answer.details),
            "idempotency_status": "none",
        }
    return {
        "message_id": answer.message_id,
        "error_code": "",
        "error_message": "",
        "error_details": {},
        "idempotency_status": answer.idempotency_status,
    }


def _bounded(details: Mapping[str, Any]) -> dict[str, Any]:
    """Without this, one bad body could be answered, and stored, with many times its size."""
    kept = {name: _shortened(value) for name, value in details.items()}
    return kept if len(json.dumps(kept)) <= MAX_DETAILS else {}


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(list(value.items())[:MAX_FIELDS_TOLD])
    return value[:MAX_FIELDS_TOLD] if isinstance(value, list) else value
