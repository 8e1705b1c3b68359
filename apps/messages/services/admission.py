"""Everything that accepting messages asks of the database before it writes, in one round trip for any number of them.

It reads tables of several apps below this one; what the answers mean is decided by their own services.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from apps.core import clock
from apps.core.errors import Invalid
from apps.core.rows import as_id
from apps.domains.errors import DomainNotVerified
from apps.domains.models import Domain
from apps.domains.services.sending import require_verified
from apps.keys.idempotency import Use
from apps.keys.services import Caller

# `bounces.` and the domain have to fit into a name of 253 octets.
LONGEST_DOMAIN = 245
DOMAIN = "SELECT 'domain', name, CAST(id AS text), status FROM domains_domain WHERE workspace_id = %s AND name {among}"
SUPPRESSED = "SELECT 'suppressed', key, '', '' FROM suppressions_suppression WHERE workspace_id = %s AND key {among}"
# Claims compare due times with the database's clock, so the first due time must not lie beyond it.
NOW = "SELECT 'now', CAST(clock_timestamp() AS text), '', ''"
EARLIER = """SELECT 'earlier', key, CAST(resource_id AS text), fingerprint FROM keys_idempotencykey
WHERE workspace_id = %s AND family = %s AND key {among}"""


@dataclass(frozen=True, slots=True)
class Admission:
    """The senders' domains with their status, the suppressed keys, and earlier uses of idempotency keys, by key."""

    domains: Mapping[str, tuple[UUID, str]]
    suppressed: frozenset[str]
    earlier: Mapping[str, tuple[UUID, str]]
    now: datetime


def ask(workspace_id: UUID, *, domains: Collection[str], keys: Collection[str], uses: Sequence[Use]) -> Admission:
    """`keys` are comparison keys of recipients; all `uses` are of one family."""
    workspace = Domain._meta.get_field("workspace").get_db_prep_save(workspace_id, connection)
    parts: list[str] = []
    values: list[Any] = []
    for statement, scope, sought in (
        (DOMAIN, [workspace], domains),
        (SUPPRESSED, [workspace], keys),
        (EARLIER, [workspace, uses[0].family] if uses else [], [use.key for use in uses]),
    ):
        if sought:
            among, listed = _among(sought)
            parts.append(statement.format(among=among))
            values += [*scope, *listed]
    if connection.vendor == "postgresql":
        parts.append(NOW)
    if not parts:  # every order was refused before this
        return _read([])
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), values)
        rows = cursor.fetchall()
    return _read(rows)


def sender_domain(caller: Caller, name: str, admission: Admission) -> UUID | None:
    """The caller's verified domain of this name; a test key needs none. Raises DomainNotVerified, Invalid."""
    try:
        return require_verified(name, admission.domains.get(name))
    except DomainNotVerified:
        if caller.is_test:  # nothing that a test key sends leaves this server
            if len(name) > LONGEST_DOMAIN:
                raise Invalid({"from": ["has a domain that is too long for a return path below it"]}) from None
            return None
        raise


def _read(rows: Collection[tuple[str, str, str, str]]) -> Admission:
    told = next((name for kind, name, _, _ in rows if kind == "now"), None)
    return Admission(
        domains={name: (as_id(first), second) for kind, name, first, second in rows if kind == "domain"},
        suppressed=frozenset(name for kind, name, _, _ in rows if kind == "suppressed"),
        earlier={name: (as_id(first), second) for kind, name, first, second in rows if kind == "earlier"},
        now=clock.as_time(told) if told else clock.now(),
    )


def _among(sought: Collection[str]) -> tuple[str, list[Any]]:
    if connection.vendor == "postgresql":  # one statement text for any number
        return "= ANY(%s)", [list(sought)]
    return f"IN ({', '.join(['%s'] * len(sought))})", list(sought)
