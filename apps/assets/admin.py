"""Assets in the console: what there is, a download that cannot do anything here, and deleting."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.assets import naming
from apps.assets.models import Asset, AssetStatus, Blob, SignedLink, UploadPart, UploadSession
from apps.assets.services import blobs, library
from apps.core import inert
from apps.core.admin import ReadOnlyAdmin, as_json, page_link
from apps.core.ids import parse_id
from apps.core.looks import note_look
from apps.core.window import WhenFilter
from apps.workspaces.admin import WorkspaceFilter


@admin.register(Asset)
class AssetAdmin(ReadOnlyAdmin):
    list_display = ("original_name", "workspace", "size", "mime_type", "status", "created_at")
    list_filter = (WhenFilter, "status", "visibility", WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("original_name", "id__exact", "checksum_sha256__exact")
    fields = (
        *("id", "workspace", "original_name", "mime_type", "size", "checksum_sha256", "status", "visibility"),
        *("bucket", "key", "folder", "metadata_shown", "revision", "generation"),
        *("created_at", "updated_at", "deleted_at", "download"),
    )
    readonly_fields = fields
    actions = ("delete_assets",)

    def get_urls(self) -> list[Any]:
        own = path("<str:asset_id>/file/", self.admin_site.admin_view(self.file_view), name="assets_asset_file")
        return [own, *super().get_urls()]

    @admin.display(description="metadata")
    def metadata_shown(self, row: Asset) -> SafeString | str:
        return as_json(row.metadata)

    @admin.display(description="file")
    def download(self, row: Asset) -> SafeString | str:
        if row.status != AssetStatus.READY:
            return "-"
        url = reverse("admin:assets_asset_file", args=(row.pk,))
        return format_html('<a href="{}">Download</a>', url)

    def file_view(self, request: HttpRequest, asset_id: str) -> HttpResponse | FileResponse:
        """Strangers' bytes, to keep and not to open; who took them is kept in the console's record."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        identifier = parse_id(asset_id)
        ready = self.get_queryset(request).filter(pk=identifier, status=AssetStatus.READY).select_related("blob")
        asset: Asset | None = ready.first()
        if asset is None or asset.blob is None:
            raise Http404
        try:
            file = blobs.open_file(asset.blob)
        except FileNotFoundError:
            raise Http404 from None
        note_look(request, asset)
        return inert.download(file, asset.original_name, naming.served_type(asset.mime_type), asset.size)

    @admin.action(description="Delete: mail that needs it waits", permissions=["operate"])
    def delete_assets(self, request: HttpRequest, queryset: QuerySet[Asset]) -> None:
        self.change_each(request, queryset, lambda row: library.delete(row.workspace_id, row.pk), "Deleted")


@admin.register(UploadSession)
class UploadSessionAdmin(ReadOnlyAdmin):
    """The address of an upload is shown to nobody: it is a permission."""

    list_display = ("original_name", "workspace", "mode", "status", "expires_at", "created_at")
    list_filter = (WhenFilter, "status", "mode", WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("original_name", "id__exact")
    fields = (
        *("id", "workspace", "original_name", "mime_type", "mode", "status", "file_size", "max_bytes"),
        *("bucket", "key", "folder", "visibility", "expires_at", "created_at", "updated_at", "asset_page"),
    )
    readonly_fields = fields

    @admin.display(description="asset")
    def asset_page(self, row: UploadSession) -> SafeString | str:
        return page_link(Asset, row.asset_id) if row.asset_id else "-"


@admin.register(UploadPart)
class UploadPartAdmin(ReadOnlyAdmin):
    list_display = ("number", "session_page", "workspace", "size", "checksum_sha256")
    list_filter = (WorkspaceFilter,)
    list_select_related = ("workspace",)
    search_fields = ("session__exact",)
    fields = ("id", *list_display)
    readonly_fields = fields

    @admin.display(description="upload session")
    def session_page(self, row: UploadPart) -> SafeString:
        return page_link(UploadSession, row.session_id)


@admin.register(SignedLink)
class SignedLinkAdmin(ReadOnlyAdmin):
    """Links are shown without their address, which whoever asked for it has."""

    list_display = ("id", "asset_page", "workspace", "downloads", "max_downloads", "expires_at", "created_at")
    list_filter = (WhenFilter, WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("asset__exact",)
    fields = list_display
    readonly_fields = fields

    @admin.display(description="asset")
    def asset_page(self, row: SignedLink) -> SafeString:
        return page_link(Asset, row.asset_id)


@admin.register(Blob)
class BlobAdmin(ReadOnlyAdmin):
    """Bytes in the storage, by content; what nothing refers to goes when its time is over."""

    list_display = ("checksum_sha256", "workspace", "size", "stored_at", "keep_until", "doomed_at")
    list_filter = (WhenFilter, WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("checksum_sha256__exact",)
    fields = ("id", *list_display, "name")
    readonly_fields = fields
