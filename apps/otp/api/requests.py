"""What callers send about one-time codes (wire contract 2.5)."""

import re
from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.serializers import DurationField, StrictCharField, WholeNumberField, WireSerializer
from apps.keys.api.fields import MAX_METADATA_BYTES, LineField, NameField, ObjectField
from apps.messages.api.fields import AddressField
from apps.messages.api.requests import SimulationRequest
from apps.otp.letters import MAX_BRAND, MAX_SUBJECT

MAX_PURPOSE = 64
MIN_LIFETIME, MAX_LIFETIME = timedelta(minutes=1), timedelta(hours=1)
MIN_LENGTH, MAX_LENGTH = 4, 10
CODE = re.compile(rf"[0-9]{{{MIN_LENGTH},{MAX_LENGTH}}}", re.ASCII)


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
    purpose = NameField(max_length=MAX_PURPOSE)
    expires_in = DurationField(
        MIN_LIFETIME, MAX_LIFETIME, required=False, help_text='Such as "10m", which it is if left out.'
    )
    code_length = WholeNumberField(
        required=False, min_value=MIN_LENGTH, max_value=MAX_LENGTH, help_text="6 if left out."
    )
    metadata = ObjectField(MAX_METADATA_BYTES)
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
    purpose = NameField(required=False, max_length=MAX_PURPOSE)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        named = {"to", "purpose"} & attrs.keys()
        if "challenge_id" in attrs and named:
            raise serializers.ValidationError({"challengeId": ["give either challengeId, or to and purpose"]})
        if "challenge_id" not in attrs and len(named) != 2:
            missing = "challengeId" if not named else "purpose" if "to" in named else "to"
            raise serializers.ValidationError({missing: ["give either challengeId, or to and purpose"]})
        return attrs
