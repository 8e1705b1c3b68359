"""Serializers whose fields are written in snake_case and travel in camelCase, and strict fields for them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.validators import ProhibitNullCharactersValidator
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from apps.core.clock import wire_time

UNKNOWN_FIELD = "unknown field"
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
# As Go writes durations, with days besides.
DURATION = re.compile(r"(?:([0-9]{1,7})d)?(?:([0-9]{1,7})h)?(?:([0-9]{1,7})m)?(?:([0-9]{1,7})s)?", re.ASCII)
UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
# White space and what takes no place: nobody could see such a text.
BLANK = re.compile("[\\s\u00ad\u200b-\u200f\u2060-\u206f\ufeff]*")


def camel(name: str) -> str:
    """`reply_to` -> `replyTo`; a trailing underscore (`from_`) only dodges a Python keyword."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)


class WireSerializer(serializers.Serializer):
    """Renames declared fields only: keys inside a DictField or JSONField belong to the caller.

    Unknown fields are refused by name: a silent `sendat` would send at once.
    """

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = {}
        for name, field in super().get_fields().items():
            wire_name = camel(name)
            if isinstance(field, serializers.SerializerMethodField):
                field.method_name = field.method_name or f"get_{name}"
            elif field.source is None and wire_name != name:
                field.source = name
            fields[wire_name] = field
        return fields

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := [name for name in data if name not in self.fields]):
            raise serializers.ValidationError({str(name)[:100]: [UNKNOWN_FIELD] for name in unknown[:20]})
        return super().to_internal_value(data)


LOOKED_AT_BEFORE = (ProhibitNullCharactersValidator, ProhibitSurrogateCharactersValidator)


class StrictCharField(serializers.CharField):
    """Text only: DRF would take 12 and "12" for the same, and trim what a caller meant."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **kwargs})
        # The parser has refused NUL and half surrogate pairs; DRF would look at each character again, in Python.
        self.validators = [validator for validator in self.validators if not isinstance(validator, LOOKED_AT_BEFORE)]

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("must be a string")
        if not self.allow_blank and BLANK.fullmatch(data):
            self.fail("blank")
        return data


class BoundedListField(serializers.ListField):
    """A list that is not looked at beyond its length where it is too long: DRF would judge each item first."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            raise serializers.ValidationError("must be a list")
        if self.max_length is not None and len(data) > self.max_length:
            raise serializers.ValidationError(f"may have at most {self.max_length} items")
        found: list[Any] = super().to_internal_value(data)
        return found


class WholeNumberField(serializers.IntegerField):
    """DRF would take "5", 5.0 and true for whole numbers."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            raise serializers.ValidationError("must be a whole number")
        return data


class StrictBooleanField(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("must be true or false")
        return data


@extend_schema_field({"type": ["string", "integer"]})
class DurationField(serializers.Field):
    """Whole seconds, or a text such as "10m" or "1h30m", between two bounds."""

    def __init__(self, shortest: timedelta, longest: timedelta, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shortest, self.longest = shortest, longest

    def to_internal_value(self, data: Any) -> timedelta:
        seconds = _seconds(data)
        if seconds is None:
            raise serializers.ValidationError('must be whole seconds, or a text such as "10m" or "1h30m"')
        # Numbers beyond what a timedelta can hold are compared as numbers.
        if not self.shortest.total_seconds() <= seconds <= self.longest.total_seconds():
            raise serializers.ValidationError(f"must be from {_spoken(self.shortest)} to {_spoken(self.longest)}")
        return timedelta(seconds=seconds)


class TimeField(serializers.DateTimeField):
    """RFC 3339 with a zone in, which becomes UTC; UTC with `Z` out."""

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str) or len(value) > 40 or not RFC_3339.fullmatch(value):
            raise serializers.ValidationError("must be an RFC 3339 time with a zone, such as 2026-05-12T09:00:00Z")
        try:
            moment = parse_datetime(value.upper())
            moment = moment.astimezone(UTC) if moment else None
        except (ValueError, OverflowError):  # such as midnight of the year 1, east of Greenwich
            moment = None
        if moment is None:
            raise serializers.ValidationError("is not a date and time that exists")
        return moment

    def to_representation(self, value: datetime | None) -> str | None:  # type: ignore[override]  # the base never gives null
        return wire_time(value)


def _spoken(length: timedelta) -> str:
    """Such as `90s` or `7d`, in the largest unit that divides it."""
    seconds = int(length.total_seconds())
    unit, name = next((unit, name) for unit, name in UNITS if seconds % unit == 0)
    return f"{seconds // unit}{name}"


def _seconds(data: Any) -> int | None:
    if isinstance(data, int) and not isinstance(data, bool):
        return data
    match = DURATION.fullmatch(data) if isinstance(data, str) and data else None
    if match is None:
        return None
    return sum(int(part or 0) * unit for part, (unit, _name) in zip(match.groups(), UNITS, strict=True))
