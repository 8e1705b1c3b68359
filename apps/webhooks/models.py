"""Who is told of events, what each was told, and how it went. An endpoint with a due time is the sender's work."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.core.ids import new_id
from apps.events.models import Event
from apps.events.types import EventType
from apps.webhooks.states import DeliveryStatus, DisabledBy, Status
from apps.workspaces.tenancy import TenantModel, workspace_field

MAX_DESCRIPTION, MAX_SNIPPET = 500, 1_024


class Endpoint(TenantModel):
    """An address that a customer wants to be told at, with the pace that it bears.

    Whoever changes the deliveries of an endpoint, or its due time, has locked its row first.
    """

    url = models.TextField()
    description = models.TextField(blank=True)
    event_types = models.JSONField(default=list)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    secret_sealed = models.TextField()
    # Tries that failed since the last one that succeeded, and since when; deliveries that were given up likewise.
    failure_count = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    failed_in_a_row = models.PositiveIntegerField(default=0)
    # Bad rounds in a row: how careful the sender is (schedule.PAUSES).
    strikes = models.PositiveIntegerField(default=0)
    last_success_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    disabled_at = models.DateTimeField(null=True)
    disabled_by = models.CharField(max_length=10, choices=DisabledBy.choices, blank=True)
    # Nothing is sent before; then one request shows whether it has recovered.
    paused_until = models.DateTimeField(null=True)
    # When the next delivery is due, the pause included; null while nothing waits, or may go out.
    due_at = models.DateTimeField(null=True)
    # The sender that has it, so that no other sends to it at the same time.
    lease_id = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name = "webhook endpoint"
        indexes: ClassVar = [
            models.Index(fields=["workspace", "id"], name="endpoint_by_workspace"),
            models.Index(fields=["due_at"], name="endpoint_due", condition=Q(due_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.url}"

    @property
    def is_active(self) -> bool:
        return self.status == Status.ACTIVE


class Delivery(TenantModel):
    """One event for one endpoint."""

    workspace = workspace_field(db_constraint=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="+", db_index=False)
    # Made in the transaction that found the event there.
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    event_type = models.CharField(max_length=60, choices=EventType.choices)
    status = models.CharField(max_length=10, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING)
    # All attempts there ever were, and those that the present schedule has counted.
    attempt_count = models.PositiveIntegerField(default=0)
    tries = models.PositiveIntegerField(default=0)
    first_tried_at = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField(null=True)
    last_status_code = models.PositiveSmallIntegerField(null=True)
    last_error = models.TextField(blank=True)
    delivered_at = models.DateTimeField(null=True)
    # Kept once a try has failed, so that the next ones send the same bytes whatever version of us writes them.
    body = models.BinaryField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = "webhook delivery"
        verbose_name_plural = "webhook deliveries"
        constraints: ClassVar = [models.UniqueConstraint(fields=["event", "endpoint"], name="delivery_once")]
        indexes: ClassVar = [
            models.Index(fields=["endpoint", "id"], name="delivery_by_endpoint"),
            # Of the many that succeeded nobody asks by status.
            models.Index(
                fields=["endpoint", "id"],
                name="delivery_not_succeeded",
                condition=~Q(status=DeliveryStatus.SUCCEEDED.value),
            ),
            models.Index(
                fields=["endpoint", "next_attempt_at"],
                name="delivery_open",
                condition=Q(next_attempt_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id}"


class DeliveryAttempt(TenantModel):
    """One request, and what came of it."""

    workspace = workspace_field(db_constraint=False)
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.PositiveIntegerField()
    status_code = models.PositiveSmallIntegerField(null=True)
    # Blank where it succeeded.
    error_code = models.CharField(max_length=40, blank=True)
    error = models.TextField(blank=True)
    duration_ms = models.PositiveIntegerField()
    response_snippet = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = "webhook attempt"
        constraints: ClassVar = [models.UniqueConstraint(fields=["delivery", "number"], name="delivery_attempt_number")]

    def __str__(self) -> str:
        return f"{self.delivery_id} {self.number}"


class Replay(TenantModel):
    """Events that were sent to an endpoint once more, because somebody asked for it."""

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="+")
    event_count = models.PositiveIntegerField()
    # The range that was asked for; null where the events were named.
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = "webhook replay"

    def __str__(self) -> str:
        return f"{self.id}"


class Shift(models.Model):
    """A sign of life of a job that sends webhooks. One without a recent beat is gone."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    in_flight = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = "webhook sender"

    def __str__(self) -> str:
        return f"{self.host} {self.pid}"
