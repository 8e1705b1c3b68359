"""Addresses as callers may write them (wire contract 1.8)."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.serializers import UNKNOWN_FIELD
from apps.protocols.address import AddressError, Mailbox, mailbox, parse_mailbox
from apps.protocols.mime import HeaderError, check_headers
from apps.workspaces.limits import MAX_RECIPIENTS_PER_MESSAGE

ADDRESS = {
    "oneOf": [
        {"type": "string", "examples": ["Ada <ada@example.com>"]},
        {
            "type": "object",
            "required": ["email"],
            "properties": {"email": {"type": "string"}, "name": {"type": ["string", "null"]}},
            "additionalProperties": False,
        },
    ]
}
# More than a message may have: the same address may be named more than once.
MAX_LISTED = 2 * MAX_RECIPIENTS_PER_MESSAGE


def read_mailbox(data: Any) -> Mailbox:
    """`"Name <a@b.c>"`, `"a@b.c"` or `{"email", "name"?}`. Raises ValidationError."""
    try:
        if isinstance(data, str):
            return parse_mailbox(data)
        if isinstance(data, dict):
            return _read_object(data)
    except AddressError as error:
        raise serializers.ValidationError(error.reason) from error
    raise serializers.ValidationError("must be an address or an object with email and name")


def _read_object(data: dict[str, Any]) -> Mailbox:
    if unknown := [key for key in data if key not in {"email", "name"}]:
        raise serializers.ValidationError({str(unknown[0])[:100]: [UNKNOWN_FIELD]})
    email, name = data.get("email"), data.get("name")
    if not isinstance(email, str):
        raise serializers.ValidationError({"email": ["must be a string"]})
    if name is not None and not isinstance(name, str):
        raise serializers.ValidationError({"name": ["must be a string"]})
    return mailbox(email, name)


@extend_schema_field(ADDRESS)
class AddressField(serializers.Field):
    def to_internal_value(self, data: Any) -> Mailbox:
        return read_mailbox(data)


@extend_schema_field({"oneOf": [*ADDRESS["oneOf"], {"type": "array", "items": ADDRESS, "minItems": 1}]})
class AddressListField(serializers.Field):
    """One address or a list of addresses, in any mixture of forms."""

    def to_internal_value(self, data: Any) -> list[Mailbox]:
        if not isinstance(data, list):
            return [read_mailbox(data)]
        if not data:
            raise serializers.ValidationError("must name at least one address")
        if len(data) > MAX_LISTED:
            raise serializers.ValidationError(f"must name at most {MAX_LISTED} addresses")
        boxes, problems = [], {}
        for index, item in enumerate(data):
            try:
                boxes.append(read_mailbox(item))
            except serializers.ValidationError as error:
                problems[str(index)] = error.detail
        if problems:
            raise serializers.ValidationError(problems)
        return boxes


class TextMapField(serializers.DictField):
    """`{"name": "text"}`; the names belong to the caller."""

    def __init__(self, *, max_items: int, max_name: int, max_text: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_items, self.max_name, self.max_text = max_items, max_name, max_text

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be an object with texts as its values")
        if len(data) > self.max_items:
            raise serializers.ValidationError(f"may have at most {self.max_items} entries")
        for name, text in data.items():
            if not 1 <= len(name) <= self.max_name:
                raise serializers.ValidationError(f"each name must have 1 to {self.max_name} characters")
            if not isinstance(text, str) or len(text) > self.max_text:
                raise serializers.ValidationError(
                    {name[:100]: [f"must be a string of at most {self.max_text} characters"]}
                )
        return data


class HeadersField(TextMapField):
    """Headers of the caller's own."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        headers = super().to_internal_value(data)
        try:
            check_headers(headers)
        except HeaderError as error:
            raise serializers.ValidationError(error.reason) from error
        return headers
