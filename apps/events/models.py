"""What happened, written once and never changed."""

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.db.models import Q

from apps.events.types import EventType, ResourceType
from apps.workspaces.tenancy import TenantModel, workspace_field


class Event(TenantModel):
    """A fact about a resource. It holds plain ids, so that events know of no table above them."""

    workspace = workspace_field(db_constraint=False)
    type = models.CharField(max_length=60, choices=EventType.choices)
    resource_type = models.CharField(max_length=30, choices=ResourceType.choices)
    resource_id = models.UUIDField()
    message_id = models.UUIDField(null=True)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    # When whoever listens was found; the one thing about an event that is written later. Nothing at insertion.
    fanned_out_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["id"], name="event_to_fan_out", condition=Q(fanned_out_at__isnull=True)),
            models.Index(fields=["workspace", "id"], name="event_by_workspace"),
            models.Index(fields=["message_id", "id"], name="event_by_message"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.resource_id}"

    def save(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("events are only appended, by apps.events.services.record")
