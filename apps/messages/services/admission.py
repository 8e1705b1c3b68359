"""Everything that accepting a message asks of the database before it writes, in one round trip.

It reads tables of several apps below this one; what the answers mean is decided by their own services.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from apps.core import clock
from apps.core.rows import as_id
from apps.domains.models import Domain
from apps.keys.idempotency import Use

DOMAIN = "SELECT 'domain', CAST(id AS text), status FROM domains_domain WHERE workspace_id = %s AND name = %s"
SUPPRESSED = "SELECT 'suppressed', key, '' FROM suppressions_suppression WHERE workspace_id = %s AND key {among}"
# Claims compare due times with the database's clock, so the first due time must not lie beyond it.
NOW = "SELECT 'now', CAST(clock_timestamp() AS text), ''"
EARLIER = """SELECT 'earlier', CAST(resource_id AS text), fingerprint FROM keys_idempotencykey
WHERE workspace_id = %s AND family = %s AND key = %s"""


@dataclass(frozen=True, slots=True)
class Admission:
    """The sender's domain with its status, the suppressed keys, and an earlier use of the idempotency key."""

    domain: tuple[UUID, str] | None
    suppressed: frozenset[str]
    earlier: tuple[UUID, str] | None
    now: datetime


def ask(workspace_id: UUID, *, domain: str, keys: Collection[str], use: Use | None) -> Admission:
    """`keys` are comparison keys of recipients."""
    among, listed = _among(keys)
    workspace = Domain._meta.get_field("workspace").get_db_prep_save(workspace_id, connection)
    parts = [DOMAIN, SUPPRESSED.format(among=among)]
    values = [workspace, domain, workspace, *listed]
    if connection.vendor == "postgresql":
        parts.append(NOW)
    if use is not None:
        parts.append(EARLIER)
        values += [workspace, use.family, use.key]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), values)
        rows = cursor.fetchall()
    found = {kind: (as_id(first), second) for kind, first, second in rows if kind in {"domain", "earlier"}}
    suppressed = frozenset(first for kind, first, _ in rows if kind == "suppressed")
    told = next((first for kind, first, _ in rows if kind == "now"), None)
    now = clock.as_time(told) if told else clock.now()
    return Admission(found.get("domain"), suppressed, found.get("earlier"), now)


def _among(keys: Collection[str]) -> tuple[str, list[Any]]:
    if connection.vendor == "postgresql":  # one statement text for any number of recipients
        return "= ANY(%s)", [list(keys)]
    return f"IN ({', '.join(['%s'] * len(keys))})", list(keys)
