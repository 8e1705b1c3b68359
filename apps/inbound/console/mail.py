"""Inbound mail: what it says, in a frame where nothing runs, and its files to keep."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from apps.core import inert
from apps.core.admin import ConfidentialAdmin, as_json, page_link, pill, verbatim
from apps.core.errors import Problem
from apps.core.looks import note_look
from apps.core.window import WhenFilter
from apps.events.types import ResourceType
from apps.inbound.models import InboundAttachment, InboundMessage
from apps.inbound.serving import served
from apps.messages.lists import IdSearch
from apps.workspaces.admin import WorkspaceFilter
from apps.workspaces.models import Workspace

NAME = "inbound_inboundmessage"
LONG = ("text", "html", "headers", "people", "authentication")


class InboundMessageAdmin(IdSearch, ConfidentialAdmin):
    """Who may look may read other people's mail, so each look is kept."""

    change_form_template = "admin/inbound/inboundmessage/change_form.html"
    id_fields = ("pk", "domain_id")
    list_display = ("received_at", "recipient", "from_email", "subject", "dmarc_shown", "size", "workspace")
    list_filter = (WhenFilter, "dmarc", WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("rfc_message_id",)
    search_help_text = "An id, or a whole address that received; at any time."
    event_resource = ResourceType.INBOUND_MESSAGE
    fields = (
        *("id", "workspace", "received_at", "recipient", "envelope_sender", "from_email", "from_name", "subject"),
        *("rfc_message_id", "checks", "is_automatic", "fault", "size", "files", "text_shown", "people_shown"),
        "headers_shown",
    )

    def row_context(self, request: HttpRequest, row: InboundMessage) -> dict[str, Any]:
        return {"title": row.subject or "(no subject)", "subtitle": None}

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboundMessage]:
        rows: QuerySet[InboundMessage] = super().get_queryset(request)
        is_list = request.resolver_match is not None and request.resolver_match.url_name == f"{NAME}_changelist"
        return rows.defer(*LONG) if is_list else rows

    def get_urls(self) -> list[URLPattern]:
        views = (
            ("html", "<uuid:pk>/html/", require_safe(self.preview_view)),
            ("attachment", "<uuid:pk>/attachments/<int:number>/", require_safe(self.attachment_view)),
        )
        own = [path(route, self.admin_site.admin_view(view), name=f"{NAME}_{word}") for word, route, view in views]
        return own + super().get_urls()

    def addressed(self, queryset: QuerySet[Any], address: str) -> QuerySet[Any]:
        # All workspaces are named because the index by recipient begins with the workspace.
        return queryset.filter(workspace__in=Workspace.objects.values("pk"), recipient=address)

    def preview_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row = self._row(request, pk)
        return inert.preview(row.html or "", with_images=request.GET.get("images") == "1")

    def attachment_view(self, request: HttpRequest, pk: UUID, number: int) -> HttpResponse | FileResponse:
        row = self._row(request, pk)
        files = InboundAttachment.objects.of(row.workspace_id).filter(message=row, position=number)
        attachment: InboundAttachment | None = files.first()
        if attachment is None:
            raise Http404
        try:
            return served(attachment)
        except Problem as problem:
            return HttpResponse(problem.message, status=problem.status, content_type="text/plain; charset=utf-8")

    def _row(self, request: HttpRequest, pk: UUID) -> InboundMessage:
        if not self.has_view_permission(request):
            raise PermissionDenied
        row: InboundMessage | None = self.get_queryset(request).filter(pk=pk).first()
        if row is None:
            raise Http404
        note_look(request, row)
        return row

    @admin.display(description="DMARC")
    def dmarc_shown(self, row: InboundMessage) -> SafeString:
        return pill(row.dmarc)

    @admin.display(description="its origin")
    def checks(self, row: InboundMessage) -> SafeString:
        each = ((name.upper(), row.authentication.get(name, {})) for name in ("spf", "dkim", "dmarc"))
        lines = ((name, pill(str(found.get("result", "none"))), _why(found)) for name, found in each)
        return format_html_join("", "<div>{} {} {}</div>", lines)

    @admin.display(description="attachments")
    def files(self, row: InboundMessage) -> SafeString | str:
        found = InboundAttachment.objects.of(row.workspace_id).filter(message=row).order_by("position")
        lines = (
            (
                reverse(f"admin:{NAME}_attachment", args=(row.pk, file.position)),
                file.filename,
                file.content_type,
                file.size,
            )
            for file in found
        )
        return format_html_join("", '<div><a href="{}"><bdi>{}</bdi></a> {}, {} bytes</div>', lines) or "-"

    @admin.display(description="text")
    def text_shown(self, row: InboundMessage) -> SafeString | str:
        return verbatim(row.text)

    @admin.display(description="addresses")
    def people_shown(self, row: InboundMessage) -> SafeString | str:
        return as_json(row.people)

    @admin.display(description="header")
    def headers_shown(self, row: InboundMessage) -> SafeString | str:
        return verbatim("\n".join(f"{name}: {value}" for name, value in row.headers))


class InboundAttachmentAdmin(ConfidentialAdmin):
    list_display = ("filename", "content_type", "size", "mail", "workspace")
    list_filter = (WhenFilter, WorkspaceFilter)
    list_select_related = ("workspace",)
    fields = ("id", "workspace", "mail", "filename", "content_type", "content_id", "is_inline", "size", "asset_id")

    @admin.display(description="mail")
    def mail(self, row: InboundAttachment) -> SafeString:
        return page_link(InboundMessage, row.message_id, "the mail")


def _why(found: dict[str, str]) -> SafeString:
    return format_html("<bdi>{}</bdi> {}", found.get("domain", ""), found.get("reason", ""))
