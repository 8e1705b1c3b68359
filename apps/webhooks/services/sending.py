"""The sender: an event loop in which every endpoint that is due has a lane of its own.

Nothing here holds a transaction while it talks, and no lane waits for another one.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

from apps.core import clock
from apps.core.database import DatabaseAway, database
from apps.core.http import HttpClient, NoReply
from apps.core.ids import new_id
from apps.protocols.web_address import NotAnAddress, WebAddress, read_address
from apps.webhooks.payload import headers_of
from apps.webhooks.services.claiming import Claim, Parcel, claim, next_batch, release
from apps.webhooks.services.recording import Onward, Result, record
from apps.webhooks.words import error_of, snippet_of, wish_of

logger = logging.getLogger(__name__)

# Endpoints that one sender talks to at once, requests at once to each, and deliveries that are recorded together.
LANES, AT_ONCE, BATCH = 200, 4, 32
# A lane gives its endpoint back after this time, so that those in line have their turn; within it, a round is recorded
# after this one, however slow the server is.
LANE_SECONDS, ROUND_SECONDS = 10.0, 3.0
LOOK_SECONDS = 0.25
# Requests that are under way when we are to stop get this long; then they are given up, and sent again later.
STOP_SECONDS = 2.5
RECORD_TRIES, RECORD_PAUSE_SECONDS = 60, 0.5


class Sender:
    """Runs lanes until `is_over` says so, or, if it is to stop when idle, until there is nothing to do."""

    def __init__(self, client: HttpClient, is_over: Callable[[], bool], *, until_idle: bool = False) -> None:
        self._client, self._is_over, self._until_idle = client, is_over, until_idle
        self._lease_id = new_id()
        self._lanes: dict[UUID, asyncio.Task[None]] = {}
        self._requests: set[asyncio.Task[None]] = set()
        # Set by whoever made something due.
        self.something_is_due = asyncio.Event()

    @property
    def in_flight(self) -> int:
        return len(self._requests)

    async def run(self) -> None:
        try:
            while not self._is_over():
                claimed = await self._claim()
                for each in claimed:
                    self._lanes[each.endpoint_id] = asyncio.create_task(self._serve(each))
                if self._until_idle and not claimed and not self._lanes:
                    return
                await self._rest(LOOK_SECONDS)
        finally:
            await self._stop()

    async def _claim(self) -> Sequence[Claim]:
        room = LANES - len(self._lanes)
        if room <= 0:
            return ()
        try:
            return await database(claim, self._lease_id, room)
        except DatabaseAway:
            await asyncio.sleep(1)
            return ()

    async def _rest(self, seconds: float) -> None:
        self.something_is_due.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.something_is_due.wait(), seconds)

    async def _serve(self, claimed: Claim) -> None:
        """One endpoint's turn: rounds of requests, each recorded, until nothing is due or the turn is over."""
        ends_at = time.monotonic() + LANE_SECONDS
        onward = Onward(goes_on=True, strikes=claimed.strikes)
        try:
            while onward.goes_on and time.monotonic() < ends_at and not self._is_over():
                # One request shows whether a server is back; the rest waits for its answer.
                batch = await database(next_batch, claimed.endpoint_id, 1 if onward.strikes else BATCH)
                results = await self._round(claimed, batch)
                if not results:
                    break
                onward = await self._record(claimed, results)
            if onward.goes_on:
                await database(release, claimed)
        except DatabaseAway:
            # The lease runs out, and whoever has it next sends what was not recorded again.
            logger.warning("endpoint %s could not be given back", claimed.endpoint_id)
        except Exception:
            logger.exception("the lane of endpoint %s failed", claimed.endpoint_id)
        finally:
            del self._lanes[claimed.endpoint_id]
            self.something_is_due.set()

    async def _round(self, claimed: Claim, batch: Sequence[Parcel]) -> list[Result]:
        """Sends until the batch or the round's time is over, or something fails."""
        results: list[Result] = []
        left, ends_at = iter(batch), time.monotonic() + ROUND_SECONDS
        try:
            address = read_address(claimed.url)
        except NotAnAddress as error:  # of a version that was less strict
            return [_failed(parcel, "forbidden_url", f"The address {error}.") for parcel in batch[:1]]
        walks = [self._walk(claimed, address, left, results, ends_at) for _ in range(min(AT_ONCE, len(batch)))]
        tasks = [asyncio.create_task(walk) for walk in walks]
        self._requests.update(tasks)
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._requests.difference_update(tasks)
        return results

    async def _walk(
        self, claimed: Claim, address: WebAddress, left: Iterator[Parcel], results: list[Result], ends_at: float
    ) -> None:
        for parcel in left:
            results.append(await self._send(claimed, address, parcel))
            if not all(result.is_success for result in results) or time.monotonic() > ends_at or self._is_over():
                return

    async def _send(self, claimed: Claim, address: WebAddress, parcel: Parcel) -> Result:
        started_at, started = clock.now(), time.monotonic()
        headers = headers_of(
            parcel.event, parcel.delivery_id, parcel.body, secret=claimed.secret, timestamp=int(time.time())
        )
        try:
            reply = await self._client.post(address, headers, parcel.body)
        except NoReply as error:
            duration = int((time.monotonic() - started) * 1000)
            return Result(parcel, started_at, duration, error_code=error.code, error=error.sentence)
        except Exception:
            logger.exception("delivery %s could not be sent", parcel.delivery_id)
            return _failed(parcel, "internal_error", "Something went wrong on our side; it is sent again.")
        code, sentence = error_of(reply)
        return Result(
            parcel,
            started_at,
            int(reply.seconds * 1000),
            status_code=reply.status,
            error_code=code,
            error=sentence,
            snippet=snippet_of(reply),
            wish=wish_of(reply, started_at),
        )

    async def _record(self, claimed: Claim, results: Sequence[Result]) -> Onward:
        """Through an outage too: what is not recorded is sent again. Raises DatabaseAway."""
        for _ in range(RECORD_TRIES):
            try:
                return await database(record, claimed, results)
            except DatabaseAway:
                await asyncio.sleep(RECORD_PAUSE_SECONDS)
        raise DatabaseAway

    async def _stop(self) -> None:
        """Lanes end by themselves when it is over; requests that take too long are given up."""
        if self._lanes:
            await asyncio.wait(self._lanes.values(), timeout=STOP_SECONDS)
        for request in self._requests:
            request.cancel()
        if self._lanes:
            await asyncio.wait(self._lanes.values(), timeout=STOP_SECONDS)
        self._client.close()


def _failed(parcel: Parcel, code: str, sentence: str) -> Result:
    return Result(parcel, clock.now(), 0, error_code=code, error=sentence)
