"""How an event looks on the wire."""

from rest_framework import serializers

from apps.core.api.serializers import TimeField, WireSerializer


class EventResource(WireSerializer):
    id = serializers.UUIDField()
    type = serializers.CharField()
    resource_type = serializers.CharField()
    resource_id = serializers.UUIDField()
    message_id = serializers.UUIDField(allow_null=True)
    created_at = TimeField()
    data = serializers.DictField(  # type: ignore[assignment]  # a wire name that Serializer has too
        help_text="The facts of this event; its keys depend on the type."
    )
