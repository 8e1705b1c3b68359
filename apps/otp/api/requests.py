"""What callers send about one-time codes (wire contract 2.5)."""

import re
from datetime import timedelta
from typing import Any

import orjson
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.serializers import StrictCharField, WireSerializer
from apps.keys.api.fields import LineField
from apps.messages.api.fields import AddressField
from apps.messages.api.requests import SimulationRequest
from apps.otp.letters import MAX_BRAND, MAX_SUBJECT

MAX_PURPOSE = 64
MAX_METADATA_BYTES = 16_000
MIN_LIFETIME, MAX_LIFETIME = timedelta(minutes=1), timedelta(hours=1)
LIFETIME = re.compile(r"([0-9]{1,4})([smh])", re.ASCII)
UNITS = {"s": 1, "m": 60, "h": 3600}
MIN_LENGTH, MAX_LENGTH = 4, 10
CODE = re.compile(rf"[0-9]{{{MIN_LENGTH},{MAX_LENGTH}}}", re.ASCII)


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "pattern": "^[0-9]{1,4}[smh]$", "examples": ["10m"]},
            {"type": "integer", "minimum": 60, "maximum": 3600},
        ],
        "default": "10m",
    }
)
class LifetimeField(serializers.Field):
    """`10m`, `90s`, `1h`, or whole seconds."""

    def to_internal_value(self, data: Any) -> timedelta:
        found = LIFETIME.fullmatch(data) if isinstance(data, str) else None
        if found:
            seconds = int(found[1]) * UNITS[found[2]]
        elif isinstance(data, int) and not isinstance(data, bool):
            seconds = data
        else:
            raise serializers.ValidationError("must be a duration such as 10m, 90s or 1h, or whole seconds as a number")
        if not MIN_LIFETIME.total_seconds() <= seconds <= MAX_LIFETIME.total_seconds():
            raise serializers.ValidationError("must be from 1m to 1h")
        return timedelta(seconds=seconds)


@extend_schema_field({"type": "integer", "minimum": MIN_LENGTH, "maximum": MAX_LENGTH, "default": 6})
class CodeLengthField(serializers.Field):
    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int) or not MIN_LENGTH <= data <= MAX_LENGTH:
            raise serializers.ValidationError(f"must be a whole number from {MIN_LENGTH} to {MAX_LENGTH}")
        return data


@extend_schema_field({"type": "object", "additionalProperties": True})
class MetadataField(serializers.Field):
    """Whatever the caller wants to find again at its challenge; names and shape are its own."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be an object")
        try:
            size = len(orjson.dumps(data))
        except TypeError:
            raise serializers.ValidationError("holds a number that does not fit into 64 bits") from None
        if size > MAX_METADATA_BYTES:
            raise serializers.ValidationError(f"may have at most {MAX_METADATA_BYTES} bytes as JSON")
        return data


@extend_schema_field({"type": "string", "pattern": "^[0-9]{4,10}$"})
class CodeField(serializers.Field):
    """ASCII digits in a string: a number would lose its leading zeros, and a list would be many guesses at once."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or not CODE.fullmatch(data):
            raise serializers.ValidationError(f"must be a string of {MIN_LENGTH} to {MAX_LENGTH} digits")
        return data


class OtpSendRequest(WireSerializer):
    """A code to be mailed; without `from` the workspace's default sender sends it."""

    to = AddressField()
    purpose = LineField(max_length=MAX_PURPOSE)
    expires_in = LifetimeField(required=False)
    code_length = CodeLengthField(required=False)
    metadata = MetadataField(required=False)
    idempotency_key = StrictCharField(required=False, allow_null=True, allow_blank=True)
    subject = LineField(required=False, max_length=MAX_SUBJECT)
    brand_name = LineField(required=False, max_length=MAX_BRAND)
    simulation = SimulationRequest(required=False)

    def get_fields(self) -> dict[str, serializers.Field]:
        # `from` is a Python keyword, so it cannot be declared above.
        sender = AddressField(source="sender", required=False, allow_null=True)
        return {"from": sender, **super().get_fields()}


class OtpVerifyRequest(WireSerializer):
    """A code, and which challenge it answers: by id, or the newest for an address and a purpose."""

    code = CodeField()
    challenge_id = StrictCharField(required=False, max_length=36)
    to = AddressField(required=False)
    purpose = LineField(required=False, max_length=MAX_PURPOSE)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        named = {"to", "purpose"} & attrs.keys()
        if "challenge_id" in attrs and named:
            raise serializers.ValidationError({"challengeId": ["give either challengeId, or to and purpose"]})
        if "challenge_id" not in attrs and len(named) != 2:
            missing = "challengeId" if not named else "purpose" if "to" in named else "to"
            raise serializers.ValidationError({missing: ["give either challengeId, or to and purpose"]})
        return attrs
