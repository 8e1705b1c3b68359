"""The life of mail that is due later."""

from django.db import models


class Status(models.TextChoices):
    """Wire contract 4. Dispatch is one transaction, so nobody ever sees `processing`; it belongs to the vocabulary."""

    SCHEDULED = "scheduled"
    PROCESSING = "processing"
    SENT = "sent"
    FAILED = "failed"
    CANCELED = "canceled"


class Kind(models.TextChoices):
    """What the payload is shaped like: a request to send, or one to send a template."""

    MESSAGE = "message"
    TEMPLATE = "template"
