"""What mail asks of assets: which files it may attach, whether they are still there, and their bytes."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from apps.assets.errors import AssetGone, AttachmentNotFound, AttachmentNotReady, StorageUnavailable
from apps.assets.models import Asset, AssetStatus, Blob, SessionStatus, UploadSession
from apps.assets.services import blobs
from apps.core import clock
from apps.core.errors import Problem
from apps.core.ids import parse_id

# A workspace, its asset, and the checksum that the asset had when mail was accepted.
Held = tuple[UUID, UUID, str]


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


def locate(held: Collection[Held]) -> dict[Held, Blob]:
    """Where the bytes are that mail was accepted with, for any number of workspaces; two queries for all.

    What was deleted is not among them, unless the same file was uploaded again. The bytes of what was replaced are
    kept longer than any mail is on its way.
    """
    if not held:
        return {}
    workspaces, ids, checksums = (set(column) for column in zip(*held, strict=True))
    blobs_found = Blob.objects.across_workspaces().filter(
        workspace_id__in=workspaces, checksum_sha256__in=checksums, doomed_at=None
    )
    bytes_of = {(blob.workspace_id, blob.checksum_sha256): blob for blob in blobs_found}
    ready = Asset.objects.across_workspaces().filter(workspace_id__in=workspaces, status=AssetStatus.READY)
    named = ready.filter(Q(pk__in=ids) | Q(checksum_sha256__in=checksums))
    present: set[UUID | tuple[UUID, str]] = set()
    for asset_id, workspace_id, checksum in named.values_list("pk", "workspace_id", "checksum_sha256"):
        present |= {asset_id, (workspace_id, checksum)}
    return {
        (workspace_id, asset_id, checksum): bytes_of[workspace_id, checksum]
        for workspace_id, asset_id, checksum in held
        if (workspace_id, checksum) in bytes_of and ({asset_id, (workspace_id, checksum)} & present)
    }


def read(blob: Blob) -> bytes:
    """The bytes of an attachment; asks no database, so that it may run in any thread. Raises AssetGone."""
    try:
        content = blobs.read(blob)
    except FileNotFoundError:
        raise AssetGone("The file of an attachment is missing from the storage.") from None
    except StorageUnavailable:
        raise AssetGone("The storage did not answer when it was asked for an attachment.") from None
    if hashlib.sha256(content).hexdigest() != blob.checksum_sha256:
        raise AssetGone("The file of an attachment is damaged: its checksum is another.")
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
    return Found(asset.pk, asset.size, asset.mime_type, asset.checksum_sha256)
