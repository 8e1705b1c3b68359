"""What is stored, all of it, for tests that something left no trace."""

from functools import cache
from typing import Any

from django.apps import apps
from django.db import connection

# Looking in is no change: a key remembers when it was last used.
NOT_COMPARED = {"last_used_at"}


def everything() -> dict[str, list[dict[str, Any]]]:
    """Every row of every table of ours, as the database gives it; two such pictures are compared with each other."""
    return {label: _rows(query) for label, query in _queries().items()}


@cache
def _queries() -> dict[str, str]:
    """Written by hand and once: it is asked for a thousand times, and an ORM would build each query each time."""
    quote = connection.ops.quote_name
    return {
        model._meta.label: f"SELECT * FROM {quote(model._meta.db_table)} ORDER BY {quote(model._meta.pk.column)}"
        for model in apps.get_models()
        if model.__module__.startswith("apps.")
    }


def _rows(query: str) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        names = [column[0] for column in cursor.description]
        return [
            {name: _plain(value) for name, value in zip(names, row, strict=True) if name not in NOT_COMPARED}
            for row in cursor
        ]


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value
