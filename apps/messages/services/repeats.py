"""Finds addresses whose soft bounces have become too many, when one more of them is recorded.

Only recording such a bounce asks anything of the database; accepting, delivering and recording success do not.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Exists, Max, OuterRef

from apps.core.ids import first_id_at
from apps.messages.models import Bounce, Recipient
from apps.messages.soft_bounces import REPEATED
from apps.messages.states import BounceType, Status
from apps.protocols.address import comparison_key
from apps.suppressions.models import Reason, Source
from apps.suppressions.services import NewSuppression

# A workspace and a comparison key.
Address = tuple[UUID, str]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Repeated:
    """An address to suppress, and its bounces that were stored before."""

    suppression: NewSuppression
    earlier: Sequence[UUID]


def repeated(bounces: Sequence[Row], now: datetime) -> list[Repeated]:
    """What follows from these new bounces, which the caller stores in the same transaction.

    Of two transactions that record bounces of one address the second waits here for the first, so that it counts all.
    """
    fresh: dict[Address, list[Row]] = defaultdict(list)
    for bounce in bounces:
        if bounce["type"] == BounceType.SOFT and bounce["rule"] in REPEATED.rules:
            fresh[bounce["workspace_id"], bounce["key"]].append(bounce)
    if not fresh:
        return []
    _take_turns(fresh)
    earlier = _earlier(fresh, now)
    counted = {address: [*earlier[address], *rows] for address, rows in fresh.items()}
    many = {address: rows for address, rows in counted.items() if len(rows) >= REPEATED.bounces}
    delivered = _last_deliveries(many, now) if many else {}
    return [
        _verdict(since)
        for address, rows in many.items()
        if len(since := _since(delivered.get(address), rows)) >= REPEATED.bounces
    ]


def _take_turns(addresses: Collection[Address]) -> None:
    """Until the end of the transaction; in one order, so that nobody waits in a circle.

    On SQLite a transaction has the whole database to itself from its beginning.
    """
    if connection.vendor != "postgresql":
        return
    names = sorted(f"soft bounces {workspace_id} {key}" for workspace_id, key in addresses)
    with connection.cursor() as cursor:
        # A function as a table gives its rows in order, and each lock is taken when its row comes.
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest(%s::text[]) AS name", [names]
        )


def _earlier(addresses: Collection[Address], now: datetime) -> dict[Address, list[Row]]:
    """Stored bounces that count still. Those which have led to a suppression do not, or lifting it would be in vain."""
    rows = Bounce.objects.across_workspaces().filter(
        workspace_id__in={workspace_id for workspace_id, _ in addresses},
        key__in={key for _, key in addresses},
        pk__gte=first_id_at(now - REPEATED.within),
        type=BounceType.SOFT,
        rule__in=REPEATED.rules,
        suppression_id=None,
    )
    found: dict[Address, list[Row]] = defaultdict(list)
    for row in rows.order_by("pk").values("id", "workspace_id", "message_id", "email", "key", "created_at"):
        found[row["workspace_id"], row["key"]].append(row)
    return found


def _last_deliveries(counted: Mapping[Address, Sequence[Row]], now: datetime) -> dict[Address, datetime]:
    """When each was last delivered to, in any spelling that is known. Mail that came back later was no delivery."""
    spellings = {key for _, key in counted} | {row["email"] for rows in counted.values() for row in rows}
    came_back = Bounce.objects.across_workspaces().filter(recipient_id=OuterRef("pk"))
    rows = Recipient.objects.across_workspaces().filter(
        ~Exists(came_back),
        workspace_id__in={workspace_id for workspace_id, _ in counted},
        email__in=spellings,
        status=Status.SENT,
        finished_at__gte=now - REPEATED.within,
    )
    last: dict[Address, datetime] = {}
    newest = rows.values("workspace_id", "email").annotate(last=Max("finished_at"))
    for workspace_id, email, at in newest.values_list("workspace_id", "email", "last"):
        address = workspace_id, comparison_key(email)
        last[address] = max(at, last.get(address, at))
    return last


def _since(delivery: datetime | None, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if delivery is None or row["created_at"] > delivery]


def _verdict(counted: Sequence[Row]) -> Repeated:
    newest = counted[-1]
    suppression = NewSuppression(
        workspace_id=newest["workspace_id"],
        email=newest["email"],
        reason=Reason.REPEATED_SOFT_BOUNCE,
        source=Source.BOUNCE_PROCESSOR,
        message_id=newest["message_id"],
        bounce_id=newest["id"],
    )
    return Repeated(suppression, [row["id"] for row in counted])
