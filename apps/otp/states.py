"""The life of a challenge (wire contract 4): open until the right code, the last try, the end of its time or a call."""

from django.db import models


class Status(models.TextChoices):
    PENDING = "pending"
    SENT = "sent"
    VERIFIED = "verified"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELED = "canceled"


# In this order in every query and index, so that the database sees that they speak of the same rows.
OPEN = (Status.PENDING.value, Status.SENT.value)
