"""Sender domains, the DNS records they must publish, and the keys that sign their mail."""

from typing import ClassVar

from django.db import models

from apps.protocols.sender_records import CheckStatus, Purpose, RecordType
from apps.workspaces.tenancy import TenantModel


class Status(models.TextChoices):
    PENDING = "pending"
    VERIFIED = "verified"
    FAILED = "failed"
    DISABLED = "disabled"


class Domain(TenantModel):
    """A domain that a workspace wants to send from; `name` is its canonical A-label form."""

    name = models.CharField(max_length=253)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    # Set at the first verification and kept: from then on the domain is this workspace's until it is deleted.
    verified_at = models.DateTimeField(null=True, editable=False)
    last_checked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["workspace", "name"], name="domain_once_per_workspace"),
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(verified_at__isnull=False), name="one_verified_owner"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DomainRecord(TenantModel):
    """One record to publish, and what was found at the last look."""

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="+")
    position = models.PositiveSmallIntegerField()
    purpose = models.CharField(max_length=12, choices=[(purpose.value, purpose.value) for purpose in Purpose])
    type = models.CharField(max_length=5, choices=[(kind.value, kind.value) for kind in RecordType])
    name = models.CharField(max_length=253)
    value = models.TextField()
    required = models.BooleanField()
    status = models.CharField(
        max_length=8,
        choices=[(status.value, status.value) for status in CheckStatus],
        default=CheckStatus.PENDING,
    )
    explanation = models.TextField(blank=True)
    found = models.JSONField(default=list)

    class Meta:
        ordering: ClassVar = ["domain", "position"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["domain", "purpose"], name="one_record_per_purpose")]

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


class DkimKey(TenantModel):
    """A signing key. The private half is sealed and bound to this row."""

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="+")
    selector = models.CharField(max_length=63)
    private_sealed = models.TextField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "DKIM key"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["domain", "selector"], name="selector_once_per_domain")
        ]

    def __str__(self) -> str:
        return self.selector
