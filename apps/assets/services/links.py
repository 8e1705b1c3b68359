"""Addresses under which an asset is fetched without an API key: signed and counted, or public."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q, QuerySet

from apps.assets import tokens
from apps.assets.errors import LinkExpired
from apps.assets.models import Asset, SignedLink, Visibility
from apps.assets.services import blobs
from apps.core import clock
from apps.core.errors import NotFound
from apps.core.ids import parse_id

SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Link:
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Download:
    """An asset whose file is there. `open` counts the download and gives the file, for a caller that closes it."""

    asset: Asset
    open: Callable[[], IO[bytes]]


def sign(asset: Asset, *, expires_in: timedelta, max_downloads: int | None) -> Link:
    """A new link; whoever has it can fetch the asset."""
    row = SignedLink(
        workspace_id=asset.workspace_id,
        asset=asset,
        expires_at=clock.now() + expires_in,
        max_downloads=max_downloads,
    )
    row.save(force_insert=True)
    return Link(_url(tokens.write("asset download", row.pk)), row.expires_at)


def public_url(asset: Asset) -> str | None:
    """The address of a public asset; a private one has none without a signature."""
    return _url(str(asset.pk)) if asset.visibility == Visibility.PUBLIC and asset.deleted_at is None else None


def find(text: str) -> Download:
    """What the last part of such an address stands for. Raises NotFound, LinkExpired."""
    if (asset_id := parse_id(text)) is not None:
        asset = Asset.objects.across_workspaces().filter(pk=asset_id, visibility=Visibility.PUBLIC)
        return _download(asset.select_related("blob").filter(deleted_at=None).first(), lambda: None)
    link_id = tokens.read("asset download", text)
    link = SignedLink.objects.across_workspaces().filter(pk=link_id).select_related("asset__blob").first()
    if link is None or link.asset.deleted_at is not None:
        raise NotFound("There is nothing at this address.")
    if not _usable(link.pk).exists():
        raise LinkExpired
    return _download(link.asset, lambda: _count(link.pk))


def _download(asset: Asset | None, count: Callable[[], None]) -> Download:
    if asset is None or asset.blob is None:
        raise NotFound("There is nothing at this address.")
    blob = asset.blob

    def open_counted() -> IO[bytes]:
        # Opened first, so that a storage that does not answer uses up no download.
        try:
            file = blobs.open_file(blob)
        except FileNotFoundError:
            raise NotFound("The file of this asset is missing; upload it again.") from None
        try:
            count()
        except BaseException:
            file.close()
            raise
        return file

    return Download(asset, open_counted)


def _count(link_id: UUID) -> None:
    """One conditional UPDATE, so that N downloads at once are never N + 1. Raises LinkExpired."""
    if not _usable(link_id).update(downloads=F("downloads") + 1):
        raise LinkExpired


def _usable(link_id: UUID) -> QuerySet[SignedLink]:
    unused = Q(max_downloads=None) | Q(downloads__lt=F("max_downloads"))
    return SignedLink.objects.across_workspaces().filter(unused, pk=link_id, expires_at__gt=clock.now())


def _url(last: str) -> str:
    return f"{settings.PUBLIC_URL}/downloads/{last}"
