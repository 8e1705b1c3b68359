"""Every event type, each with one line of meaning (wire contract 3.1, and what we add)."""

from django.db import models


class EventType(models.TextChoices):
    MESSAGE_QUEUED = "mail.message.queued", "Accepted and waiting for delivery"
    MESSAGE_SENDING = "mail.message.sending", "Handed to the delivery engine"
    MESSAGE_SENT = "mail.message.sent", "Taken by the receiving server"
    MESSAGE_DEFERRED = "mail.message.deferred", "Waiting for another try"
    MESSAGE_FAILED = "mail.message.failed", "Given up"
    MESSAGE_BOUNCED = "mail.message.bounced", "Refused because of the recipient"
    MESSAGE_SUPPRESSED = "mail.message.suppressed", "Not sent: the recipient is suppressed"
    MESSAGE_COMPLAINED = "mail.message.complained", "The recipient called it spam"
    # Ours: a worker died between handing over the content and recording the answer.
    DELIVERY_AMBIGUOUS = "mail.delivery.ambiguous", "Perhaps delivered: a worker died before it knew"
    SUPPRESSION_CREATED = "mail.suppression.created", "An address was suppressed"
    SUPPRESSION_DELETED = "mail.suppression.deleted", "A suppression was lifted"
    DOMAIN_CREATED = "mail.domain.created", "A sender domain was added"
    DOMAIN_VERIFIED = "mail.domain.verified", "All required records are in place"
    DOMAIN_FAILED = "mail.domain.failed", "A required record is wrong"
    DOMAIN_DELETED = "mail.domain.deleted", "A sender domain was removed"


class ResourceType(models.TextChoices):
    MESSAGE = "message"
    SUPPRESSION = "suppression"
    DOMAIN = "domain"
