"""Set-based writing for the hot paths: many rows in one statement, without building model instances.

The ORM costs about 1 ms of Python for each row it saves; accepting and recording mail cannot afford that.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection, models

Row = Mapping[str, Any]
Part = tuple[type[models.Model], Sequence[Row]]

# SQLite binds at most 32,766 values in one statement.
MAX_VALUES = 30_000


def insert(model: type[models.Model], rows: Sequence[Row]) -> None:
    """Inserts rows given as {attname: value}; what a row leaves out takes the field's default.

    Raises IntegrityError as the ORM would. Inside a transaction it is all or nothing.
    """
    plan = _plan(model, connection.vendor)
    step = max(1, MAX_VALUES // len(plan.columns))
    with connection.cursor() as cursor:
        for start in range(0, len(rows), step):
            chunk = rows[start : start + step]
            places = ", ".join([plan.places] * len(chunk))
            cursor.execute(plan.head + places, [value for row in chunk for value in plan.values(row)])


def insert_all(parts: Sequence[Part]) -> None:
    """Inserts rows of several models: on PostgreSQL in one statement, and so in one round trip.

    Raises IntegrityError. Call it inside a transaction: elsewhere the statements are separate.
    """
    if connection.vendor != "postgresql":
        for model, rows in parts:
            insert(model, rows)
        return
    statements: list[str] = []
    values: list[Any] = []
    for model, rows in parts:
        if rows:
            plan = _plan(model, connection.vendor)
            statements.append(plan.head + ", ".join([plan.places] * len(rows)))
            values.extend(value for row in rows for value in plan.values(row))
    if not statements:
        return
    # Foreign keys are checked at commit, so the order of the parts does not matter.
    *others, last = statements
    named = ", ".join(f"part{number} AS ({statement})" for number, statement in enumerate(others))
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {named} {last}" if named else last, values)


def update(
    model: type[models.Model], rows: Sequence[Row], *, match: Sequence[str], where: str = ""
) -> set[Any]:
    """Gives each row its values where all the `match` columns are equal; returns the ids that were changed.

    Every row names the same attnames. `where` is a further SQL condition on the table `t`. Rows that are not
    found, or no longer match, are left out of the answer: somebody was faster.
    """
    if not rows:
        return set()
    names = list(rows[0])
    fields = [model._meta.get_field(name) for name in names]
    quote, table = connection.ops.quote_name, model._meta.db_table
    place = "(" + ", ".join(["%s"] * len(fields)) + ")"
    # PostgreSQL takes the types of a VALUES list from its first row.
    typed = "(" + ", ".join(f"CAST(%s AS {field.db_type(connection)})" for field in fields) + ")"
    first = typed if connection.vendor == "postgresql" else place
    columns = [field.column for field in fields]
    given = {name: f"v.column{number}" for number, name in enumerate(names, start=1)}
    assignments = ", ".join(
        f"{quote(column)} = {given[name]}"
        for name, column in zip(names, columns, strict=True)
        if name not in match
    )
    condition = " AND ".join(
        f"t.{quote(column)} = {given[name]}"
        for name, column in zip(names, columns, strict=True)
        if name in match
    )
    sql = (
        f"UPDATE {quote(table)} AS t SET {assignments} FROM (VALUES {', '.join([first, *[place] * (len(rows) - 1)])})"  # noqa: S608
        f" AS v WHERE {condition}{f' AND {where}' if where else ''} RETURNING id"
    )
    prepare = [_preparer(field) for field in fields]
    values = [ready(row[name]) for row in rows for name, ready in zip(names, prepare, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return {as_id(row[0]) for row in cursor.fetchall()}


def as_id(value: Any) -> UUID:
    """An id as the database gave it: SQLite keeps them as text."""
    return value if isinstance(value, UUID) else UUID(value)


class _Plan:
    """How one model's rows become an INSERT on one kind of database."""

    def __init__(self, model: type[models.Model]) -> None:
        fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
        quote = connection.ops.quote_name
        self.columns = [field.column for field in fields]
        self.places = f"({', '.join(['%s'] * len(fields))})"
        self.head = (
            f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(map(quote, self.columns))}) VALUES "
        )
        self._fields: list[tuple[str, Callable[[], Any], Callable[[Any], Any]]] = [
            (field.attname, field.get_default, _preparer(field)) for field in fields
        ]

    def values(self, row: Row) -> list[Any]:
        return [prepare(row[name] if name in row else default()) for name, default, prepare in self._fields]


def _preparer(field: "models.Field[Any, Any]") -> Callable[[Any], Any]:
    """psycopg adapts most values itself; the ORM's own preparation is only needed where it changes them."""
    plain = (models.CharField, models.TextField, models.BooleanField, models.IntegerField)
    if isinstance(field, plain):
        return _as_is
    if connection.vendor == "postgresql" and isinstance(field, models.DateTimeField | models.UUIDField):
        return _as_is
    return lambda value: field.get_db_prep_save(value, connection)


def _as_is(value: Any) -> Any:
    return value


@cache
def _plan(model: type[models.Model], vendor: str) -> _Plan:
    return _Plan(model)
