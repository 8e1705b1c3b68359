"""How suppressions look on the wire (wire contract 2.7)."""

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from apps.core.api.serializers import TimeField, WireSerializer
from apps.suppressions.models import Reason, Source


@extend_schema_serializer(component_name="Suppression")
class SuppressionResource(WireSerializer):
    id = serializers.UUIDField()
    email = serializers.CharField()
    reason = serializers.ChoiceField(choices=Reason.values)
    source = serializers.ChoiceField(choices=Source.values)  # type: ignore[assignment]  # a wire name that Field has too
    message_id = serializers.UUIDField(allow_null=True, help_text="The message whose end is the evidence.")
    bounce_id = serializers.UUIDField(allow_null=True, help_text="The bounce that is the evidence.")
    metadata = serializers.DictField()
    created_at = TimeField()
