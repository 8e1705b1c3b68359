"""One delivery job: runs the engine for a while, and leaves signs of life that the watchdog reads."""

import asyncio
import logging
import os
import socket
import time
from datetime import datetime, timedelta
from uuid import UUID

import uvloop
from asgiref.sync import async_to_sync
from django.conf import settings
from django.utils.module_loading import import_string

from apps.core import clock
from apps.core.database import DatabaseAway, database
from apps.core.ids import new_id
from apps.core.jobs import Tick
from apps.core.leash import is_cut
from apps.delivery.models import Drain
from apps.delivery.services.deliver import Engine
from apps.delivery.services.recover import recover

logger = logging.getLogger(__name__)

# A job ends now and then, so that its process can be renewed; the watchdog has the next one queued by then.
SHIFT_SECONDS = 600
LAST_CALL_SECONDS = 3600
BEAT_SECONDS = 1.0
RECOVER_SECONDS = 2.0
TICK_SECONDS = 0.5
SETTLE_SECONDS = 3.0
FORGET_AFTER = timedelta(minutes=10)


def drain(*, shift_seconds: float = SHIFT_SECONDS, until_idle: bool = False) -> None:
    """Delivers what is due until the shift is over and a quiet moment comes, or the leash is cut.

    `until_idle` stops as soon as nothing is due and nothing is in flight, and at the end of the shift in any case:
    for commands and tests.
    """
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    ends_at = time.monotonic() + shift_seconds
    async_to_sync(_Shift(ends_at, until_idle=until_idle).run)()


class _Shift:
    def __init__(self, ends_at: float, *, until_idle: bool) -> None:
        self._ends_at, self._until_idle = ends_at, until_idle
        self._id = new_id()
        self._engine = Engine(self._is_over, must_hurry=self._must_hurry)

    async def run(self) -> None:
        """The engine, with the beat and the recovery beside it."""
        steps = (self._beat(), self._recover(), self._tick())
        beside = [asyncio.create_task(step) for step in steps]
        try:
            await self._engine.run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await database(_forget, self._id)

    def _is_over(self) -> bool:
        if self._must_hurry():
            return True
        if self._until_idle:
            return self._engine.is_idle
        overtime = time.monotonic() - self._ends_at
        # Not while conversations are open: after the last call nothing more is claimed, and they are waited for.
        return overtime >= 0 and (self._engine.in_flight == 0 or overtime >= LAST_CALL_SECONDS)

    def _must_hurry(self) -> bool:
        return is_cut() or (self._until_idle and time.monotonic() >= self._ends_at)

    async def _beat(self) -> None:
        """Says every second that this job lives, and prolongs its claims well before they run out."""
        started_at, renewed = clock.now(), time.monotonic()
        while True:
            try:
                await database(_sign, self._id, started_at, self._engine.since_look(), self._engine.in_flight)
                if time.monotonic() - renewed > settings.MAIL_LEASE_SECONDS / 3:
                    await self._engine.renew_leases()
                    renewed = time.monotonic()
            except DatabaseAway:
                pass
            except Exception:
                # Without beats the watchdog ends this process, and that mends what can be mended.
                logger.exception("the beat failed")
            await asyncio.sleep(BEAT_SECONDS)

    async def _recover(self) -> None:
        while True:
            try:
                await database(recover)
            except DatabaseAway:
                await self._until_back()
            except Exception:
                logger.exception("claims that ran out could not be taken back")
            await asyncio.sleep(RECOVER_SECONDS)

    async def _tick(self) -> None:
        """The work of other apps that is due to the second; while we are stopping, somebody else does it."""
        while not self._is_over():
            for tick in Tick:
                try:
                    await database(import_string(tick.value))
                except DatabaseAway:
                    await asyncio.sleep(BEAT_SECONDS)
                except Exception:
                    logger.exception("%s failed", tick.value)
            await asyncio.sleep(TICK_SECONDS)

    async def _until_back(self) -> None:
        """After an outage longer than a lease, whoever still holds an answer must be able to record it first."""
        while True:
            try:
                await database(clock.database_now)
                break
            except DatabaseAway:
                await asyncio.sleep(BEAT_SECONDS)
        await asyncio.sleep(SETTLE_SECONDS)


def _sign(drain_id: UUID, started_at: datetime, since_look: timedelta, in_flight: int) -> None:
    now = clock.database_now()
    fields = {"beat_at": now, "looked_at": now - since_look, "in_flight": in_flight}
    if not Drain.objects.filter(pk=drain_id).update(**fields):
        Drain.objects.filter(beat_at__lt=now - FORGET_AFTER).delete()
        Drain.objects.create(id=drain_id, host=socket.gethostname(), pid=os.getpid(), started_at=started_at, **fields)


def _forget(drain_id: UUID) -> None:
    Drain.objects.filter(pk=drain_id).delete()
