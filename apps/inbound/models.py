"""Reports about mail that we sent: what came, what was read in it, and what it belonged to."""

from typing import ClassVar

from django.db import models

from apps.core.ids import new_id
from apps.inbound.states import Door, Matched, MatchedBy


class Report(models.Model):
    """A bounce, a complaint, or what somebody took for one. It belongs to a workspace only once it is matched.

    So it holds plain ids, and nothing of it is shown to any workspace but by the events and bounces that it led to.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    door = models.CharField(max_length=10, choices=Door.choices)
    # A word of apps.protocols.reports.types.Kind; without choices, so that a new word needs no migration.
    kind = models.CharField(max_length=12)
    status = models.CharField(max_length=9, choices=Matched.choices)
    matched_by = models.CharField(max_length=11, choices=MatchedBy.choices, blank=True)
    # In words: why it matched nothing, or what followed.
    explanation = models.TextField(blank=True)
    workspace_id = models.UUIDField(null=True)
    message_id = models.UUIDField(null=True)
    envelope_sender = models.CharField(max_length=320, blank=True)
    envelope_recipients = models.JSONField(default=list)
    reading = models.JSONField(default=dict, help_text="What was read in it.")
    size = models.PositiveIntegerField()
    # The beginning of the mail, sealed: what comes back may hold what we sent, one-time codes among it.
    raw_sealed = models.TextField(blank=True, editable=False)
    # SHA-256 of door, envelope and content: the same report counts once.
    fingerprint = models.CharField(max_length=64, unique=True, editable=False)
    received_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["status", "id"], name="report_by_status"),
            models.Index(fields=["message_id"], name="report_by_message"),
            models.Index(fields=["received_at"], name="report_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.received_at:%Y-%m-%d %H:%M}"
