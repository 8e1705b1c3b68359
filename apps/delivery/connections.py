"""Kept connections: per destination a queue of parcels and the few sessions that its limits allow."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count

from apps.core import clock
from apps.core.database import DatabaseAway
from apps.delivery.routing import Destination, Router
from apps.delivery.services.gate import Gate
from apps.delivery.work import Carriage, Carried, NotCarried, Parcel, TooSlow, Unwritable
from apps.messages.states import IN_CLEAR
from apps.protocols.smtp import (
    Answer,
    Envelope,
    Exchange,
    Failure,
    FailureKind,
    Phase,
    Remark,
    Session,
    Target,
    connect,
)

logger = logging.getLogger(__name__)

IDLE_SECONDS = 2.0
SLOW_SECONDS = 5.0
# After a server has refused one of several connections, one more is tried as often as this.
FEWER_SECONDS = 60.0
# A domain may name a thousand servers that never answer; it does not get our whole day.
MAX_ADDRESSES = 5
OPEN_SECONDS = 120.0
# Heads the conversation of all but the first message on a connection.
REUSED = (Exchange("", Remark("on a connection that was already open")),)
TLS_SHOWN = 200


@dataclass(slots=True)
class Errand:
    """A parcel on its way, and the promise of how it went."""

    parcel: Parcel
    # In the order of the parcel's own domain: another domain may prefer the same servers differently.
    hosts: tuple[str, ...]
    done: asyncio.Future[Carriage]
    # Back in the queue under another entry, which will finish it.
    is_passed_on: bool = False

    def finish(self, carriage: Carriage) -> None:
        if not self.is_passed_on and not self.done.done():
            self.done.set_result(carriage)


@dataclass(slots=True)
class _Opened:
    session: Session
    target: Target
    # Also what was said to servers that did not let us in before this one did.
    opening: tuple[Exchange, ...]

    @property
    def way_here(self) -> tuple[Exchange, ...]:
        return REUSED if self.session.transactions else self.opening


@dataclass(frozen=True, slots=True)
class _Unopened:
    answer: Answer
    host: str
    address: str
    transcript: tuple[Exchange, ...] = ()


@dataclass(frozen=True, slots=True)
class _Refused:
    """An errand whose connection was not let in, until it shows whether any is."""

    errand: Errand
    unopened: _Unopened
    started_at: datetime


class Pool:
    """All parcels to one destination from this process. Lanes go before one another."""

    def __init__(self, destination: Destination, *, router: Router, gate: Gate, permits: asyncio.Semaphore) -> None:
        self.destination = destination
        self._router, self._gate, self._permits = router, gate, permits
        self._queue: asyncio.PriorityQueue[tuple[int, int, Errand]] = asyncio.PriorityQueue()
        self._order = count()
        self._workers: set[asyncio.Task[None]] = set()
        self._allowed = self._limit = destination.limits.connections_here()
        self._lowered_at = time.monotonic()
        self._sessions: list[Session] = []
        self._opening = 0
        self._refused: list[_Refused] = []
        self._idle = 0
        self._finished_at = time.monotonic()
        self.transmitting = 0

    def submit(self, parcel: Parcel, hosts: tuple[str, ...]) -> asyncio.Future[Carriage]:
        if self._queue.empty() and not self.transmitting:
            self._finished_at = time.monotonic()
        errand = Errand(parcel, hosts, asyncio.get_running_loop().create_future())
        self._queue.put_nowait((parcel.lane, next(self._order), errand))
        self._staff()
        return errand.done

    def _staff(self) -> None:
        """Starts one more sender where parcels wait and the limits allow it."""
        if self._limit < self._allowed and time.monotonic() - self._lowered_at > FEWER_SECONDS:
            self._limit, self._lowered_at = self._limit + 1, time.monotonic()
        if self._queue.qsize() > self._idle and len(self._workers) < self._limit:
            task = asyncio.create_task(self._work())
            self._workers.add(task)
            task.add_done_callback(self._ended)

    @property
    def size(self) -> int:
        """Parcels in hand, waiting or on their way."""
        return self._queue.qsize() + self.transmitting + len(self._refused)

    @property
    def is_slow(self) -> bool:
        """Whether parcels are in hand although none has been finished for a while."""
        return self.size > 0 and time.monotonic() - self._finished_at > SLOW_SECONDS

    @property
    def is_unused(self) -> bool:
        return not self._workers and self.size == 0

    def give_back(self) -> None:
        """Ends the wait of everything that has not begun."""
        while not self._queue.empty():
            self._queue.get_nowait()[2].finish(NotCarried())
        for refused in self._refused:
            refused.errand.finish(NotCarried())
        self._refused.clear()

    def shed(self, at_most: int) -> None:
        """Keeps so many of those that wait, the first lanes' and the oldest, and ends the wait of the others."""
        waiting = [self._queue.get_nowait() for _ in range(self._queue.qsize())]
        for entry in waiting[:at_most]:
            self._queue.put_nowait(entry)
        for *_, errand in waiting[at_most:]:
            errand.finish(TooSlow())

    async def close(self) -> None:
        for task in list(self._workers):
            task.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._workers.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a sender to %s died", self.destination.key, exc_info=error)
        # Parcels may have come while this one, the last that the limits allow, was taking its leave.
        self._staff()

    async def _work(self) -> None:
        """One connection's life: open when there is work, carry parcel after parcel, leave when idle."""
        async with self._permits:
            opened: _Opened | None = None
            try:
                while (errand := await self._next()) is not None:
                    opened = await self._serve(errand, opened)
                    if opened is None and len(self._workers) > self._limit:
                        break
            finally:
                if opened is not None:
                    await opened.session.quit()

    async def _next(self) -> Errand | None:
        self._idle += 1
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                return (await self._queue.get())[2]
        except TimeoutError:
            return None
        finally:
            self._idle -= 1

    async def _serve(self, errand: Errand, opened: _Opened | None) -> _Opened | None:
        """Carries one parcel and returns the connection, if it can be used again."""
        self.transmitting += 1
        try:
            return await self._carry(errand, opened)
        except DatabaseAway:
            # Nobody passed the gate, so nothing went out; the session is closed by now.
            return None
        except Exception as error:
            # A fault of ours in this one parcel or setting: it waits for a person, the others go on.
            logger.exception("message %s could not be handed over", errand.parcel.letter.message_id)
            errand.finish(Unwritable(f"{type(error).__name__}: {error}"))
            return None
        finally:
            self.transmitting -= 1
            self._finished_at = time.monotonic()
            # Also when this task is cancelled: past the gate the lease decides, before it nothing was lost.
            errand.finish(NotCarried())
            self._judge()

    async def _carry(self, errand: Errand, opened: _Opened | None) -> _Opened | None:
        if fault := await errand.parcel.fault():
            errand.finish(fault)
            return opened
        started_at = clock.now()
        while True:
            if opened is None or not opened.session.is_open or self._is_used_up(opened.session):
                fresh = await self._renewed(opened, errand)
                if isinstance(fresh, _Unopened):
                    self._turn_away(errand, fresh, started_at)
                    return None
                opened = fresh
            carriage = await self._send(errand.parcel, opened, started_at)
            if carriage is not None:
                errand.finish(carriage)
                return opened
            opened = None  # a kept connection had gone stale; nothing was transferred

    async def _renewed(self, old: _Opened | None, errand: Errand) -> _Opened | _Unopened:
        if old is not None:
            await old.session.quit()
        self._opening += 1
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                fresh = await self._open(errand.hosts)
        except TimeoutError:
            failure = Failure(FailureKind.TIMEOUT, Phase.CONNECT, "none of its servers let us in in time", 0)
            fresh = _Unopened(failure, "", "")
        finally:
            self._opening -= 1
        if isinstance(fresh, _Opened):
            self._sessions = [*self._still_open(), fresh.session]
            self._judge()
        return fresh

    def _still_open(self) -> list[Session]:
        # The wire's word: a session says no also while an answer to it lies unread.
        return [session for session in self._sessions if session.wire.is_open]

    def _turn_away(self, errand: Errand, unopened: _Unopened, started_at: datetime) -> None:
        """Not let in; what that means shows when those that knock beside this one have their answer."""
        self._refused.append(_Refused(replace(errand), unopened, started_at))
        errand.is_passed_on = True
        self._limit, self._lowered_at = max(1, self._opening + len(self._still_open())), time.monotonic()
        self._judge()

    def _judge(self) -> None:
        """A server that talks to us on other connections only wants fewer of them; else it cannot be reached."""
        if self._still_open():
            for refused in self._refused:
                self._queue.put_nowait((refused.errand.parcel.lane, next(self._order), refused.errand))
            self._refused.clear()
        elif self._refused and not self._opening:
            for refused in self._refused:
                carriage = self._unreachable(refused.errand.parcel, refused.unopened, refused.started_at)
                refused.errand.finish(carriage)
            self._refused.clear()
            self._limit = self._allowed
            self.give_back()  # they would knock in vain; the destination's pause holds them from now on

    async def _send(self, parcel: Parcel, opened: _Opened, started_at: datetime) -> Carriage | None:
        by_address = {holding.email: holding for holding in parcel.holdings}

        async def before_data(accepted: Sequence[str]) -> bool:
            return await self._gate.passes([by_address[address] for address in accepted])

        way_here = opened.way_here
        envelope = Envelope(parcel.sender, parcel.addresses, smtputf8=parcel.letter.needs_smtputf8)
        transaction = await opened.session.send(envelope, parcel.letter.content, before_data=before_data)
        if transaction.stale_connection:
            return None
        if any(_is_aborted(answer) for answer in transaction.results.values()):
            return NotCarried()
        return Carried(
            answers=dict(transaction.results),
            started_at=started_at,
            finished_at=clock.now(),
            transport=self.destination.transport,
            host=opened.target.host,
            address=opened.target.address,
            tls=_tls(opened.session),
            transcript=(*way_here, *transaction.transcript),
            is_ambiguous=transaction.ambiguous,
        )

    async def _open(self, hosts: tuple[str, ...]) -> _Opened | _Unopened:
        """The first server that lets us in: the addresses of the hosts, in order (RFC 5321 section 5.1)."""
        said: list[Exchange] = []
        tried = 0
        last = _Unopened(Failure(FailureKind.UNREACHABLE, Phase.CONNECT, "there is no server to try", 0), "", "")
        for host in hosts:
            targets, reason = await self._router.targets(host)
            if not targets:
                failure = Failure(FailureKind.UNREACHABLE, Phase.CONNECT, f"{host}: {reason}", 0)
                last = _Unopened(failure, host, "")
            for target in targets:
                opened = await connect(target, self._router.policy(target))
                if isinstance(opened, Session):
                    return _Opened(opened, target, (*said, *opened.opening))
                said += opened.transcript
                last = _Unopened(opened.answer, target.host, target.address, tuple(said))
                tried += 1
                if tried == MAX_ADDRESSES:
                    return last
        return last

    def _is_used_up(self, session: Session) -> bool:
        return session.transactions >= self.destination.limits.messages

    def _unreachable(self, parcel: Parcel, unopened: _Unopened, started_at: datetime) -> Carried:
        return Carried(
            answers=dict.fromkeys(parcel.addresses, unopened.answer),
            started_at=started_at,
            finished_at=clock.now(),
            transport=self.destination.transport,
            host=unopened.host,
            address=unopened.address,
            transcript=unopened.transcript,
            is_unreachable=True,
        )


def _is_aborted(answer: Answer) -> bool:
    return isinstance(answer, Failure) and answer.kind is FailureKind.ABORTED


def _tls(session: Session) -> str:
    """The decision in words, as long as its column."""
    return session.tls.line if session.tls is not None else f"{IN_CLEAR}: {session.in_clear}"[:TLS_SHOWN]
