"""Challenges: a code that was mailed to an address, and what became of it. The code itself is nowhere here."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.core.fields import VerbatimJSON
from apps.messages.models import Message
from apps.otp.states import OPEN, Status
from apps.workspaces.tenancy import TenantModel, workspace_field


class Challenge(TenantModel):
    """One code for one address and one purpose."""

    workspace = workspace_field(db_constraint=False)  # the message vouches for it
    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="+")
    email = models.CharField("to", max_length=320)
    # The address as it is compared, and the coarser form under which codes are counted (services/allowance.py).
    key = models.CharField(max_length=320, editable=False)
    counted_as = models.CharField(max_length=320, editable=False)
    purpose = models.CharField(max_length=64)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.PENDING)
    # HMAC under a pepper that is not in the database; empty from the end of the challenge on.
    code_hash = models.CharField(max_length=64, editable=False)
    code_length = models.PositiveSmallIntegerField()
    attempts = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField()
    metadata = VerbatimJSON(default=dict)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    verified_at = models.DateTimeField(null=True)
    canceled_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["workspace", "key", "purpose"], name="one_open_challenge", condition=Q(status__in=OPEN)
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["workspace", "id"], name="challenge_by_workspace"),
            models.Index(fields=["workspace", "key", "id"], name="challenge_by_address"),
            models.Index(fields=["workspace", "counted_as", "created_at"], name="challenge_counted"),
            # What the tick looks for; nothing of the past makes it slower.
            models.Index(fields=["id"], name="challenge_pending", condition=Q(status=Status.PENDING)),
            models.Index(fields=["expires_at"], name="challenge_open", condition=Q(status__in=OPEN)),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} for {self.email}"
