"""Mail that is due later, as its caller asked for it. One that still has a due time is the dispatcher's work."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.core.fields import VerbatimJSON
from apps.scheduled.states import Kind, Status
from apps.scheduled.waits import WaitCode
from apps.workspaces.tenancy import TenantModel


class Scheduled(TenantModel):
    """A request to send that was checked when it was made, and is carried out at its time."""

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.SCHEDULED)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    send_at = models.DateTimeField()
    # When it is looked at next: at its time, or later while something stands in the way. Null once it has ended.
    due_at = models.DateTimeField(null=True)
    # What the caller sent, with each upload named by the asset that it made.
    payload = VerbatimJSON()
    # Of each attached asset, by its id: the bytes that it had (`size`, `checksum`), which are the ones that go out.
    files = models.JSONField(default=dict)
    # Whose address it is sent from, so that what its domain and its name say is known without reading the payload.
    sender = models.TextField()
    # The version that was active, so that later changes to the template, and its deletion, do not reach this mail.
    template_version_id = models.UUIDField(null=True)
    # What lists show: its subject and recipients, one a line, as they were when it was made.
    subject = models.TextField()
    recipients = models.TextField()
    size = models.PositiveIntegerField(help_text="Bytes of text, HTML and attachments, as of its making.")
    idempotency_key = models.CharField(max_length=255, blank=True)
    # Plain id: messages know of no table above them. Unique, so that no second message can come of one row.
    message_id = models.UUIDField(null=True, unique=True)
    wait_code = models.CharField(max_length=20, choices=WaitCode.choices, blank=True)
    wait_detail = models.TextField(blank=True)
    waiting_since = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=60, blank=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    canceled_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = "scheduled mail"
        indexes: ClassVar = [
            models.Index(fields=["workspace", "id"], name="scheduled_by_workspace"),
            models.Index(fields=["workspace", "status", "id"], name="scheduled_by_status"),
            # What is due, of anybody and of one workspace: looking for it costs the same whatever lies behind us, and
            # however much is scheduled for later.
            models.Index(fields=["due_at", "workspace"], name="scheduled_any_due", condition=Q(due_at__isnull=False)),
            models.Index(
                fields=["workspace", "due_at"],
                name="scheduled_due",
                condition=Q(due_at__isnull=False),
                include=["size"],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id}"

    @property
    def addresses(self) -> list[str]:
        return str(self.recipients).strip("\n").split("\n")
