"""Making, checking and revoking API keys."""

import hashlib
import hmac
import json
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from apps.core import clock
from apps.core.errors import Invalid
from apps.core.rows import as_id
from apps.keys.errors import Unauthorized
from apps.keys.models import ApiKey
from apps.workspaces.limits import Limits, limits_of
from apps.workspaces.models import Workspace
from apps.workspaces.services import test_workspace_of

LIVE = "sspat_"
TEST = "sspat_test_"
LOOKUP_LENGTH = 12
SECRET_LENGTH = 40  # of 62 characters: 238 bits
ALPHABET = string.ascii_letters + string.digits
SCOPES = ("*", "mail:send", "mail:read", "mail:manage", "assets:read", "assets:manage")
# Of one workspace at a time; a list of more is one that nobody looks through when a key has leaked.
MAX_LIVE_KEYS = 100
LAST_USED_EVERY = timedelta(minutes=1)
# One statement for what every request needs to know about its caller.
FIND = """
SELECT k.id, k.secret_hash, k.scopes, k.expires_at, k.last_used_at, k.workspace_id,
       w.status, w.tier, w.daily_limit, w.hourly_limit, w.test_of_id
FROM keys_apikey k JOIN workspaces_workspace w ON w.id = k.workspace_id
WHERE k.prefix = %s AND k.revoked_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking: the workspace that everything is looked up in, and what the key allows."""

    workspace_id: UUID
    key_id: UUID | None
    scopes: frozenset[str]
    is_test: bool
    is_suspended: bool
    limits: Limits

    is_authenticated = True

    def may(self, scope: str) -> bool:
        family, _, _ = scope.partition(":")
        return bool(self.scopes & {"*", f"{family}:manage", scope})


def create_key(
    workspace: Workspace,
    *,
    name: str,
    scopes: Sequence[str] = (),
    is_test: bool = False,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """The stored row and the key itself, which nobody can be shown again. Raises Invalid."""
    if unknown := set(scopes) - set(SCOPES):
        raise Invalid({"scopes": [f"{scope} is not one of {', '.join(SCOPES)}" for scope in sorted(unknown)]})
    lookup, secret = _random(LOOKUP_LENGTH), _random(SECRET_LENGTH)
    prefix = (TEST if is_test else LIVE) + lookup
    row = ApiKey(
        workspace=test_workspace_of(workspace) if is_test else workspace,
        name=name,
        prefix=prefix,
        secret_hash=_hash(prefix + secret),
        scopes=list(scopes) or ["*"],
        expires_at=expires_at,
    )
    with transaction.atomic():
        _check_room(row.workspace_id)
        row.save(force_insert=True)
    return row, prefix + secret


def revoke(workspace_id: UUID, key_id: UUID) -> bool:
    """Ends a key at once; False where it was revoked before."""
    live = ApiKey.objects.of(workspace_id).filter(pk=key_id, revoked_at=None)
    return live.update(revoked_at=clock.now()) == 1


def authenticate(text: str) -> Caller:
    """The caller to whom this key belongs. Raises Unauthorized, with one text for every reason."""
    row = _find(text)
    stored_hash = row[1] if row else ""
    # Compared also where nothing was found, so that the time tells nothing.
    if not hmac.compare_digest(stored_hash, _hash(text)) or row is None:
        raise Unauthorized
    now = clock.now()
    expires_at, last_used_at = _time(row[3]), _time(row[4])
    if expires_at is not None and expires_at <= now:
        raise Unauthorized
    caller = _caller(row)
    if last_used_at is None or now - last_used_at > LAST_USED_EVERY:
        ApiKey.objects.of(caller.workspace_id).filter(pk=caller.key_id).update(last_used_at=now)
    return caller


def caller_of(workspace: Workspace) -> Caller:
    """The workspace itself as a caller, for work that a key has asked for earlier."""
    return Caller(
        workspace_id=workspace.pk,
        key_id=None,
        scopes=frozenset({"*"}),
        is_test=workspace.is_test,
        is_suspended=workspace.status != Workspace.Status.ACTIVE,
        limits=limits_of(workspace.tier, workspace.daily_limit, workspace.hourly_limit),
    )


def _check_room(workspace_id: UUID) -> None:
    """Raises Invalid where the workspace has as many keys as it may have."""
    # Two keys made at once would both see the last free place; mail that refers to the workspace need not wait.
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)
    unrevoked = ApiKey.objects.of(workspace_id).filter(revoked_at=None)
    if unrevoked.exclude(expires_at__lte=clock.now()).count() >= MAX_LIVE_KEYS:
        raise Invalid({"workspace": [f"has {MAX_LIVE_KEYS} keys that work; revoke one that is not used first"]})


def _find(text: str) -> tuple[Any, ...] | None:
    head = TEST if text.startswith(TEST) else LIVE
    rest = text.removeprefix(head)
    # Anything else was never a key, and a NUL in it would be an error of PostgreSQL's.
    if rest == text or len(rest) != LOOKUP_LENGTH + SECRET_LENGTH or not (rest.isascii() and rest.isalnum()):
        return None
    with connection.cursor() as cursor:
        cursor.execute(FIND, [text[: len(head) + LOOKUP_LENGTH]])
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row


def _caller(row: tuple[Any, ...]) -> Caller:
    key_id, _hash_, scopes, _expires, _used, workspace_id, status, tier, daily, hourly, test_of = row
    return Caller(
        workspace_id=as_id(workspace_id),
        key_id=as_id(key_id),
        scopes=frozenset(json.loads(scopes) if isinstance(scopes, str) else scopes),
        is_test=test_of is not None,
        is_suspended=status != Workspace.Status.ACTIVE,
        limits=limits_of(tier, daily, hourly),
    )


def _time(value: Any) -> datetime | None:
    return None if value is None else clock.as_time(value)


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _hash(text: str) -> str:
    # The key is random, so a slow hash would buy nothing.
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
