"""Addresses that get no more mail from a workspace."""

from typing import ClassVar

from django.db import models

from apps.core.fields import VerbatimJSON
from apps.workspaces.tenancy import TenantModel


class Reason(models.TextChoices):
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    MANUAL = "manual"
    REPEATED_SOFT_BOUNCE = "repeated_soft_bounce"
    BLOCKED = "blocked"
    UNSUBSCRIBE = "unsubscribe"


# What somebody may give as a reason; of the others the platform itself has the evidence.
FROM_CALLERS = (Reason.MANUAL, Reason.BLOCKED, Reason.UNSUBSCRIBE, Reason.COMPLAINT)


class Source(models.TextChoices):
    BOUNCE_PROCESSOR = "bounce_processor"
    USER = "user"
    SYSTEM = "system"
    COMPLAINT_PROCESSOR = "future_complaint_processor"


class Suppression(TenantModel):
    """One suppressed address. `key` is the address as it is compared: canonical and in lower case."""

    email = models.CharField(max_length=320)
    key = models.CharField(max_length=320, editable=False)
    reason = models.CharField(max_length=30, choices=Reason.choices, default=Reason.MANUAL)
    source = models.CharField(max_length=40, choices=Source.choices, default=Source.USER)
    message_id = models.UUIDField(null=True, blank=True)
    bounce_id = models.UUIDField(null=True, blank=True)
    metadata = VerbatimJSON(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["workspace", "key"], name="one_suppression_per_address")
        ]
        indexes: ClassVar = [
            models.Index(fields=["workspace", "id"], name="suppression_by_workspace"),
            models.Index(fields=["workspace", "reason", "id"], name="suppression_by_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.reason})"
