"""Set-based writing for the hot paths: many rows in one statement, without building model instances.

The ORM costs about 1 ms of Python for each row it saves; accepting and recording mail cannot afford that. On
PostgreSQL rows travel as one array per column, so that the statement's text is the same for any number of rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, models

Row = Mapping[str, Any]
Part = tuple[type[models.Model], Sequence[Row]]

# SQLite binds at most 32,766 values in one statement.
MAX_VALUES = 30_000


def insert(model: type[models.Model], rows: Sequence[Row]) -> None:
    """Inserts rows given as {attname: value}; what a row leaves out takes the field's default.

    Raises IntegrityError as the ORM would. Inside a transaction it is all or nothing.
    """
    plan = _insert_plan(model, connection.vendor)
    with connection.cursor() as cursor:
        for chunk in plan.chunks(rows):
            cursor.execute(plan.insertion(chunk), plan.values(chunk))


def insert_all(parts: Sequence[Part]) -> None:
    """Inserts rows of several models: on PostgreSQL in one statement, and so in one round trip.

    Raises IntegrityError. Call it inside a transaction: elsewhere the statements are separate.
    """
    filled = [(model, rows) for model, rows in parts if rows]
    if connection.vendor != "postgresql":
        for model, rows in filled:
            insert(model, rows)
        return
    plans = [(_insert_plan(model, connection.vendor), rows) for model, rows in filled]
    # Foreign keys are checked at commit, so the order of the parts does not matter.
    *others, last = [plan.insertion(rows) for plan, rows in plans]
    named = ", ".join(f"part{number} AS ({statement})" for number, statement in enumerate(others))
    values = [value for plan, rows in plans for value in plan.values(rows)]
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {named} {last}" if named else last, values)


def update(
    model: type[models.Model], rows: Sequence[Row], *, match: Sequence[str], where: str = ""
) -> set[UUID]:
    """Gives each row its values where all the `match` columns are equal; returns the ids that were changed.

    Every row names the same attnames. `where` is a further SQL condition on the table `t`. Rows that are not
    found, or no longer match, are left out of the answer: somebody was faster.
    """
    if not rows:
        return set()
    plan = _plan(model, connection.vendor, tuple(rows[0]))
    changed: set[UUID] = set()
    with connection.cursor() as cursor:
        for chunk in plan.chunks(rows):
            cursor.execute(plan.change(chunk, match, where), plan.values(chunk))
            changed |= {as_id(row[0]) for row in cursor.fetchall()}
    return changed


def as_id(value: Any) -> UUID:
    """An id as the database gave it: SQLite keeps them as text."""
    return value if isinstance(value, UUID) else UUID(value)


class _Plan:
    """How rows with these columns travel to one kind of database."""

    def __init__(self, model: type[models.Model], names: Sequence[str]) -> None:
        fields = [model._meta.get_field(name) for name in names]
        quote = connection.ops.quote_name
        self._has_arrays = connection.vendor == "postgresql"
        self._table = quote(model._meta.db_table)
        self._columns = {field.attname: quote(field.column) for field in fields}
        self._fields = [(field.attname, field.get_default, _preparer(field)) for field in fields]
        self._places = f"({', '.join(['%s'] * len(fields))})"
        self._arrays = f"unnest({', '.join(f'%s::{_array_type(field)}' for field in fields)})"

    def insertion(self, rows: Sequence[Row]) -> str:
        columns = ", ".join(self._columns.values())
        return f"INSERT INTO {self._table} ({columns}) SELECT * FROM {self._source(rows)}"  # noqa: S608

    def change(self, rows: Sequence[Row], match: Sequence[str], where: str) -> str:
        given = {name: f"v.column{number}" for number, name in enumerate(self._columns, start=1)}
        assigned = [f"{column} = {given[name]}" for name, column in self._columns.items() if name not in match]
        conditions = [f"t.{self._columns[name]} = {given[name]}" for name in match]
        if where:
            conditions.append(where)
        return (
            f"UPDATE {self._table} AS t SET {', '.join(assigned)} FROM {self._source(rows)} "  # noqa: S608
            f"WHERE {' AND '.join(conditions)} RETURNING id"
        )

    def values(self, rows: Sequence[Row]) -> list[Any]:
        columns = [
            [prepare(row[name] if name in row else default()) for row in rows]
            for name, default, prepare in self._fields
        ]
        return columns if self._has_arrays else [value for row in zip(*columns, strict=True) for value in row]

    def chunks(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        step = max(1, MAX_VALUES // len(self._columns))
        return (rows[start : start + step] for start in range(0, len(rows), step))

    def _source(self, rows: Sequence[Row]) -> str:
        """A table named v with columns column1, column2, ..."""
        if self._has_arrays:
            names = ", ".join(f"column{number}" for number in range(1, len(self._columns) + 1))
            return f"{self._arrays} AS v({names})"
        return f"(VALUES {', '.join([self._places] * len(rows))}) AS v"


def _array_type(field: "models.Field[Any, Any]") -> str:
    """The type of one column's array; JSON travels as text, since psycopg knows no array of it."""
    if isinstance(field, models.JSONField):
        return "text[]::jsonb[]"
    kind = field.db_type(connection) or ""
    # A cast to varchar(n) would cut what is too long; plain text lets the column refuse it.
    return "text[]" if kind.startswith("varchar") else f"{kind}[]"


def _preparer(field: "models.Field[Any, Any]") -> Callable[[Any], Any]:
    """psycopg adapts most values itself; the ORM's own preparation is only needed where it changes them."""
    plain = (models.CharField, models.TextField, models.BooleanField, models.IntegerField)
    if isinstance(field, plain):
        return _as_is
    if isinstance(field, models.JSONField):
        return lambda value: orjson.dumps(value).decode()
    if connection.vendor == "postgresql":
        return _as_is
    return lambda value: field.get_db_prep_save(value, connection)


def _as_is(value: Any) -> Any:
    return value


@cache
def _plan(model: type[models.Model], vendor: str, names: tuple[str, ...]) -> _Plan:
    return _Plan(model, names)


@cache
def _insert_plan(model: type[models.Model], vendor: str) -> _Plan:
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
    return _Plan(model, [field.attname for field in fields])
