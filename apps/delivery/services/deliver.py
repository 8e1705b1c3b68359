"""The delivery engine of one process, as a list of its steps: claim, load, check, route, carry, record.

Everything here can be killed at any line. What is not recorded is picked up by `recover` when its lease ends.
"""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from apps.core import clock
from apps.core.database import DatabaseAway, database
from apps.delivery import capture
from apps.delivery.compose import letter_of, parcel_of
from apps.delivery.connections import Pool
from apps.delivery.routing import CAPTURE, Destination, NoRoute, Router
from apps.delivery.services import claim, destinations
from apps.delivery.services.gate import Gate
from apps.delivery.services.prepare import Batch, prepare, wait
from apps.delivery.services.recorder import Recorder
from apps.delivery.verdict import after_carriage, without_route
from apps.delivery.work import Carriage, Carried, NotCarried, Parcel, TooSlow, Unwritable
from apps.messages.services.outcomes import Holding, Outcome
from apps.messages.states import Lane
from apps.messages.waits import WaitCode

logger = logging.getLogger(__name__)

# Recipients held at once. What is left free at the end is for the lanes that go first.
ROOM = {Lane.OTP: 600, Lane.TRANSACTIONAL: 500, Lane.BULK: 400}
# A claim costs the same for few as for many, so it waits until there is room for many.
CLAIM_AT_MOST, CLAIM_AT_LEAST = 200, 100
# More than this of one slow destination in hand, and the rest makes room for others.
DESTINATION_AT_MOST = 40
# Content in memory; a claim beyond it is given back.
MEMORY_BYTES = 64_000_000
BUSY_PAUSE = timedelta(seconds=15)
FAULT_PAUSE = timedelta(minutes=5)
# What was given back without a reason of its own is not due at once, lest it go round and round.
BREATHER = timedelta(seconds=1)
POLL_SECONDS = 0.05
GRACE_SECONDS = 3.0
AWAY_SECONDS = 1.0


class Engine:
    """Delivers until it is told to stop."""

    def __init__(self, should_stop: Callable[[], bool], *, must_hurry: Callable[[], bool]) -> None:
        self._should_stop, self._must_hurry = should_stop, must_hurry
        self._router = Router()
        self._claimer = claim.Claimer()
        self._gate = Gate(self._transmitting)
        self._recorder = Recorder(lambda: len(self._held))
        self._pools: dict[str, Pool] = {}
        self._permits: dict[str, asyncio.Semaphore] = {}
        self._held: dict[UUID, Holding] = {}
        self._sizes: dict[UUID, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._captures = 0
        self._troubled: set[str] = set()
        self._found_nothing = False
        self._looked_at = time.monotonic()

    @property
    def in_flight(self) -> int:
        return len(self._held)

    def since_look(self) -> timedelta:
        """How long ago this engine last looked for work, or saw that it has its hands full."""
        return timedelta(seconds=time.monotonic() - self._looked_at)

    @property
    def is_idle(self) -> bool:
        """Whether the last look found nothing due, and nothing is on its way."""
        return self._found_nothing and not self._held and not self._tasks

    async def run(self) -> None:
        """Claims and delivers; at the end gives back what has not begun and lets the rest finish."""
        helpers = [asyncio.create_task(self._gate.run()), asyncio.create_task(self._recorder.run())]
        try:
            while not self._should_stop():
                if not await self._claim_once():
                    await asyncio.sleep(POLL_SECONDS)
            await self._wind_down()
        finally:
            for task in helpers:
                task.cancel()

    async def renew_leases(self) -> None:
        """Prolongs what is held; a claim that was lost is no longer counted, and cannot pass the gate."""
        if held := list(self._held.values()):
            kept = await database(claim.renew, held)
            for lost in [holding for holding in held if holding.recipient_id not in kept]:
                self._forget([lost])

    async def _claim_once(self) -> bool:
        # A sign of life also when there is no room: slow servers are no reason to restart us.
        self._looked_at = time.monotonic()
        self._shed()
        free = {lane: min(CLAIM_AT_MOST, places - len(self._held)) for lane, places in ROOM.items()}
        if free[Lane.OTP] < CLAIM_AT_LEAST or sum(self._sizes.values()) >= MEMORY_BYTES:
            return False
        try:
            holdings = await database(self._claimer.claim, free, list(self._held.values()))
        except DatabaseAway:
            await asyncio.sleep(AWAY_SECONDS)
            return False
        self._found_nothing = not holdings
        if holdings:
            self._held.update({holding.recipient_id: holding for holding in holdings})
            # Awaited, and not beside the next claim: that has to know how much memory this one takes.
            await asyncio.wait([self._spawn(self._deliver(holdings), holdings)])
        return bool(holdings)

    def _shed(self) -> None:
        """Makes room that slow destinations take up: what waits there beyond a few goes back to the queue."""
        for pool in self._pools.values():
            if pool.is_slow:
                pool.shed(DESTINATION_AT_MOST)

    async def _deliver(self, holdings: Sequence[Holding]) -> None:
        """One claim's way through the engine, up to the destinations."""
        budget = MEMORY_BYTES - sum(self._sizes.values())
        batch = await database(prepare, holdings, budget=budget, may_exceed=not self._sizes)
        self._sizes.update(batch.sizes)
        self._settle(batch.declined)
        if batch.postponed:
            await self._give_back(batch.postponed)
        self._troubled |= batch.troubles.keys()
        for (domain, is_test), group in by_domain(batch).items():
            self._spawn(self._dispatch(domain, group, batch, is_test=is_test), group)

    async def _dispatch(self, domain: str, group: Sequence[Holding], batch: Batch, *, is_test: bool) -> None:
        """Finds the domain's destination and sends there what may go there now."""
        route = await self._router.destination(domain, is_test=is_test)
        if isinstance(route, NoRoute):
            self._settle([without_route(holding, route, now=clock.now()) for holding in group])
            return
        ready, waiting = self._hold_back(route, group, batch)
        self._settle(waiting)
        packed, faulty = parcels(ready, batch)
        self._settle(faulty)
        for parcel in packed:
            self._spawn(self._carry(parcel, route), parcel.holdings)

    def _hold_back(
        self, route: Destination, group: Sequence[Holding], batch: Batch
    ) -> tuple[Sequence[Holding], list[Outcome]]:
        """Those that may go there now, and those that wait: the destination rests, or has its hands full."""
        trouble = batch.troubles.get(route.key)
        if trouble is not None and trouble.rests_for > timedelta(0):
            rest = trouble.rests_for
            return [], [wait(h, WaitCode.DESTINATION_PAUSED, trouble.error, retry_in=rest) for h in group]
        pool = self._pools.get(route.key)
        if pool is None or not pool.is_slow:
            return group, []
        places = max(0, DESTINATION_AT_MOST - pool.size)
        busy = [wait(h, WaitCode.DESTINATION_BUSY, retry_in=BUSY_PAUSE) for h in group[places:]]
        return group[:places], busy

    async def _carry(self, parcel: Parcel, route: Destination) -> None:
        """One SMTP transaction, and what follows from it."""
        carriage = await self._transport(parcel, route)
        if isinstance(carriage, NotCarried):
            await self._give_back(parcel.holdings)
        elif isinstance(carriage, TooSlow):
            code = WaitCode.DESTINATION_BUSY
            self._settle([wait(h, code, retry_in=BUSY_PAUSE) for h in parcel.holdings])
        elif isinstance(carriage, Unwritable):
            logger.error("message %s cannot be composed: %s", parcel.letter.message_id, carriage.fault)
            fault, code = carriage.fault, carriage.code
            self._settle([wait(h, code, fault, retry_in=FAULT_PAUSE) for h in parcel.holdings])
        else:
            pause = await self._note(route, carriage)
            scenario = parcel.letter.scenario
            self._settle([after_carriage(h, carriage, scenario=scenario, pause=pause) for h in parcel.holdings])

    async def _transport(self, parcel: Parcel, route: Destination) -> Carriage:
        if route is not CAPTURE:
            return await self._pool(route).submit(parcel, route.hosts)
        self._captures += 1
        try:
            return await capture.carry(parcel, self._gate)
        finally:
            self._captures -= 1

    async def _note(self, route: Destination, carried: Carried) -> timedelta | None:
        """Tells the destination's record how it went; returns the pause that follows from a failure."""
        try:
            if carried.is_unreachable:
                self._troubled.add(route.key)
                answer = next(iter(carried.answers.values()))
                return await database(destinations.failed, route.key, answer.line)
            if route.key in self._troubled:
                await database(destinations.reached, route.key)
                self._troubled.discard(route.key)
        except DatabaseAway:
            pass  # a note; the outcome itself matters more, and the recorder waits for the database
        return None

    def _pool(self, route: Destination) -> Pool:
        for key in [key for key, pool in self._pools.items() if pool.is_unused and key != route.key]:
            del self._pools[key]
        if route.key not in self._pools:
            limits = route.limits
            permits = self._permits.setdefault(limits.group, asyncio.Semaphore(limits.connections_here()))
            self._pools[route.key] = Pool(route, router=self._router, gate=self._gate, permits=permits)
        return self._pools[route.key]

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        """Hands outcomes to the recorder; they stay held until they are committed."""
        for outcome in outcomes:
            if outcome.needs_operator:
                logger.warning("message %s needs an operator: %s", outcome.holding.message_id, outcome.error)
            self._recorder.put(outcome, partial(self._forget, [outcome.holding]))

    async def _give_back(self, holdings: Sequence[Holding]) -> None:
        await database(claim.release, holdings, pause=BREATHER)
        self._forget(holdings)

    def _forget(self, holdings: Sequence[Holding]) -> None:
        for holding in holdings:
            held = self._held.get(holding.recipient_id)
            if held is not None and held.fence == holding.fence:  # else it was claimed anew meanwhile
                del self._held[holding.recipient_id]
                self._sizes.pop(holding.recipient_id, None)

    def _spawn(self, work: Coroutine[Any, Any, None], holdings: Sequence[Holding]) -> asyncio.Task[None]:
        """Runs one step beside the others. If it dies, its claims are no longer renewed and come back in time."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._ended(task, holdings))
        return task

    def _ended(self, task: asyncio.Task[None], holdings: Sequence[Holding]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            self._forget(holdings)
        elif (error := task.exception()) is not None:
            self._forget(holdings)
            if not isinstance(error, DatabaseAway):
                logger.error("a step of the delivery died; its recipients are taken up again later", exc_info=error)

    async def _wind_down(self) -> None:
        """Gives back what has not begun, and lets what has begun finish: at a stop only for a moment.

        Hanging up on a server that has the content and has not answered yet is what makes duplicates.
        """
        for pool in self._pools.values():
            pool.give_back()
        hurried_since: float | None = None
        while self._tasks:
            await asyncio.wait(set(self._tasks), timeout=POLL_SECONDS)
            if self._must_hurry():
                hurried_since = hurried_since or time.monotonic()
                if time.monotonic() - hurried_since > GRACE_SECONDS:
                    break
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        with contextlib.suppress(TimeoutError, DatabaseAway):
            async with asyncio.timeout(GRACE_SECONDS):
                await self._recorder.emptied()
                # What is past the gate stays claimed; all else is due again, and not under suspicion.
                await database(claim.release, list(self._held.values()))
        for task in list(self._tasks):
            task.cancel()

    def _transmitting(self) -> int:
        return self._captures + sum(pool.transmitting for pool in self._pools.values())


def by_domain(batch: Batch) -> dict[tuple[str, bool], list[Holding]]:
    """The claims that go the same way: by the recipient's domain, test workspaces apart."""
    groups: dict[tuple[str, bool], list[Holding]] = defaultdict(list)
    for holding in batch.sendable:
        is_test = holding.workspace_id in batch.test_workspaces
        groups[holding.email.rpartition("@")[2], is_test].append(holding)
    return groups


def parcels(holdings: Sequence[Holding], batch: Batch) -> tuple[list[Parcel], list[Outcome]]:
    """One transaction per message, and one of its own for each bcc: no server may see who else got a copy.

    What cannot be packed waits for an operator, and holds up nothing else.
    """
    groups: dict[tuple[UUID, UUID | None], list[Holding]] = defaultdict(list)
    for holding in holdings:
        alone = None if batch.stored[holding.message_id].names(holding.email) else holding.recipient_id
        groups[holding.message_id, alone].append(holding)
    letters = {message_id: letter_of(batch.stored[message_id], batch.keys) for message_id, _ in groups}
    packed: list[Parcel] = []
    faulty: list[Outcome] = []
    for (message_id, _), group in groups.items():
        try:
            packed.append(parcel_of(letters[message_id], batch.stored[message_id], group))
        except ValueError as error:  # a return path that cannot be one
            faulty += [wait(h, WaitCode.CONFIGURATION, str(error), retry_in=FAULT_PAUSE) for h in group]
    return packed, faulty
