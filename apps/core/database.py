"""An event loop's way to the database: everything in one thread, and an outage is something to wait out."""

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)

P = ParamSpec("P")
Result = TypeVar("Result")


class DatabaseAway(Exception):
    """The database does not answer, or made us the loser of a deadlock; the same call may succeed later."""


async def database(call: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """Runs `call` in the thread of the process's one connection. Raises DatabaseAway."""
    return await sync_to_async(_guarded, thread_sensitive=True)(call, *args, **kwargs)


def _guarded(call: Callable[..., Result], *args: object, **kwargs: object) -> Result:
    try:
        return call(*args, **kwargs)
    except (OperationalError, InterfaceError) as error:
        logger.warning("the database did not do %s: %s", call.__name__, str(error).strip())
        _drop_connection()
        raise DatabaseAway from error


def _drop_connection() -> None:
    """A connection that failed is not trusted again; the next call opens another."""
    try:
        connection.close()
    except DatabaseError:
        connection.connection = None
