"""What comes in, by which door, and what became of it."""

from django.db import models


class Door(models.TextChoices):
    """What somebody says that a mail is."""

    BOUNCES = "bounces", "Bounces"
    COMPLAINTS = "complaints", "Complaints"
    INBOUND = "inbound", "Mail"


class Status(models.TextChoices):
    """Of an inbound domain (wire contract 4)."""

    PENDING = "pending"
    VERIFIED = "verified"
    FAILED = "failed"
    DISABLED = "disabled"


class Matched(models.TextChoices):
    """Whether a report could be told to belong to mail of ours."""

    MATCHED = "matched"
    UNMATCHED = "unmatched"
    # It says what cannot be: a return path that we did not sign, a recipient that the message never had.
    FORGED = "forged"
    # An automatic answer, or no report at all.
    IGNORED = "ignored"


class MatchedBy(models.TextChoices):
    RETURN_PATH = "return_path", "Signed return path"
    MESSAGE_ID = "message_id", "Message-ID"
    HEADERS = "headers", "Returned headers"
