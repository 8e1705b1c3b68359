"""Accepts messages: every check, then all their rows in one transaction. Accepted means stored."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from apps.core import clock
from apps.core.errors import Problem
from apps.core.rows import Part, insert_all
from apps.keys import idempotency
from apps.keys.errors import EarlierIsGone
from apps.keys.services import Caller
from apps.messages.models import Message, Recipient
from apps.messages.services.admission import Admission, ask, sender_domain
from apps.messages.services.draft import Accepted, Draft, Order
from apps.messages.services.new_rows import NewMessage, new_message, parts_of
from apps.messages.states import Status
from apps.workspaces import limits
from apps.workspaces.errors import DailyLimitExceeded, HourlyLimitExceeded, SendingDisabled

# How often a limit may turn out to be used up by others while we fit into what is left of it.
MOST_FITTINGS = 30

Answer = Accepted | Problem
# Further rows for the same transaction, made when the answers are known.
Beside = Callable[[Sequence[Answer]], Sequence[Part]]


def nothing_beside(answers: Sequence[Answer]) -> Sequence[Part]:
    """For who stores nothing beside the messages."""
    return ()


def accept(caller: Caller, order: Order, *, beside: Callable[[Accepted], Sequence[Part]] | None = None) -> Accepted:
    """Stores a message and everything that its delivery needs, and `beside` it what belongs to a new message.

    Raises IdempotencyConflict, the Problem that stands for a draft, SendingDisabled, DomainNotVerified,
    DailyLimitExceeded, HourlyLimitExceeded; then nothing is stored and the key may be used again.
    """

    def belongings(answers: Sequence[Answer]) -> Sequence[Part]:
        (answer,) = answers
        return beside(answer) if beside and isinstance(answer, Accepted) and not answer.is_replay else ()

    (answer,) = accept_many(caller, [order], beside=belongings)
    if isinstance(answer, Problem):
        raise answer
    return answer


def accept_many(caller: Caller, orders: Sequence[Order], *, beside: Beside = nothing_beside) -> list[Answer]:
    """Stores what can be accepted of these, all in one transaction; the answer to each stands in its place.

    An order that is refused harms no other. Where a limit has room for some, the first that fit are taken. The
    idempotency keys of the orders are of one family.
    """
    admission = _admission(caller, orders)
    refused: dict[int, Problem] = {}
    for fitting in range(MOST_FITTINGS):
        plan = _Plan(caller, orders, admission, refused)
        try:
            return _store(plan, beside)
        except (DailyLimitExceeded, HourlyLimitExceeded) as refusal:
            is_hopeless = len(plan.new) == 1 or fitting == MOST_FITTINGS - 2
            refused |= dict.fromkeys(plan.beyond(0 if is_hopeless else _room(caller)), refusal)
        except IntegrityError:
            # Another request with one of the keys was faster, by less than our own look could see.
            if not _admission(caller, orders).earlier.keys() - admission.earlier.keys():
                raise
            return accept_many(caller, orders, beside=beside)
    raise AssertionError("after the last fitting nothing is left that a limit could refuse")


class _Plan:
    """What is to be stored, and the answer to each order in its place."""

    def __init__(
        self, caller: Caller, orders: Sequence[Order], admission: Admission, refused: Mapping[int, Problem]
    ) -> None:
        self.caller, self.admission = caller, admission
        self.answers: list[Answer] = []
        self.new: dict[int, NewMessage] = {}
        self._earlier = dict(admission.earlier)
        self._own: dict[UUID, Accepted] = {}
        self._stored = _stored(caller.workspace_id, {message_id for message_id, _ in admission.earlier.values()})
        for place, order in enumerate(orders):
            self.answers.append(refused.get(place) or self._answer(place, order))

    def beyond(self, room: int) -> Iterator[int]:
        """The places of new messages for which there is no room left after those before them; at least one."""
        fitting = 0
        for place, message in self.new.items():
            fits = message.open_count <= room
            room -= message.open_count if fits else 0
            fitting += fits
            if not fits:
                yield place
        if self.new and fitting == len(self.new):
            yield max(self.new)

    def _answer(self, place: int, order: Order) -> Answer:
        try:
            if order.use is not None and (found := self._earlier.get(order.use.key)):
                return self._replayed(idempotency.check_same(order.use, found, told_as="messageId"))
            if isinstance(order.draft, Problem):
                raise order.draft
            if self.caller.is_suspended:
                raise SendingDisabled
            domain_id = sender_domain(self.caller, order.draft.sender.domain, self.admission)
        except Problem as problem:
            return problem
        suppressed = self.admission.suppressed
        message = new_message(
            self.caller.workspace_id, order.draft, order.use, domain_id=domain_id, suppressed=suppressed
        )
        self.new[place] = message
        if order.use is not None:  # a later order of this very call may repeat it
            self._earlier[order.use.key] = (message.message_id, order.use.fingerprint)
            self._own[message.message_id] = message.answer
        return message.answer

    def _replayed(self, message_id: UUID) -> Accepted:
        earlier = self._own.get(message_id) or self._stored.get(message_id)
        if earlier is None:
            raise EarlierIsGone
        return replace(earlier, idempotency_status="replayed")


def _admission(caller: Caller, orders: Sequence[Order]) -> Admission:
    drafts = [order.draft for order in orders if isinstance(order.draft, Draft)]
    return ask(
        caller.workspace_id,
        domains={draft.sender.domain for draft in drafts},
        keys={addressee.mailbox.key for draft in drafts for addressee in draft.recipients},
        uses=[order.use for order in orders if order.use],
    )


def _store(plan: _Plan, beside: Beside) -> list[Answer]:
    """Raises DailyLimitExceeded, HourlyLimitExceeded and IntegrityError; then nothing is stored."""
    new = list(plan.new.values())
    parts = [*parts_of(new, now=plan.admission.now), *beside(plan.answers)] if new else list(beside(plan.answers))
    if parts:
        recipients = sum(message.open_count for message in new)
        reservation = limits.Reservation(plan.caller.workspace_id, recipients, plan.caller.limits, clock.now())
        with _unless_it_fails():
            reservation.check(insert_all(parts, counting=reservation.statements()))
    return plan.answers


def _unless_it_fails() -> AbstractContextManager[object]:
    """A refused statement spoils the transaction around it on PostgreSQL, if there is one."""
    return transaction.atomic() if connection.in_atomic_block else nullcontext()


def _room(caller: Caller) -> int:
    """How many recipients the limits still have room for, as of now."""
    return limits.room(caller.workspace_id, caller.limits)


def _stored(workspace_id: UUID, message_ids: Collection[UUID]) -> dict[UUID, Accepted]:
    """The answers about messages that earlier requests made."""
    if not message_ids:
        return {}
    gone: dict[UUID, list[str]] = {}
    rows = Recipient.objects.of(workspace_id).filter(message_id__in=message_ids, status=Status.SUPPRESSED)
    for message_id, email in rows.order_by("position").values_list("message_id", "email"):
        gone.setdefault(message_id, []).append(email)
    return {
        message.pk: Accepted(
            message_id=message.pk,
            status=message.status,
            idempotency_status="replayed",
            rfc_message_id=message.rfc_message_id,
            created_at=message.created_at,
            suppressed=tuple(gone.get(message.pk, ())),
        )
        for message in Message.objects.of(workspace_id).filter(pk__in=message_ids)
    }
