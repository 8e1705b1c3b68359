"""Takes due recipients for this process: a lease in time, a fence against whoever comes late, turns for all.

Lanes go before one another; inside a lane workspaces take turns, so that one tenant's hundred thousand messages do
not delay another's ten.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from apps.core import clock
from apps.core.rows import as_id, update
from apps.messages.models import Recipient
from apps.messages.services.outcomes import Holding
from apps.messages.states import Lane
from apps.messages.waits import Wait, WaitCode

# A recipient whose claim ended in a crash may be what killed the worker, or only stood beside it. After one crash few
# of them are in one process, after more only one: so a crash then tells something, and bystanders get through.
# By the number of claims in a row, this one included, that nobody has recorded the end of.
COMPANY = {2: 10, 3: 1}
APART = timedelta(seconds=1)
# Workspaces served by one claim; the next claim goes on with those after them.
MAX_TURNS = 25
WAITING = "next_attempt_at IS NOT NULL AND lease_until IS NULL"
# Walks the index of due work from one (lane, workspace) to the next, whatever the number of rows between them.
TURNS = f"""
WITH RECURSIVE turn(lane, workspace_id, next_attempt_at) AS (
    SELECT * FROM (
        SELECT lane, workspace_id, next_attempt_at FROM mail_messages_recipient WHERE {WAITING}
        ORDER BY lane, workspace_id, next_attempt_at LIMIT 1
    ) AS first_turn
    UNION ALL
    SELECT next_turn.lane, next_turn.workspace_id, next_turn.next_attempt_at FROM turn, LATERAL (
        SELECT lane, workspace_id, next_attempt_at FROM mail_messages_recipient
        WHERE {WAITING} AND (lane, workspace_id) > (turn.lane, turn.workspace_id)
        ORDER BY lane, workspace_id, next_attempt_at LIMIT 1
    ) AS next_turn
)
SELECT lane, workspace_id FROM turn WHERE next_attempt_at <= %s
"""  # noqa: S608 - only constants of this file
# SQLite has no LATERAL, and no server to save a round trip to.
TURNS_SQLITE = f"""
SELECT lane, workspace_id FROM mail_messages_recipient WHERE {WAITING}
GROUP BY lane, workspace_id HAVING min(next_attempt_at) <= %s ORDER BY lane, workspace_id
"""  # noqa: S608 - only constants of this file
DUE = f"""
SELECT * FROM (
    SELECT id FROM mail_messages_recipient
    WHERE lane = %s AND workspace_id = %s AND next_attempt_at <= %s AND {WAITING}
    ORDER BY next_attempt_at LIMIT %s {{lock}}
) AS turn{{number}}
"""  # noqa: S608 - only constants of this file
# What read_holding reads, in its order.
HOLDING_COLUMNS = """id, message_id, workspace_id, fence, email, lane, attempt_count, tries, crashes, queued_at,
    wait_code, wait_detail, waiting_since, last_error"""
TAKE = """
UPDATE mail_messages_recipient SET lease_until = %s, fence = fence + 1, crashes = crashes + 1
WHERE id {among_due} AND lease_until IS NULL
RETURNING {columns}
"""

Turn = tuple[int, Any]


class Claimer:
    """Claims for one process, and remembers whose turn is next."""

    def __init__(self) -> None:
        self._served_last: dict[int, Any] = {}

    def claim(self, room: Mapping[Lane, int], held: Collection[Holding] = ()) -> list[Holding]:
        """Due recipients, at most as many as there is room for up to each lane; committed when it returns.

        `held`: what this process has in hand, beside which there may be no place for what is suspect.
        """
        taken: list[Holding] = []
        now = clock.database_now()
        turns = _turns(now)
        for lane, group in groupby(turns, key=lambda turn: turn[0]):
            places = room[Lane(lane)] - len(taken)
            if places <= 0:
                break
            waiting = self._in_turn(lane, [workspace for _, workspace in group])[: min(MAX_TURNS, places)]
            taken += _take(lane, waiting, share=places // len(waiting), now=now)
            self._served_last[lane] = waiting[-1]
        return _keep_apart(taken, held)

    def _in_turn(self, lane: int, workspaces: list[Any]) -> list[Any]:
        last = self._served_last.get(lane)
        if last is None:
            return workspaces
        after = [workspace for workspace in workspaces if workspace > last]
        return after + [workspace for workspace in workspaces if workspace <= last]


def renew(holdings: Sequence[Holding]) -> set[UUID]:
    """Prolongs the leases that are still ours; returns the recipients concerned."""
    until = clock.database_now() + lease_time()
    rows = [{"id": h.recipient_id, "fence": h.fence, "lease_until": until} for h in holdings]
    return update(Recipient, rows, match=("id", "fence"), where="t.lease_until IS NOT NULL")


def release(holdings: Sequence[Holding], *, pause: timedelta = timedelta(0)) -> None:
    """Gives back what was claimed and not tried, as it was before the claim; it is due again after the pause."""
    due_at = clock.database_now() + pause
    rows = [
        {
            "id": h.recipient_id,
            "fence": h.fence,
            "lease_until": None,
            "next_attempt_at": due_at,
            "crashes": h.crashes - 1,
        }
        for h in holdings
    ]
    update(Recipient, rows, match=("id", "fence"), where="t.lease_until IS NOT NULL AND NOT t.in_doubt")


def lease_time() -> timedelta:
    """How long a claim holds unless it is renewed."""
    return timedelta(seconds=settings.MAIL_LEASE_SECONDS)


def read_holding(row: Sequence[Any]) -> Holding:
    """HOLDING_COLUMNS, as either database gives them."""
    recipient_id, message_id, workspace_id, fence, email, lane, attempts, tries, crashes, *rest = row
    queued_at, code, detail, since, last_error = rest
    return Holding(
        recipient_id=as_id(recipient_id),
        message_id=as_id(message_id),
        workspace_id=as_id(workspace_id),
        fence=fence,
        email=email,
        lane=lane,
        attempt_count=attempts,
        tries=tries,
        crashes=crashes,
        queued_at=clock.as_time(queued_at),
        waited_for=Wait(WaitCode(code), detail) if code else None,
        waiting_since=clock.as_time(since) if since else None,
        last_error=last_error,
    )


def _turns(now: datetime) -> list[Turn]:
    """The lanes and workspaces that have something due, in the order of the index."""
    with connection.cursor() as cursor:
        cursor.execute(TURNS if connection.vendor == "postgresql" else TURNS_SQLITE, [_prepared(now)])
        turns: list[Turn] = cursor.fetchall()
    return turns


def _take(lane: int, workspaces: Sequence[Any], *, share: int, now: datetime) -> list[Holding]:
    is_postgresql = connection.vendor == "postgresql"
    # Two processes never take the same row: PostgreSQL skips what another has locked, SQLite lets one write.
    lock = "FOR UPDATE SKIP LOCKED" if is_postgresql else ""
    due = " UNION ALL ".join(DUE.format(lock=lock, number=number) for number in range(len(workspaces)))
    # An array is made once. With IN, a plan may run the selection for every row, and its LIMIT limits nothing.
    among_due = f"= ANY (ARRAY({due}))" if is_postgresql else f"IN ({due})"
    values = [value for workspace in workspaces for value in (lane, workspace, _prepared(now), share)]
    with connection.cursor() as cursor:
        cursor.execute(
            TAKE.format(among_due=among_due, columns=HOLDING_COLUMNS), [_prepared(now + lease_time()), *values]
        )
        return [read_holding(row) for row in cursor.fetchall()]


def _keep_apart(taken: Sequence[Holding], held: Collection[Holding]) -> list[Holding]:
    """Gives back the suspects for which there is no place; returns the others."""
    places = Counter(COMPANY)
    places.subtract(suspicion for holding in held if (suspicion := _suspicion(holding)))
    kept: list[Holding] = []
    surplus: list[Holding] = []
    for holding in taken:
        suspicion = _suspicion(holding)
        (kept if suspicion == 0 or places[suspicion] > 0 else surplus).append(holding)
        places[suspicion] -= 1
    if surplus:
        release(surplus, pause=APART)
    return kept


def _suspicion(holding: Holding) -> int:
    """Which line of COMPANY it falls under, if any."""
    return min(holding.crashes, max(COMPANY)) if holding.crashes > 1 else 0


def _prepared(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)
