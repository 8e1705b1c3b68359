"""What the delivery engine itself keeps: destinations in trouble, living workers, and captured mail."""

from typing import ClassVar

from django.db import models

from apps.core.ids import new_id
from apps.workspaces.tenancy import TenantModel


class Destination(models.Model):
    """A group of receiving servers with recent connection failures; the pause holds all mail to it."""

    key = models.CharField(max_length=255, primary_key=True)
    failures = models.PositiveIntegerField(default=0)
    paused_until = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


class Drain(models.Model):
    """A running delivery job; its beat and its last look for work are what the watchdog looks at."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    host = models.CharField(max_length=253)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField(db_index=True)
    looked_at = models.DateTimeField(null=True)
    in_flight = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.host}, process {self.pid}"


class CapturedMessage(TenantModel):
    """A message that the capture transport kept instead of sending it, byte for byte."""

    message_id = models.UUIDField()
    inbox = models.CharField("recipient", max_length=320)
    sender = models.CharField("envelope sender", max_length=320)
    # What lists show of the source, which they never read. Empty where it was captured before these were kept.
    author = models.CharField("from", max_length=600, blank=True, db_default="")
    subject = models.TextField(blank=True)
    size = models.PositiveIntegerField(db_default=0)
    has_attachments = models.BooleanField(db_default=False)
    source = models.BinaryField()
    received_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["inbox", "id"], name="captured_by_inbox_newest"),
            models.Index(fields=["workspace", "id"], name="captured_by_workspace"),
        ]

    def __str__(self) -> str:
        return f"{self.inbox}: {self.subject[:60]}"
