"""API keys and the keys under which a caller's request is done only once."""

from typing import ClassVar

from django.db import models

from apps.workspaces.tenancy import TenantModel


class ApiKey(TenantModel):
    """A caller's credential: found by its prefix, compared by its hash, never stored itself."""

    name = models.CharField(max_length=200)
    prefix = models.CharField(max_length=32, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=list)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"


class IdempotencyKey(TenantModel):
    """One use of a caller's idempotency key; the unique constraint decides which of two requests came first."""

    family = models.CharField(max_length=20)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    resource_id = models.UUIDField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["workspace", "family", "key"], name="idempotency_key_used_once")
        ]

    def __str__(self) -> str:
        return f"{self.family}: {self.key}"
