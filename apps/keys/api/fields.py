"""Fields of requests that more than one app has: texts as mail can carry them, and the values of templates."""

from typing import Any

import orjson
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.serializers import StrictCharField
from apps.protocols.text import TextError, check_text, check_visible_order

# Of the values for a template, and of what a caller keeps with its own rows.
MAX_DATA_BYTES, MAX_METADATA_BYTES = 256_000, 16_000


class LineField(StrictCharField):
    """One line of text without control characters."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        _check(text, multiline=False)
        return text


class NameField(LineField):
    """One line that reads as it is written: nothing in it turns the order of what is shown."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            check_visible_order(text)
        except TextError as error:
            raise serializers.ValidationError(error.reason) from error
        return text


class BodyField(StrictCharField):
    """A text of many lines; null and an empty one are the same: there is none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_blank": True, "allow_null": True, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        _check(text, multiline=True)
        return text


@extend_schema_field({"type": "object", "additionalProperties": True})
class ObjectField(serializers.Field):
    """An object of the caller's, with whatever names it likes; at most so many bytes as JSON."""

    def __init__(self, max_bytes: int, **kwargs: Any) -> None:
        super().__init__(**{"required": False, **kwargs})
        self.max_bytes = max_bytes

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be an object")
        try:
            size = len(orjson.dumps(data))
        except TypeError:
            raise serializers.ValidationError("holds a number that does not fit into 64 bits") from None
        if size > self.max_bytes:
            raise serializers.ValidationError(f"may have at most {self.max_bytes} bytes as JSON")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


def _check(text: str, *, multiline: bool) -> None:
    try:
        check_text(text, multiline=multiline)
    except TextError as error:
        raise serializers.ValidationError(error.reason) from error
