"""What mail asks of assets: which files it may attach, whether they are still there, and their bytes."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from apps.assets.errors import AssetGone, AttachmentNotFound, AttachmentNotReady, StorageUnavailable
from apps.assets.models import Asset, AssetStatus, Blob, SessionStatus, UploadSession
from apps.assets.services import blobs
from apps.core import clock
from apps.core.errors import Problem
from apps.core.ids import parse_id


@dataclass(frozen=True, slots=True)
class Reference:
    """What a mail names: an asset, or the upload session that made one; exactly one of them."""

    asset_id: str | None = None
    upload_id: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be attached. Whoever accepts the mail keeps the checksum, so that other bytes never go out."""

    asset_id: UUID
    size: int
    content_type: str
    checksum: str
    name: str


def find(workspace_id: UUID, references: Collection[Reference]) -> dict[Reference, Found | Problem]:
    """What each reference means in this workspace; at most two queries for any number of them."""
    asset_ids = {parse_id(reference.asset_id or "") for reference in references} - {None}
    upload_ids = {parse_id(reference.upload_id or "") for reference in references} - {None}
    by_asset: dict[UUID, Found | Problem] = {}
    by_upload: dict[UUID, Found | Problem] = {}
    if asset_ids:
        ready = Asset.objects.of(workspace_id).filter(pk__in=asset_ids, status=AssetStatus.READY)
        by_asset = {asset.pk: _found(asset) for asset in ready}
    if upload_ids:
        sessions = UploadSession.objects.of(workspace_id).filter(pk__in=upload_ids).select_related("asset")
        by_upload = {session.pk: _uploaded(session) for session in sessions}
    return {reference: _meaning(reference, by_asset, by_upload) for reference in references}


def present(asset_ids: Collection[UUID]) -> set[UUID]:
    """Those of the assets that are not deleted, whichever workspaces they belong to."""
    if not asset_ids:
        return set()
    ready = Asset.objects.across_workspaces().filter(pk__in=set(asset_ids), status=AssetStatus.READY)
    return set(ready.values_list("pk", flat=True))


def read(workspace_id: UUID, asset_id: UUID, checksum: str) -> bytes:
    """The bytes that had this checksum when the mail was accepted, also where the asset was replaced since.

    Raises AssetGone. No transaction should be open, because the storage may be slow.
    """
    if not Asset.objects.of(workspace_id).filter(pk=asset_id, status=AssetStatus.READY).exists():
        raise AssetGone(f"The attached asset {asset_id} was deleted.")
    blob = Blob.objects.of(workspace_id).filter(checksum_sha256=checksum, doomed_at=None).first()
    if blob is None:
        raise AssetGone(f"The asset {asset_id} was replaced, and the file that this mail was accepted with is gone.")
    try:
        content = blobs.read(blob)
    except FileNotFoundError:
        raise AssetGone(f"The file of asset {asset_id} is missing from the storage.") from None
    except StorageUnavailable:
        raise AssetGone(f"The storage did not answer when it was asked for asset {asset_id}.") from None
    if hashlib.sha256(content).hexdigest() != checksum:
        raise AssetGone(f"The file of asset {asset_id} is damaged: its checksum is another.")
    return content


def _meaning(
    reference: Reference, by_asset: dict[UUID, Found | Problem], by_upload: dict[UUID, Found | Problem]
) -> Found | Problem:
    if (reference.asset_id is None) == (reference.upload_id is None):
        return AttachmentNotFound("Name either assetId or uploadId.")
    known, given = (by_asset, reference.asset_id) if reference.upload_id is None else (by_upload, reference.upload_id)
    identifier = parse_id(given or "")
    return (known.get(identifier) if identifier else None) or AttachmentNotFound()


def _uploaded(session: UploadSession) -> Found | Problem:
    if session.asset is not None:
        return _found(session.asset) if session.asset.status == AssetStatus.READY else AttachmentNotFound()
    if session.status == SessionStatus.OPEN and session.expires_at > clock.now():
        return AttachmentNotReady()
    return AttachmentNotFound("This upload was canceled or has expired; upload the file again.")


def _found(asset: Asset) -> Found:
    return Found(asset.pk, asset.size, asset.mime_type, asset.checksum_sha256, asset.original_name)
