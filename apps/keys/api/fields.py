"""Fields of requests that more than one app has: texts as mail can carry them, and the values of templates."""

from typing import Any

import orjson
from rest_framework import serializers

from apps.core.api.serializers import StrictCharField
from apps.protocols.text import TextError, check_text, check_visible_order

MAX_DATA_BYTES = 256_000


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


class DataField(serializers.JSONField):
    """The values for a template's variables: an object, with whatever names the caller likes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, **kwargs})

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be an object")
        try:
            size = len(orjson.dumps(data))
        except TypeError:
            raise serializers.ValidationError("holds a number that does not fit into 64 bits") from None
        if size > MAX_DATA_BYTES:
            raise serializers.ValidationError(f"may have at most {MAX_DATA_BYTES} bytes as JSON")
        return data


def _check(text: str, *, multiline: bool) -> None:
    try:
        check_text(text, multiline=multiline)
    except TextError as error:
        raise serializers.ValidationError(error.reason) from error
