"""Serializers whose fields are written in snake_case and travel in camelCase, and strict fields for them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.core.validators import ProhibitNullCharactersValidator
from django.utils.dateparse import parse_datetime
from rest_framework import serializers
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from apps.core.clock import wire_time

UNKNOWN_FIELD = "unknown field"
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
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


class StrictBooleanField(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("must be true or false")
        return data


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
