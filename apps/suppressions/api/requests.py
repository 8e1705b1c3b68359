"""What callers send about suppressions (wire contract 2.7)."""

from typing import Any

from rest_framework import serializers

from apps.core.api.serializers import StrictCharField, WireSerializer
from apps.keys.api.fields import MAX_METADATA_BYTES, ObjectField
from apps.protocols.address import AddressError
from apps.suppressions.addresses import suppressible
from apps.suppressions.models import FROM_CALLERS, Reason

MAX_EMAIL = 320
NOT_FOR_CALLERS = "is given by the platform alone, which has the bounces; use one of " + ", ".join(FROM_CALLERS)


class EmailField(StrictCharField):
    """A bare address; it becomes its canonical form."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_EMAIL, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        try:
            return suppressible(super().to_internal_value(data))
        except AddressError as error:
            raise serializers.ValidationError(error.reason) from error


class ReasonField(serializers.ChoiceField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=[reason.value for reason in FROM_CALLERS], **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, str) and data in set(Reason) - set(FROM_CALLERS):
            raise serializers.ValidationError(NOT_FOR_CALLERS)
        found: str = super().to_internal_value(data)
        return found


class SuppressionRequest(WireSerializer):
    """An address that is to get no more mail from this workspace."""

    email = EmailField(help_text="A bare address; every spelling of the mailbox is suppressed with it.")
    reason = ReasonField(required=False, help_text="`manual` if left out.")
    metadata = ObjectField(MAX_METADATA_BYTES)
