"""The point of no return, committed before it is passed, for many transactions at once."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from apps.core import clock
from apps.core.database import database
from apps.core.rows import update
from apps.delivery.services.claim import lease_time
from apps.delivery.services.prepare import address_of
from apps.events.services import NewEvent, record
from apps.events.types import EventType, ResourceType
from apps.messages.models import Message, Recipient
from apps.messages.services.outcomes import Holding, lock_messages
from apps.messages.states import Status
from apps.suppressions.services import suppressed_pairs

# How long the first transaction waits for others to share a commit with.
GATHER_SECONDS = 0.02
ENOUGH = 32


def mark_in_doubt(holdings: Sequence[Holding]) -> set[UUID]:
    """Commits that these are about to be handed over; returns the recipients that may be.

    Whoever is not in the answer has lost the claim, or was suppressed a moment ago, and must not be sent to.
    """
    with transaction.atomic():
        suppressed = suppressed_pairs({address_of(holding) for holding in holdings})
        holdings = [holding for holding in holdings if address_of(holding) not in suppressed]
        lock_messages({holding.message_id for holding in holdings})
        now = clock.database_now()
        marked = update(
            Recipient,
            [
                {
                    "id": h.recipient_id,
                    "fence": h.fence,
                    "in_doubt": True,
                    "status": Status.SENDING.value,
                    "lease_until": now + lease_time(),
                }
                for h in holdings
            ],
            match=("id", "fence"),
            # A lease that has run out is still ours until somebody takes the claim back, and that clears it.
            where="t.lease_until IS NOT NULL",
        )
        ours = [holding for holding in holdings if holding.recipient_id in marked]
        touched = {holding.message_id for holding in ours}
        Message.objects.across_workspaces().filter(pk__in=touched).update(status=Status.SENDING, updated_at=now)
        record([_event(holding) for holding in ours], at=now)
    return marked


def take_back(holdings: Sequence[Holding]) -> None:
    """Ends the doubt about what was marked and then did not go out after all."""
    rows = [{"id": h.recipient_id, "fence": h.fence, "in_doubt": False} for h in holdings]
    update(Recipient, rows, match=("id", "fence"), where="t.lease_until IS NOT NULL")


@dataclass(slots=True)
class _Waiting:
    holdings: Sequence[Holding]
    answer: asyncio.Future[bool]

    def is_in(self, marked: Collection[UUID]) -> bool:
        return all(holding.recipient_id in marked for holding in self.holdings)


class Gate:
    """Lets transactions pass in groups. `senders` tells how many may still arrive."""

    def __init__(self, senders: Callable[[], int]) -> None:
        self._senders = senders
        self._waiting: list[_Waiting] = []
        self._arrival = asyncio.Event()

    async def passes(self, holdings: Sequence[Holding]) -> bool:
        """True once it is committed that all of these may go out; False if one of them is no longer ours."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(holdings, answer))
        self._arrival.set()
        return await answer

    async def run(self) -> None:
        while True:
            await self._arrival.wait()
            await self._gather()
            group, self._waiting = self._waiting, []
            self._arrival.clear()
            await self._commit([waiting for waiting in group if not waiting.answer.done()])

    async def _gather(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + GATHER_SECONDS
        while len(self._waiting) < min(ENOUGH, self._senders()) and loop.time() < until:
            await asyncio.sleep(0.001)

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        if not group:
            return
        try:
            marked = await database(mark_in_doubt, [h for waiting in group for h in waiting.holdings])
            # Without one of its recipients it is another transaction: the rest goes out with the next claim.
            if stopped := [h for waiting in group if not waiting.is_in(marked) for h in waiting.holdings]:
                await database(take_back, stopped)
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody may pass; each sender hears of it
            for waiting in group:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
            return
        for waiting in group:
            if not waiting.answer.done():
                waiting.answer.set_result(waiting.is_in(marked))


def _event(holding: Holding) -> NewEvent:
    data = {"recipient": holding.email}
    kind = EventType.MESSAGE_SENDING
    return NewEvent(holding.workspace_id, kind, ResourceType.MESSAGE, holding.message_id, holding.message_id, data)
