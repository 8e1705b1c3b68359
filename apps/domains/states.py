"""The life of a sender's domain, and of the keys that sign its mail."""

from django.db import models


class Status(models.TextChoices):
    """Of a domain (wire contract 4). A verified one may send."""

    PENDING = "pending"
    VERIFIED = "verified"
    FAILED = "failed"
    DISABLED = "disabled"


class KeyState(models.TextChoices):
    """Of a key: made and shown, signing, watched after its successor has taken over, no longer needed."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"


class Algorithm(models.TextChoices):
    """Every mail has an RSA signature; an Ed25519 one is a second, where the domain wants it (RFC 8463)."""

    RSA = "rsa", "RSA"
    ED25519 = "ed25519", "Ed25519"


# May be used to sign: an old key still does for what was accepted before its successor took over.
SIGNING = (KeyState.ACTIVE, KeyState.RETIRING)
