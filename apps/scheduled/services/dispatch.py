"""Makes messages of scheduled mail at its time: exactly once, whoever dies, and however many processes do it at once.

A message and the mark that says so are one transaction. Each workspace gets a group in turn, so that one tenant's
hundred thousand for nine o'clock do not delay another's ten.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from apps.core import clock
from apps.core.errors import Problem
from apps.core.rows import update
from apps.events.services import NewEvent, record
from apps.events.types import EventType
from apps.keys.services import Caller, caller_of
from apps.messages.services.accept import Answer, accept_many
from apps.messages.services.admission import ask, sender_domain
from apps.messages.services.draft import Order, Origin
from apps.messages.services.drafting import Circumstances, Pinned
from apps.scheduled.models import Scheduled
from apps.scheduled.services.happenings import event
from apps.scheduled.states import Kind, Status
from apps.scheduled.timing import gives_up_at, pause_after
from apps.scheduled.waits import EXPLANATIONS, WaitCode, wait_for
from apps.templates.services import rendering
from apps.templates.services.rendering import Prepared
from apps.workspaces import limits
from apps.workspaces.errors import SendingDisabled
from apps.workspaces.models import Workspace

logger = logging.getLogger(__name__)

# Mail of one transaction, by number and by size: all of it is in memory at once.
GROUP, GROUP_BYTES = 50, 20_000_000
# A delivery job that dispatches does nothing else meanwhile, and has to show signs of life.
BUDGET_SECONDS = 0.5

# Turns a stored payload into an order; the door that took it in knows how.
Read = Callable[[Kind, Mapping[str, Any], Caller, Circumstances], Order]


class TooLate(Problem):
    """Its time is so long past that nobody waits for it any more."""

    code = "expired"
    status = 410


def dispatch_due(read: Read) -> int:
    """Dispatches what is due, for a bounded time; returns how much of it was dealt with, one way or another."""
    until = time.monotonic() + BUDGET_SECONDS
    total = 0
    while waiting := _workspaces_with_due():
        random.shuffle(waiting)
        before = total
        for workspace_id in waiting:
            total += _dispatch_group(workspace_id, read)
            if time.monotonic() > until:
                return total
        if total == before:  # others have it in hand
            break
    return total


def _workspaces_with_due() -> list[UUID]:
    """Without a lock: on SQLite a tick that finds nothing must not take the one place of the writer."""
    due = _due_anywhere()
    # Which workspaces they are costs a look at all that is scheduled on some databases; mostly there is nothing.
    return list(due.values_list("workspace_id", flat=True).distinct()) if due.exists() else []


def _due_anywhere() -> QuerySet[Scheduled]:
    due: QuerySet[Scheduled] = Scheduled.objects.across_workspaces().filter(due_at__lte=clock.database_now())
    return due.order_by()


def _dispatch_group(workspace_id: UUID, read: Read) -> int:
    try:
        return _dispatch(workspace_id, _due(workspace_id)[:GROUP], read)
    except Exception:
        # One of the group, or the database. The transaction is undone; each by itself harms no other.
        logger.exception("a group of scheduled mail of %s could not be dispatched together", workspace_id)
    one_by_one = list(_due(workspace_id).values_list("pk", flat=True)[:GROUP])
    until, done = time.monotonic() + BUDGET_SECONDS, 0
    for scheduled_id in one_by_one:
        done += _dispatch_alone(workspace_id, scheduled_id, read)
        if time.monotonic() > until:
            break
    return done


def _dispatch_alone(workspace_id: UUID, scheduled_id: UUID, read: Read) -> int:
    try:
        return _dispatch(workspace_id, _due(workspace_id).filter(pk=scheduled_id), read)
    except Exception as error:
        logger.exception("scheduled mail %s could not be dispatched", scheduled_id)
        return _put_off(workspace_id, scheduled_id, error)


def _due(workspace_id: UUID) -> QuerySet[Scheduled]:
    mine: QuerySet[Scheduled] = Scheduled.objects.of(workspace_id)
    return mine.filter(due_at__lte=clock.database_now(), status=Status.SCHEDULED).order_by("due_at", "pk")


def _dispatch(workspace_id: UUID, chosen: QuerySet[Scheduled], read: Read) -> int:
    """Locks what is chosen, accepts its messages and marks it, in one transaction.

    Two processes never have the same row: PostgreSQL skips what another has locked, SQLite lets one write.
    """
    with transaction.atomic():
        locked = chosen.select_for_update(skip_locked=True).values_list("pk", "size")
        rows = _load(workspace_id, list(_few(locked)))
        if not rows:
            return 0
        now = clock.database_now()
        caller = caller_of(Workspace.objects.get(pk=workspace_id))
        answers = _accept(_Reader(caller, read), rows, now)
        _settle([_Outcome(row, answer, now) for row, answer in zip(rows, answers, strict=False)])
    return len(answers)


def _few(locked: QuerySet[Any]) -> Iterator[UUID]:
    """As many as fit into memory together; at least one. The others are free again with the end of the transaction."""
    total = 0
    for place, (pk, size) in enumerate(locked):
        total += size
        if place and total > GROUP_BYTES:
            return
        yield pk


def _load(workspace_id: UUID, ids: Sequence[UUID]) -> list[Scheduled]:
    return list(Scheduled.objects.of(workspace_id).filter(pk__in=ids).order_by("due_at", "pk")) if ids else []


def _accept(reader: "_Reader", rows: Sequence[Scheduled], now: datetime) -> list[Answer]:
    """The answers to the first of them; suppressions and limits are asked for as for mail that is sent just now.

    To the first, because templates may be slow and nobody else writes on SQLite meanwhile: the rest has its turn next.
    """
    hindered = _hindrances(reader.caller, rows)
    until = time.monotonic() + BUDGET_SECONDS
    orders: list[Order] = []
    for row in rows:
        if orders and time.monotonic() > until:
            break
        refusal = _late(row, now) or hindered.get(row.pk)
        orders.append(Order(refusal) if refusal else reader.order(row))
    return accept_many(reader.caller, orders)


def _hindrances(caller: Caller, rows: Sequence[Scheduled]) -> dict[UUID, Problem]:
    """What stands in the way of mail whatever it says, so that what only waits is not rendered at every look."""
    for_all = SendingDisabled() if caller.is_suspended else limits.used_up(caller.workspace_id, caller.limits)
    if for_all is not None:
        return dict.fromkeys((row.pk for row in rows), for_all)
    domain_of = {row.pk: row.sender.rpartition("@")[2] for row in rows}
    admission = ask(caller.workspace_id, domains=set(domain_of.values()), keys=(), uses=[])
    found: dict[UUID, Problem] = {}
    for row_id, domain in domain_of.items():
        try:
            sender_domain(caller, domain, admission)
        except Problem as refusal:
            found[row_id] = refusal
    return found


def _late(row: Scheduled, now: datetime) -> TooLate | None:
    if now < gives_up_at(row.send_at):
        return None
    last = f" Last: {row.wait_detail or EXPLANATIONS[WaitCode(row.wait_code)].sentence}" if row.wait_code else ""
    return TooLate(f"It could not be sent within 48 hours of its time.{last}")


class _Reader:
    """Reads stored payloads again, with each template looked up once."""

    def __init__(self, caller: Caller, read: Read) -> None:
        self.caller, self._read = caller, read
        self._prepared: dict[UUID, Prepared] = {}

    def order(self, row: Scheduled) -> Order:
        """That one message comes of one row is seen to by the transaction, and by no key."""
        try:
            template = self._template(row.template_version_id) if row.template_version_id else None
        except Problem as refusal:
            return Order(refusal)
        files = {UUID(asset_id): Pinned(**bytes_of) for asset_id, bytes_of in row.files.items()}
        circumstances = Circumstances(origin=Origin(scheduled_id=row.pk), template=template, files=files)
        return self._read(Kind(row.kind), row.payload, self.caller, circumstances)

    def _template(self, version_id: UUID) -> Prepared:
        if version_id not in self._prepared:
            self._prepared[version_id] = rendering.prepare_version(self.caller.workspace_id, version_id)
        return self._prepared[version_id]


class _Outcome:
    """What becomes of one row by the answer that it got."""

    def __init__(self, row: Scheduled, answer: Answer, now: datetime) -> None:
        self.row, self.now = row, now
        self._refusal = answer if isinstance(answer, Problem) else None
        self._message_id = None if isinstance(answer, Problem) else answer.message_id
        self._wait = wait_for(answer) if isinstance(answer, Problem) else None

    def values(self) -> dict[str, Any]:
        """The same names whatever it is, so that all of a group are written by one statement."""
        refusal, is_final = self._refusal, self._wait is None
        status = Status.SCHEDULED if not is_final else Status.FAILED if refusal else Status.SENT
        return {
            "id": self.row.pk,
            "status": status.value,
            "message_id": self._message_id,
            "due_at": None if is_final else self._due_at(),
            "wait_code": self._wait.value if self._wait else "",
            "wait_detail": refusal.message if refusal and self._wait else "",
            "waiting_since": self._waiting_since(),
            "error_code": refusal.code if refusal and is_final else "",
            "error": refusal.message if refusal and is_final else "",
            "updated_at": self.now,
        }

    def event(self) -> NewEvent | None:
        """None while it waits."""
        if self._message_id is not None:
            more = {"messageId": str(self._message_id)}
            return event(EventType.SCHEDULED_DISPATCHED, self.row, self._message_id, **more)
        if self._refusal is None or self._wait is not None:
            return None
        error = {"code": self._refusal.code, "message": self._refusal.message}
        return event(EventType.SCHEDULED_FAILED, self.row, error=error)

    def _due_at(self) -> datetime:
        asked = self._refusal.retry_after_seconds if self._refusal and self._wait == WaitCode.LIMIT else None
        pause = timedelta(seconds=asked) if asked else pause_after(self.now - self.row.send_at)
        return min(self.now + pause, gives_up_at(self.row.send_at))

    def _waiting_since(self) -> datetime | None:
        if self._wait is None:
            return None
        same = self.row.wait_code == self._wait
        return self.row.waiting_since if same and self.row.waiting_since else self.now


def _settle(outcomes: Sequence[_Outcome]) -> None:
    rows: list[Mapping[str, Any]] = [outcome.values() for outcome in outcomes]
    changed = update(Scheduled, rows, match=("id",), where="t.status = 'scheduled'")
    if len(changed) != len(rows):  # and so none of these messages is stored either
        raise RuntimeError("a row that was locked for dispatch was changed by somebody else")
    record([told for outcome in outcomes if (told := outcome.event())], at=outcomes[0].now)


def _put_off(workspace_id: UUID, scheduled_id: UUID, error: Exception) -> int:
    """After its own attempt failed unexpectedly: later, with the reason, and out of the way of the others."""
    with transaction.atomic():
        rows = _due(workspace_id).filter(pk=scheduled_id).select_for_update(skip_locked=True)
        now = clock.database_now()
        trouble = Problem(f"{type(error).__name__} while its message was made; the log of this server has more.")
        outcomes = [_Outcome(row, _late(row, now) or trouble, now) for row in rows]
        if outcomes:
            _settle(outcomes)
    return len(outcomes)
