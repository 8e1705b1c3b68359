"""Set-based writing for the hot paths: many rows in one statement, without building model instances.

The ORM costs about 1 ms of Python for each row it saves; accepting and recording mail cannot afford that. On
PostgreSQL rows travel as one array per column, so that the statement's text is the same for any number of rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, cast
from uuid import UUID

import orjson
from django.db import connection, models, transaction

from apps.core.fields import VerbatimJSON

Row = Mapping[str, Any]
Part = tuple[type[models.Model], Sequence[Row]]
Statement = tuple[str, Sequence[Any]]

# SQLite binds at most 32,766 values in one statement.
MAX_VALUES = 30_000
FEW = 2


def insert(model: type[models.Model], rows: Sequence[Row], *, or_ignore: bool = False) -> None:
    """Inserts rows given as {attname: value}, all with the same names; the database fills in what they leave out.

    Raises IntegrityError as the ORM would, or leaves out rows that are there already. Inside a transaction it is all
    or nothing.
    """
    if not rows:
        return
    plan = _plan(model, connection.vendor, tuple(rows[0]))
    with connection.cursor() as cursor:
        for chunk in plan.chunks(rows):
            cursor.execute(plan.insertion(chunk, or_ignore=or_ignore), plan.values(chunk))


def insert_all(parts: Sequence[Part], *, counting: Sequence[Statement] = ()) -> list[int]:
    """Inserts rows of several models, all or nothing, after statements that count.

    Returns how many rows each counting statement wrote; where one wrote none, nothing is stored, and its count
    neither. On PostgreSQL this is one round trip. Raises IntegrityError.
    """
    filled = [(_plan(model, connection.vendor, tuple(rows[0])), rows) for model, rows in parts if rows]
    if connection.vendor == "postgresql" and len(counting) <= 1:
        return _insert_in_one_statement(filled, counting)
    with transaction.atomic(), connection.cursor() as cursor:
        counts = [cursor.execute(sql, values).rowcount for sql, values in counting]
        if 0 in counts:
            transaction.set_rollback(True)
            return counts
        for plan, rows in filled:
            for chunk in plan.chunks(rows):
                cursor.execute(plan.insertion(chunk), plan.values(chunk))
    return counts


def _insert_in_one_statement(
    filled: Sequence[tuple["_Plan", Sequence[Row]]], counting: Sequence[Statement]
) -> list[int]:
    """A statement is a transaction of its own, and foreign keys are checked at its end."""
    counted = [f"counted AS ({sql} RETURNING 1)" for sql, _ in counting]
    condition = " WHERE EXISTS (SELECT FROM counted)" if counting else ""
    inserted = [f"part{n} AS ({plan.insertion(rows)}{condition})" for n, (plan, rows) in enumerate(filled)]
    values = [value for _, given in counting for value in given]
    values += [value for plan, rows in filled for value in plan.values(rows)]
    answer = "count(*) FROM counted" if counting else "1"
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {', '.join([*counted, *inserted])} SELECT {answer}", values)
        count = cursor.fetchone()[0]
    return [count] if counting else []


def update(model: type[models.Model], rows: Sequence[Row], *, match: Sequence[str], where: str = "") -> set[UUID]:
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
        fields = [cast("models.Field[Any, Any]", model._meta.get_field(name)) for name in names]
        quote = connection.ops.quote_name
        self._is_postgresql = connection.vendor == "postgresql"
        self._table = quote(model._meta.db_table)
        self._columns = {field.attname: quote(str(field.column)) for field in fields}
        self._fields = [(field.attname, _preparer(field)) for field in fields]
        self._gathered = [_text_array if _is_text(field) else _as_is for field in fields]
        self._places = f"({', '.join(['%s'] * len(fields))})"
        self._typed = f"({', '.join(f'%s::{_type(field)}' for field in fields)})"
        self._arrays = f"unnest({', '.join(f'%s::{_array_type(field)}' for field in fields)})"
        self._names = ", ".join(f"column{number}" for number in range(1, len(fields) + 1))

    def insertion(self, rows: Sequence[Row], *, or_ignore: bool = False) -> str:
        columns = ", ".join(self._columns.values())
        # Without a WHERE, SQLite takes ON for the beginning of a join.
        ending = " WHERE true ON CONFLICT DO NOTHING" if or_ignore else ""
        return f"INSERT INTO {self._table} ({columns}) SELECT * FROM {self._source(rows)}{ending}"  # noqa: S608 - names of our models

    def change(self, rows: Sequence[Row], match: Sequence[str], where: str) -> str:
        given = {name: f"v.column{number}" for number, name in enumerate(self._columns, start=1)}
        assigned = [f"{column} = {given[name]}" for name, column in self._columns.items() if name not in match]
        conditions = [f"t.{self._columns[name]} = {given[name]}" for name in match]
        if where:
            conditions.append(where)
        return (
            f"UPDATE {self._table} AS t SET {', '.join(assigned)} FROM {self._source(rows)} "  # noqa: S608 - names of our models
            f"WHERE {' AND '.join(conditions)} RETURNING id"
        )

    def values(self, rows: Sequence[Row]) -> list[Any]:
        if self._has_arrays(rows):
            lists = ([prepare(row[name]) for row in rows] for name, prepare in self._fields)
            return [gather(values) for gather, values in zip(self._gathered, lists, strict=True)]
        return [prepare(row[name]) for row in rows for name, prepare in self._fields]

    def chunks(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        step = max(1, MAX_VALUES // len(self._columns))
        return (rows[start : start + step] for start in range(0, len(rows), step))

    def _has_arrays(self, rows: Sequence[Row]) -> bool:
        # For few rows single values are cheaper, and there are not many statements of so few rows.
        return self._is_postgresql and len(rows) > FEW

    def _source(self, rows: Sequence[Row]) -> str:
        """A table named v with columns column1, column2, ..."""
        if self._has_arrays(rows):
            return f"{self._arrays} AS v({self._names})"
        if self._is_postgresql:
            return f"(VALUES {', '.join([self._typed] * len(rows))}) AS v({self._names})"
        return f"(VALUES {', '.join([self._places] * len(rows))}) AS v"  # SQLite's own names are column1, ...


def _type(field: "models.Field[Any, Any]") -> str:
    """A cast to varchar(n) would cut what is too long; plain text lets the column refuse it."""
    kind = field.db_type(connection) or ""
    return "text" if kind.startswith("varchar") else kind


def _array_type(field: "models.Field[Any, Any]") -> str:
    """JSON travels as text, since psycopg knows no array of it."""
    return "text[]::jsonb[]" if isinstance(field, models.JSONField) else f"{_type(field)}[]"


def _is_text(field: "models.Field[Any, Any]") -> bool:
    return isinstance(field, models.CharField | models.TextField | models.JSONField)


def _text_array(values: Sequence[str | None]) -> str:
    """PostgreSQL's literal of an array of texts; psycopg would look at every text with regular expressions."""
    quoted = ("NULL" if text is None else f'"{_escaped(text)}"' for text in values)
    return f"{{{','.join(quoted)}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _preparer(field: "models.Field[Any, Any]") -> Callable[[Any], Any]:
    """psycopg adapts most values itself; the ORM's own preparation is only needed where it changes them."""
    plain = (models.CharField, models.TextField, models.BooleanField, models.IntegerField)
    if isinstance(field, VerbatimJSON):
        return field.get_prep_value
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
