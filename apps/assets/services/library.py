"""The assets of a workspace: keep a new one, give one other bytes, delete one."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from apps.assets.errors import StaleRevision
from apps.assets.models import OCTETS, Asset, AssetStatus, Blob, Visibility, tag_text
from apps.assets.services import blobs
from apps.assets.services.receiving import Received
from apps.core import clock
from apps.core.errors import NotFound
from apps.core.ids import new_id
from apps.keys.idempotency import Use, once, take

BUCKET = "default"


@dataclass(frozen=True, slots=True)
class Description:
    """What a caller says about a file, checked."""

    original_name: str
    mime_type: str = OCTETS
    bucket: str = BUCKET
    key: str = ""
    folder: str = ""
    visibility: str = Visibility.PRIVATE
    metadata: dict[str, Any] = field(default_factory=dict)
    cache_control: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """An asset, and whether an earlier request with the same idempotency key had made it."""

    asset: Asset
    is_replay: bool = False


def upload(workspace_id: UUID, description: Description, received: Received, *, use: Use | None = None) -> Made:
    """Keeps a new file. Raises IdempotencyConflict, StorageUnavailable."""

    def keep() -> Made:
        return Made(blobs.store(workspace_id, received, refer))

    def refer(blob: Blob) -> Asset:
        asset = add(description, blob)
        take(use, asset.pk)
        return asset

    return once(use, keep, lambda earlier: Made(_any(workspace_id, earlier), is_replay=True), told_as="assetId")


def add(description: Description, blob: Blob) -> Asset:
    """The row of a new asset, in the transaction that keeps its blob."""
    asset = Asset(
        id=new_id(),
        workspace_id=blob.workspace_id,
        blob=blob,
        size=blob.size,
        checksum_sha256=blob.checksum_sha256,
        original_name=description.original_name,
        mime_type=description.mime_type,
        bucket=description.bucket,
        folder=description.folder,
        visibility=description.visibility,
        metadata=description.metadata,
        tags=tag_text(description.metadata),
        cache_control=description.cache_control,
    )
    asset.key = description.key or f"{asset.pk}/{description.original_name}"
    asset.save(force_insert=True)
    return asset


def replace(asset: Asset, received: Received, *, revision: int | None, changes: dict[str, Any]) -> Asset:
    """Gives an asset other bytes, and the texts that came with them, as columns.

    Mail that was accepted before still gets the earlier bytes. Raises StaleRevision, also where the asset has changed
    since it was read; NotFound, StorageUnavailable.
    """
    _check_revision(asset, revision)  # before anything is written
    if "metadata" in changes:
        changes = changes | {"tags": tag_text(changes["metadata"])}

    def refer(blob: Blob) -> None:
        as_read = Asset.objects.of(asset.workspace_id).filter(pk=asset.pk, revision=asset.revision, deleted_at=None)
        replaced = as_read.update(
            blob=blob,
            size=blob.size,
            checksum_sha256=blob.checksum_sha256,
            revision=asset.revision + 1,
            generation=asset.generation + 1,
            updated_at=clock.now(),
            **changes,
        )
        if not replaced:
            raise StaleRevision(_ready(asset.workspace_id, asset.pk).revision)

    # Before the transaction, which has the new blob's row: one that had two could wait for another in a circle.
    blobs.let_go(asset.blob_id, keep=blobs.KEEP_REPLACED)
    blobs.store(asset.workspace_id, received, refer)
    return _any(asset.workspace_id, asset.pk)


def delete(workspace_id: UUID, asset_id: UUID, *, revision: int | None = None, use: Use | None = None) -> None:
    """Deletes an asset at once; its bytes go later. Mail that needs it waits and says why.

    Raises NotFound, StaleRevision, IdempotencyConflict.
    """

    def remove() -> None:
        asset = _ready(workspace_id, asset_id)
        _check_revision(asset, revision)
        blobs.let_go(asset.blob_id)
        with transaction.atomic():
            if not _mark_deleted(workspace_id, asset_id, revision):
                raise StaleRevision(_ready(workspace_id, asset_id).revision)
            take(use, asset_id)

    once(use, remove, lambda _earlier: None, told_as="assetId")


def _mark_deleted(workspace_id: UUID, asset_id: UUID, revision: int | None) -> bool:
    ready = Asset.objects.of(workspace_id).filter(pk=asset_id, deleted_at=None)
    if revision is not None:
        ready = ready.filter(revision=revision)
    now, raised = clock.now(), F("revision") + 1
    changed = ready.update(status=AssetStatus.DELETED, deleted_at=now, updated_at=now, blob=None, revision=raised)
    return changed == 1


def _ready(workspace_id: UUID, asset_id: UUID) -> Asset:
    asset: Asset | None = Asset.objects.of(workspace_id).filter(pk=asset_id, deleted_at=None).first()
    if asset is None:
        raise NotFound
    return asset


def _check_revision(asset: Asset, revision: int | None) -> None:
    if revision is not None and revision != asset.revision:
        raise StaleRevision(asset.revision)


def _any(workspace_id: UUID, asset_id: UUID) -> Asset:
    """Also one that was deleted since. Raises NotFound where nothing is left of it."""
    asset: Asset | None = Asset.objects.of(workspace_id).filter(pk=asset_id).first()
    if asset is None:
        raise NotFound
    return asset
