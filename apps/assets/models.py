"""Files that callers upload, the bytes behind them, and the ways in and out that need no API key."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from apps.core.fields import VerbatimJSON
from apps.workspaces.tenancy import TenantModel

MAX_NAME = 255
MAX_KEY = 512
OCTETS = "application/octet-stream"


class Visibility(models.TextChoices):
    PRIVATE = "private"
    PUBLIC = "public"


class AssetStatus(models.TextChoices):
    READY = "ready"
    DELETED = "deleted"


class Mode(models.TextChoices):
    SINGLE = "single"
    CHUNKED = "chunked"


class SessionStatus(models.TextChoices):
    OPEN = "open"
    COMPLETED = "completed"
    CANCELED = "canceled"


class Blob(TenantModel):
    """Bytes in the storage, once per workspace and content.

    The row comes before the file and goes after it, so the storage holds nothing that no row knows. A doomed blob is
    never used again: the same content gets a new row, and with it a name that nobody is deleting.
    """

    checksum_sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    # Kept until then also when nothing refers to it: an upload is under way, or mail may still ask for it.
    keep_until = models.DateTimeField()
    stored_at = models.DateTimeField(null=True)
    doomed_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["workspace", "checksum_sha256"], condition=Q(doomed_at__isnull=True), name="one_living_blob"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["keep_until"], name="blob_to_sweep")]

    def __str__(self) -> str:
        return self.checksum_sha256

    @property
    def name(self) -> str:
        """Where it lies in the storage."""
        return f"{self.workspace_id}/{self.checksum_sha256[:2]}/{self.checksum_sha256}-{self.pk.hex}"


class Described(TenantModel):
    """What a caller says about a file."""

    bucket = models.CharField(max_length=63)
    key = models.CharField(max_length=MAX_KEY)
    original_name = models.CharField(max_length=MAX_NAME)
    mime_type = models.CharField(max_length=127)
    visibility = models.CharField(max_length=7, choices=Visibility.choices, default=Visibility.PRIVATE)
    folder = models.CharField(max_length=MAX_KEY, blank=True)
    metadata = VerbatimJSON(default=dict)
    cache_control = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class Asset(Described):
    """One file of a workspace. A deleted one stays as a row for a while, without its bytes."""

    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, null=True, related_name="+")
    size = models.PositiveBigIntegerField()
    checksum_sha256 = models.CharField(max_length=64)
    status = models.CharField(max_length=7, choices=AssetStatus.choices, default=AssetStatus.READY)
    # Of `metadata.tags`, each between line breaks, so that both databases can search for one.
    tags = models.TextField(blank=True, editable=False)
    # Every change raises the revision; a change of the bytes raises the generation too.
    revision = models.PositiveIntegerField(default=1)
    generation = models.PositiveIntegerField(default=1)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status="deleted", deleted_at__isnull=False, blob__isnull=True)
                | Q(status="ready", deleted_at__isnull=True, blob__isnull=False),
                name="only_deleted_assets_have_no_bytes",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["workspace", "-id"], name="asset_list", condition=Q(deleted_at__isnull=True)),
            models.Index(fields=["workspace", "checksum_sha256"], name="asset_by_checksum"),
            models.Index(fields=["deleted_at"], name="asset_to_purge", condition=Q(deleted_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.original_name

    @property
    def replication_status(self) -> str:
        """The contract's word; whether there are copies is the storage's business."""
        return "none"


class UploadSession(Described):
    """A permission to upload one file without an API key. Its address holds a signed token, which is not stored."""

    mode = models.CharField(max_length=7, choices=Mode.choices, default=Mode.SINGLE)
    status = models.CharField(max_length=9, choices=SessionStatus.choices, default=SessionStatus.OPEN)
    # What the caller promised; null: nothing.
    file_size = models.PositiveBigIntegerField(null=True)
    checksum_sha256 = models.CharField(max_length=64, blank=True)
    max_bytes = models.PositiveBigIntegerField()
    # Of all parts that ever came, also of those whose place a later one took.
    taken_bytes = models.PositiveBigIntegerField(default=0)
    expires_at = models.DateTimeField()
    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, null=True, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status="completed", asset__isnull=False) | (~Q(status="completed") & Q(asset__isnull=True)),
                name="completed_sessions_have_an_asset",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["expires_at"], name="session_to_sweep", condition=~Q(status="completed"))
        ]

    def __str__(self) -> str:
        return f"{self.mode} upload of {self.original_name}"


class UploadPart(TenantModel):
    """One part of a chunked upload; the last one that came under a number counts."""

    session = models.ForeignKey(UploadSession, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.PositiveSmallIntegerField()
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+")
    size = models.PositiveBigIntegerField()
    checksum_sha256 = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["session", "number"], name="one_part_per_number")]

    def __str__(self) -> str:
        return f"part {self.number}"


class SignedLink(TenantModel):
    """An address under which one asset can be fetched without an API key, for a time and a number of times."""

    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField()
    max_downloads = models.PositiveIntegerField(null=True)
    downloads = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["expires_at"], name="link_to_sweep")]

    def __str__(self) -> str:
        return f"link to {self.asset_id}"


def tag_text(metadata: dict[str, Any]) -> str:
    """`metadata.tags` in the form of the column that is searched."""
    tags = metadata.get("tags")
    words = [tag.strip().lower() for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return "\n" + "\n".join(words) + "\n" if any(words) else ""
