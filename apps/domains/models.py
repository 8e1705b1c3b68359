"""Sender domains, the DNS records they must publish, and the keys that sign their mail."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.domains.schedule import GRACE
from apps.domains.states import Algorithm, KeyState, Status
from apps.protocols.sender_records import CheckStatus, Purpose, RecordType
from apps.workspaces.tenancy import TenantModel


class Domain(TenantModel):
    """A domain that a workspace wants to send from; `name` is its canonical A-label form."""

    name = models.CharField(max_length=253)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    # Verified by the operator's word alone, and never looked up: for names that no public DNS knows.
    is_trusted = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    # Set at the first verification and kept: from then on the domain is this workspace's until it is deleted.
    verified_at = models.DateTimeField(null=True, editable=False)
    last_checked_at = models.DateTimeField(null=True, editable=False)
    # When it is looked at by itself again, and where in the schedule it is: looks since something began to change.
    next_check_at = models.DateTimeField(null=True, editable=False)
    watched_since = models.DateTimeField(null=True, editable=False)
    looks = models.PositiveSmallIntegerField(default=0, editable=False)
    # Of a verified one: the first look in a row that found a required record wrong, and the one that confirmed it.
    failed_at = models.DateTimeField(null=True, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    # How often it was asked to be looked up in the present minute.
    asked_since = models.DateTimeField(null=True, editable=False)
    asked = models.PositiveSmallIntegerField(default=0, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["workspace", "name"], name="domain_once_per_workspace"),
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(verified_at__isnull=False), name="one_verified_owner"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["next_check_at"], name="domain_to_check", condition=Q(next_check_at__isnull=False))
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def sending_stops_at(self) -> datetime | None:
        """When a verified domain whose records are wrong loses that status."""
        return self.failing_since + GRACE if self.failing_since else None


class DkimKey(TenantModel):
    """A signing key. The private half is sealed and bound to this row, and gone once nothing can need it."""

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="+")
    selector = models.CharField(max_length=63)
    algorithm = models.CharField(max_length=7, choices=Algorithm.choices, default=Algorithm.RSA)
    state = models.CharField(max_length=8, choices=KeyState.choices, default=KeyState.ACTIVE)
    private_sealed = models.TextField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    # Mail accepted from then on is signed with it.
    activated_at = models.DateTimeField(null=True)
    # Until then its record has to stay: mail that it signed is still on its way.
    retires_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "DKIM key"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["domain", "selector"], name="selector_once_per_domain"),
            models.UniqueConstraint(
                fields=["domain", "algorithm"], condition=Q(state=KeyState.ACTIVE), name="one_active_key"
            ),
            models.UniqueConstraint(
                fields=["domain", "algorithm"], condition=Q(state=KeyState.NEXT), name="one_next_key"
            ),
        ]

    def __str__(self) -> str:
        return self.selector


class DomainRecord(TenantModel):
    """One record to publish, and what was found at the last look."""

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="+")
    # The key that a DKIM record publishes.
    key = models.OneToOneField(DkimKey, on_delete=models.CASCADE, null=True, related_name="+")
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
    # A word of apps.protocols.doctor.Diagnosis; without choices, so that a new word needs no migration.
    diagnosis = models.CharField(max_length=24, blank=True)
    explanation = models.TextField(blank=True)
    found = models.JSONField(default=list)
    # Until then a resolver that asked before may go on giving what was found last and was not right.
    held_until = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["domain", "position"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["domain", "purpose"], condition=Q(key__isnull=True), name="one_record_per_purpose"
            )
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


class ReturnPathLabel(models.Model):
    """A name below MAIL_RETURN_PATH_HOST that one workspace's one domain points at.

    It outlives the domain and the workspace: an alias that a customer left behind must never come to lead to somebody
    else. So it holds plain ids.
    """

    label = models.CharField(max_length=40, primary_key=True)
    workspace_id = models.UUIDField()
    domain = models.CharField(max_length=253)
    created_at = models.DateTimeField(auto_now_add=True)
    released_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "return-path label"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["workspace_id", "domain"], name="one_label_per_workspace_and_domain")
        ]

    def __str__(self) -> str:
        return self.label
