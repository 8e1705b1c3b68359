"""The states of endpoints and of deliveries (wire contract 4)."""

from django.db import models


class Status(models.TextChoices):
    """A deleted endpoint is not shown any more; what belongs to it is taken away in the background."""

    ACTIVE = "active"
    DISABLED = "disabled"
    DELETED = "deleted"


STATUSES = (Status.ACTIVE.value, Status.DISABLED.value)


class DeliveryStatus(models.TextChoices):
    PENDING = "pending"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class DisabledBy(models.TextChoices):
    """What ended an endpoint, for whoever wants to know whether it should be tried again."""

    REQUEST = "request", "Somebody disabled it"
    GONE = "gone", "Its server answered 410 Gone"
    FAILURES = "failures", "It failed for too long"
