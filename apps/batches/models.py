"""Batches: requests that brought many messages at once, with what became of each of them.

A batch keeps no counters and no status of its own. Both are read off its items and their messages
(services/reading.py), so they cannot say anything else than these do.
"""

from typing import ClassVar

from django.db import models

from apps.messages.models import Message
from apps.workspaces.tenancy import TenantModel, workspace_field


class BatchType(models.TextChoices):
    """What its items are: whole messages, or recipients of one template."""

    MESSAGE = "message"
    TEMPLATE = "template"


class Batch(TenantModel):
    """One request; `from` is what it gave for all its items, if it gave one."""

    type = models.CharField(max_length=8, choices=BatchType.choices)
    # Plain ids, as in messages: a template may go while batches that used it remain.
    template_id = models.UUIDField(null=True)
    template_version_id = models.UUIDField(null=True)
    from_email = models.CharField(max_length=320, blank=True)
    from_name = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "batches"
        indexes: ClassVar = [models.Index(fields=["workspace", "id"], name="batch_by_workspace")]

    def __str__(self) -> str:
        return f"{self.id}"


class BatchItem(TenantModel):
    """One item of a batch: its message, or why there is none.

    It names an address, so it goes when its message goes. Ids ascend with the index.
    """

    workspace = workspace_field(db_constraint=False)
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="items", db_index=False)
    index = models.PositiveSmallIntegerField()
    # Another batch's or request's, where the item's idempotency key had been used before.
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+", null=True, db_index=False)
    to = models.JSONField(default=list, help_text="Addresses; of a refused item as they were given.")
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    error_details = models.JSONField(default=dict)
    idempotency_key = models.CharField(max_length=255, blank=True)
    idempotency_status = models.CharField(max_length=8)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["batch", "index"], name="batch_item_has_its_place")]
        indexes: ClassVar = [models.Index(fields=["message"], name="batch_item_by_message")]

    def __str__(self) -> str:
        return f"item {self.index}"
