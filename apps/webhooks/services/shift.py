"""One job of the webhooks cluster: fans events out and sends them, for a while, and leaves signs of life."""

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

from apps.core import clock
from apps.core.database import DatabaseAway, database
from apps.core.http import HttpClient, system_resolver
from apps.core.ids import new_id
from apps.core.leash import is_cut
from apps.webhooks.models import Shift
from apps.webhooks.services.endpoints import allowed_networks
from apps.webhooks.services.fan_out import CHUNK, Found, fan_out
from apps.webhooks.services.purge import purge
from apps.webhooks.services.sending import Sender

logger = logging.getLogger(__name__)

# A job ends now and then, so that its process can be renewed; the watchdog has the next one queued by then.
SHIFT_SECONDS = 600.0
BEAT_SECONDS = 1.0
FAN_OUT_SECONDS = 0.25
PURGE_SECONDS = 30.0
ALIVE_FOR = timedelta(seconds=10)
FORGET_AFTER = timedelta(minutes=10)


def work(*, shift_seconds: float = SHIFT_SECONDS, until_idle: bool = False) -> None:
    """Until the shift is over or the leash is cut; `until_idle` also when nothing is due, for commands and tests."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    async_to_sync(_Shift(time.monotonic() + shift_seconds, until_idle=until_idle).run)()


def at_work_here() -> int:
    """Shifts of this host with a recent beat."""
    alive_since = clock.database_now() - ALIVE_FOR
    return Shift.objects.filter(host=socket.gethostname(), beat_at__gt=alive_since).count()


class _Shift:
    def __init__(self, ends_at: float, *, until_idle: bool) -> None:
        self._ends_at, self._until_idle = ends_at, until_idle
        self._id = new_id()
        self._client = HttpClient(system_resolver(settings.MAIL_DNS_SERVERS), allowed=allowed_networks())
        self._sender = Sender(self._client, self._is_over, until_idle=until_idle)

    async def run(self) -> None:
        if self._until_idle:
            while (await database(fan_out)).events:
                pass
            await self._sender.run()
            return
        beside = [asyncio.create_task(step) for step in (self._beat(), self._fan_out(), self._purge())]
        try:
            await self._sender.run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await database(_forget, self._id)

    def _is_over(self) -> bool:
        return is_cut() or time.monotonic() >= self._ends_at

    async def _beat(self) -> None:
        started_at = clock.now()
        while True:
            try:
                await database(_sign, self._id, started_at, self._sender.in_flight)
            except DatabaseAway:
                pass
            except Exception:
                # Without beats the watchdog ends this process, and that mends what can be mended.
                logger.exception("the beat failed")
            self._client.close_stale()
            await asyncio.sleep(BEAT_SECONDS)

    async def _fan_out(self) -> None:
        while not self._is_over():
            found = await self._look()
            if found.deliveries:
                self._sender.something_is_due.set()
            # A full chunk has more behind it.
            await asyncio.sleep(0 if found.events == CHUNK else FAN_OUT_SECONDS)

    async def _look(self) -> Found:
        try:
            return await database(fan_out)
        except DatabaseAway:
            await asyncio.sleep(BEAT_SECONDS)
        except Exception:
            logger.exception("events could not be fanned out")
            await asyncio.sleep(BEAT_SECONDS)
        return Found(0, 0)

    async def _purge(self) -> None:
        while not self._is_over():
            try:
                count = await database(purge)
            except DatabaseAway:
                count = 0
            except Exception:
                logger.exception("what deleted endpoints left could not be taken away")
                count = 0
            await asyncio.sleep(BEAT_SECONDS if count else PURGE_SECONDS)


def _sign(shift_id: UUID, started_at: datetime, in_flight: int) -> None:
    now = clock.database_now()
    if not Shift.objects.filter(pk=shift_id).update(beat_at=now, in_flight=in_flight):
        Shift.objects.filter(beat_at__lt=now - FORGET_AFTER).delete()
        about = {"host": socket.gethostname(), "pid": os.getpid(), "started_at": started_at}
        Shift.objects.create(id=shift_id, beat_at=now, in_flight=in_flight, **about)


def _forget(shift_id: UUID) -> None:
    Shift.objects.filter(pk=shift_id).delete()
