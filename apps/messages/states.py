"""The life of a recipient, and the one rule by which a message's status follows from its recipients."""

from collections.abc import Collection

from django.db import models


class Status(models.TextChoices):
    """Of a recipient, and of a message (wire contract 4)."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    BOUNCED = "bounced"
    SUPPRESSED = "suppressed"


OPEN = frozenset({Status.QUEUED, Status.SENDING, Status.DEFERRED})
FINAL = frozenset(Status) - OPEN

# The first of these that any recipient has is the message's status. While something is still to be done, that is
# told; afterwards the worst end is, so that one lost recipient among fifty is not hidden behind the others.
_PRECEDENCE = (
    Status.SENDING,
    Status.DEFERRED,
    Status.QUEUED,
    Status.BOUNCED,
    Status.FAILED,
    Status.SENT,
    Status.SUPPRESSED,
)


def message_status(recipients: Collection[str]) -> Status:
    """The status of a message whose recipients have these."""
    return next(status for status in _PRECEDENCE if status in recipients)


class Kind(models.TextChoices):
    """Which header names a recipient; bcc is named in none."""

    TO = "to"
    CC = "cc"
    BCC = "bcc"


class Lane(models.IntegerChoices):
    """What goes first; inside a lane workspaces take turns."""

    OTP = 0
    TRANSACTIONAL = 1
    BULK = 2


# How an attempt's `tls` begins where there was none; the reason follows.
IN_CLEAR = "in clear"


class AttemptStatus(models.TextChoices):
    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    # A worker died after the point of no return: the server may have taken the message, or not.
    AMBIGUOUS = "ambiguous"


class BounceType(models.TextChoices):
    HARD = "hard"
    SOFT = "soft"
    UNKNOWN = "unknown"


class BounceSource(models.TextChoices):
    DSN = "dsn"
    SMTP_LOG = "smtp_log"
    MANUAL = "manual"
    INTERNAL = "internal"
