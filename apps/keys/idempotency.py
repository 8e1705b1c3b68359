"""A request that carries an idempotency key is done once, however often and however simultaneously it is sent."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import orjson
from django.db import IntegrityError

from apps.core import clock
from apps.core.errors import Invalid
from apps.core.ids import new_id
from apps.core.rows import Part, insert
from apps.keys.errors import IdempotencyConflict
from apps.keys.models import IdempotencyKey

MAX_LENGTH = 255
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a key within a family of operations, for a request with this fingerprint."""

    workspace_id: UUID
    family: str
    key: str
    fingerprint: str


def fingerprint(body: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of a request without its key."""
    try:
        canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS, default=str)
    except TypeError:  # a number beyond 64 bits, which an item that a batch refuses may hold
        canonical = json.dumps(body, sort_keys=True, default=str).encode()
    return hashlib.sha256(canonical).hexdigest()


def choose_key(*, in_body: str | None, in_header: str | None) -> str | None:
    """The request's key. Raises Invalid where the two places differ or the key cannot be one."""
    if in_body is not None and in_header is not None and in_body != in_header:
        raise Invalid({"idempotencyKey": ["differs from the Idempotency-Key header; send one of the two"]})
    # Servers join a header that came twice with a comma.
    if in_header is not None and "," in in_header:
        raise Invalid({"idempotencyKey": ["give one Idempotency-Key header, without a comma"]})
    key = in_body if in_body is not None else in_header
    if key is not None and not (
        1 <= len(key) <= MAX_LENGTH and key.isascii() and key.isprintable() and key.strip() == key
    ):
        raise Invalid(
            {"idempotencyKey": [f"must be 1 to {MAX_LENGTH} printable ASCII characters, without spaces around them"]}
        )
    return key


def use_of(workspace_id: UUID, family: str, key: str | None, body: Mapping[str, Any]) -> Use | None:
    """The use that a request with this body makes of its key; None without a key."""
    if key is None:
        return None
    keyless = {name: value for name, value in body.items() if name != "idempotencyKey"}
    return Use(workspace_id, family, key, fingerprint(keyless))


def part(taken: Sequence[tuple[Use, UUID]]) -> Part:
    """The rows that take keys, inserted with their resources; IntegrityError says that a key is taken.

    In the order of the keys: two requests that take the same ones must not wait for each other in a circle.
    """
    now = clock.now()
    rows = [
        {
            "id": new_id(),
            "workspace_id": use.workspace_id,
            "family": use.family,
            "key": use.key,
            "fingerprint": use.fingerprint,
            "resource_id": resource_id,
            "created_at": now,
        }
        for use, resource_id in sorted(taken, key=lambda pair: pair[0].key)
    ]
    return IdempotencyKey, rows


def take(use: Use | None, resource_id: UUID) -> None:
    """Takes the key for this resource; IntegrityError says that another request was faster."""
    if use is not None:
        insert(*part([(use, resource_id)]))


def earlier(use: Use, *, told_as: str) -> UUID | None:
    """The resource that an earlier request with this key made. Raises IdempotencyConflict."""
    rows = IdempotencyKey.objects.of(use.workspace_id).filter(family=use.family, key=use.key)
    found = rows.values_list("resource_id", "fingerprint").first()
    return check_same(use, found, told_as=told_as) if found else None


def check_same(use: Use, found: tuple[UUID, str], *, told_as: str) -> UUID:
    """The resource of an earlier use, given with its fingerprint. Raises IdempotencyConflict, which names it so."""
    resource_id, stored = found
    if stored != use.fingerprint:
        raise IdempotencyConflict(details={told_as: str(resource_id)})
    return resource_id


def once(use: Use | None, do: Callable[[], Result], replay: Callable[[UUID], Result], *, told_as: str) -> Result:
    """What `do` makes, or what the earlier request with this key made. `do` calls `take` in its transaction.

    Raises IdempotencyConflict where the key was used for something else.
    """
    if use is None:
        return do()
    if (found := earlier(use, told_as=told_as)) is not None:
        return replay(found)
    try:
        return do()
    except IntegrityError:
        if (found := earlier(use, told_as=told_as)) is None:
            raise
        return replay(found)
