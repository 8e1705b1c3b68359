"""A request about assets that carries an idempotency key is done once."""

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from django.db import IntegrityError

from apps.core.rows import insert
from apps.keys.errors import IdempotencyConflict
from apps.keys.idempotency import Use, part
from apps.keys.models import IdempotencyKey

Result = TypeVar("Result")


def once(use: Use | None, do: Callable[[], Result], earlier: Callable[[UUID], Result]) -> Result:
    """What `do` makes, or what the earlier request with this key made. `do` calls `take` in its transaction.

    Raises IdempotencyConflict where the key was used for something else.
    """
    if use is None:
        return do()
    if (found := _earlier(use)) is not None:
        return earlier(found)
    try:
        return do()
    except IntegrityError:
        if (found := _earlier(use)) is None:
            raise
        return earlier(found)


def take(use: Use | None, resource_id: UUID) -> None:
    """Takes the key for this resource; IntegrityError says that another request was faster."""
    if use is not None:
        insert(*part([(use, resource_id)]))


def _earlier(use: Use) -> UUID | None:
    row = IdempotencyKey.objects.of(use.workspace_id).filter(family=use.family, key=use.key).first()
    if row is None:
        return None
    if row.fingerprint != use.fingerprint:
        raise IdempotencyConflict(
            "This idempotency key was used for another request; use a new key for a new one.",
            details={"resourceId": str(row.resource_id)},
        )
    resource_id: UUID = row.resource_id
    return resource_id
