"""Writes outcomes in groups, and holds on to them while the database is away."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from apps.core.database import DatabaseAway, database
from apps.messages.services.outcomes import Outcome, record

logger = logging.getLogger(__name__)

ENOUGH = 64
GATHER_SECONDS = 0.02
AWAY_SECONDS = 0.5


@dataclass(slots=True)
class _Entry:
    outcome: Outcome
    recorded: Callable[[], None]


class Recorder:
    """Commits outcomes together. `in_flight` tells how many recipients may still bring one."""

    def __init__(self, in_flight: Callable[[], int]) -> None:
        self._in_flight = in_flight
        self._entries: list[_Entry] = []
        self._arrival = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, outcome: Outcome, recorded: Callable[[], None]) -> None:
        """Takes an outcome; `recorded` is called once it is committed, or known to be out of date."""
        self._entries.append(_Entry(outcome, recorded))
        self._empty.clear()
        self._arrival.set()

    async def emptied(self) -> None:
        await self._empty.wait()

    async def run(self) -> None:
        while True:
            await self._arrival.wait()
            await self._gather()
            group, self._entries = self._entries[:ENOUGH], self._entries[ENOUGH:]
            if not self._entries:
                self._arrival.clear()
            await self._commit(group)
            if not self._entries:
                self._empty.set()

    async def _gather(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + GATHER_SECONDS
        while len(self._entries) < min(ENOUGH, self._in_flight()) and loop.time() < until:
            await asyncio.sleep(0.002)

    async def _commit(self, group: list[_Entry]) -> None:
        """Keeps trying while the database is away: what a server answered cannot be asked for again."""
        while True:
            try:
                await database(record, [entry.outcome for entry in group])
                break
            except DatabaseAway:
                await asyncio.sleep(AWAY_SECONDS)
            except Exception:
                if len(group) == 1:
                    logger.exception("an outcome cannot be recorded; its recipient comes back when its lease ends")
                    break
                # One bad outcome must not take the others with it.
                for entry in group:
                    await self._commit([entry])
                return
        for entry in group:
            entry.recorded()
