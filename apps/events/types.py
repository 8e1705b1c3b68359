"""Every event type, each with one line of meaning (wire contract 3.1, and what we add).

The list is the whole vocabulary, so that a filter or a subscription may name what is not emitted yet.
"""

from django.db import models


class EventType(models.TextChoices):
    MESSAGE_QUEUED = "mail.message.queued", "Accepted and waiting for delivery"
    MESSAGE_SENDING = "mail.message.sending", "Being handed to the receiving server"
    MESSAGE_SENT = "mail.message.sent", "Taken by the receiving server"
    MESSAGE_DEFERRED = "mail.message.deferred", "Waiting for another try"
    MESSAGE_FAILED = "mail.message.failed", "Given up"
    MESSAGE_BOUNCED = "mail.message.bounced", "Refused because of the recipient"
    MESSAGE_SUPPRESSED = "mail.message.suppressed", "Not sent: the recipient is suppressed"
    MESSAGE_COMPLAINED = "mail.message.complained", "The recipient called it spam"
    MESSAGE_MTA_ACCEPTED = "mail.message.mta_accepted", "Taken by the outgoing server"
    DELIVERY_DELIVERED = "mail.delivery.delivered", "Reported as delivered"
    DELIVERY_DELAYED = "mail.delivery.delayed", "Reported as delayed"
    # Ours: the connection or a worker died between handing over the content and recording the answer.
    DELIVERY_AMBIGUOUS = "mail.delivery.ambiguous", "Perhaps delivered: the answer never came"
    SUPPRESSION_CREATED = "mail.suppression.created", "An address was suppressed"
    SUPPRESSION_DELETED = "mail.suppression.deleted", "A suppression was lifted"
    DOMAIN_CREATED = "mail.domain.created", "A sender domain was added"
    DOMAIN_VERIFIED = "mail.domain.verified", "All required records are in place"
    DOMAIN_FAILED = "mail.domain.failed", "A required record is wrong"
    # Ours: a verified domain still sends while its records are wrong, until the time that the event tells.
    DOMAIN_FAILING = "mail.domain.failing", "A required record is wrong; sending stops if that lasts"
    DOMAIN_RECOVERED = "mail.domain.recovered", "All required records are in place again"
    DOMAIN_KEY_CREATED = "mail.domain.key_created", "A key waits for its record to be published"
    DOMAIN_KEY_ACTIVATED = "mail.domain.key_activated", "Mail is signed with another key from now on"
    DOMAIN_KEY_SUSPENDED = "mail.domain.key_suspended", "A second signature is left out until its record is seen again"
    DOMAIN_KEY_RETIRED = "mail.domain.key_retired", "An old key's record may be removed"
    DOMAIN_DELETED = "mail.domain.deleted", "A sender domain was removed"
    TEMPLATE_CREATED = "mail.template.created", "A template was made"
    TEMPLATE_UPDATED = "mail.template.updated", "A template was changed"
    TEMPLATE_DELETED = "mail.template.deleted", "A template was removed"
    TEMPLATE_VERSION_CREATED = "mail.template.version.created", "A template got a new version"
    TEMPLATE_TEST_SENT = "mail.template.test_sent", "A test of a template was sent"
    OTP_CREATED = "mail.otp.created", "A challenge was made"
    OTP_SENT = "mail.otp.sent", "The code's mail was taken by the receiving server"
    OTP_VERIFIED = "mail.otp.verified", "The right code was given"
    OTP_FAILED_ATTEMPT = "mail.otp.failed_attempt", "A wrong code was given"
    OTP_FAILED = "mail.otp.failed", "All tries are used up"
    OTP_EXPIRED = "mail.otp.expired", "The code's time is over"
    OTP_CANCELED = "mail.otp.canceled", "The challenge was called off"
    WEBHOOK_CREATED = "mail.webhook.created", "An endpoint was added"
    WEBHOOK_UPDATED = "mail.webhook.updated", "An endpoint was changed"
    WEBHOOK_DISABLED = "mail.webhook.disabled", "An endpoint gets nothing more"
    WEBHOOK_DELIVERY_SUCCEEDED = "mail.webhook.delivery.succeeded", "An endpoint took an event"
    WEBHOOK_DELIVERY_FAILED = "mail.webhook.delivery.failed", "An endpoint did not take an event"
    # Ours.
    SCHEDULED_CREATED = "mail.scheduled.created", "Mail was scheduled for later"
    SCHEDULED_DISPATCHED = "mail.scheduled.dispatched", "Scheduled mail became a message at its time"
    SCHEDULED_FAILED = "mail.scheduled.failed", "Scheduled mail was refused at its time and is not sent"
    SCHEDULED_UPDATED = "mail.scheduled.updated", "Scheduled mail got another time"
    SCHEDULED_CANCELED = "mail.scheduled.canceled", "Scheduled mail was called off"


class ResourceType(models.TextChoices):
    MESSAGE = "message"
    SUPPRESSION = "suppression"
    DOMAIN = "domain"
    OTP = "otp"
    TEMPLATE = "template"
    WEBHOOK = "webhook"
    WEBHOOK_DELIVERY = "webhook_delivery"
    SCHEDULED = "scheduled"
    BATCH = "batch"
    INBOUND_MESSAGE = "inbound_message"
