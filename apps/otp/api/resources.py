"""How challenges look on the wire (wire contract 2.5). No field has a code, nor anything made of one."""

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from apps.core.api.serializers import TimeField, WireSerializer
from apps.messages.states import Status as MessageStatus
from apps.otp.states import Status


class ChallengeFields(WireSerializer):
    id = serializers.UUIDField()
    to = serializers.CharField(source="email")
    purpose = serializers.CharField()
    status = serializers.ChoiceField(choices=Status.values)
    code_length = serializers.IntegerField()
    attempts = serializers.IntegerField()
    max_attempts = serializers.IntegerField()
    expires_at = TimeField()
    message_id = serializers.UUIDField()
    metadata = serializers.DictField()
    created_at = TimeField()
    verified_at = TimeField(allow_null=True)
    canceled_at = TimeField(allow_null=True)


@extend_schema_serializer(component_name="IssuedChallenge")
class IssuedResource(ChallengeFields):
    """The answer to a request for a code: the same for every address, suppressed or not."""

    idempotency_status = serializers.ChoiceField(choices=["created", "replayed", "none"])


@extend_schema_serializer(component_name="Challenge")
class ChallengeResource(ChallengeFields):
    """A challenge, with what became of its mail."""

    delivery_status = serializers.ChoiceField(choices=MessageStatus.values, source="message.status")


@extend_schema_serializer(component_name="VerifiedChallenge")
class VerifiedResource(WireSerializer):
    id = serializers.UUIDField()
    challenge_id = serializers.UUIDField(source="id")
    verified = serializers.BooleanField()
    status = serializers.ChoiceField(choices=Status.values)
    verified_at = TimeField()
