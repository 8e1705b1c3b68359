"""The delivery engine in the console: destinations, workers, and the inbox of captured mail."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from apps.core import inert
from apps.core.admin import ReadOnlyAdmin, list_link, page_link
from apps.delivery import inbox
from apps.delivery.models import CapturedMessage, Destination, Drain
from apps.delivery.services import destinations
from apps.messages.models import Message
from apps.workspaces.admin import WorkspaceFilter

SUBJECT_SHOWN = 90
# Inboxes offered as a filter: those of the newest mail, because naming all of them would read the whole table.
NEWEST_READ, INBOXES_OFFERED = 500, 15


@admin.register(Destination)
class DestinationAdmin(ReadOnlyAdmin):
    list_display = ("key", "failures", "paused_until", "last_error", "updated_at")
    search_fields = ("key",)
    ordering = ("-paused_until", "key")
    actions = ("resume",)

    @admin.action(description="Resume now", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Destination]) -> None:
        for destination in queryset:
            self.log_change(request, destination, "Pause ended by hand.")
            destinations.resume(destination)
            messages.success(request, f"{destination.key} is tried again.")


@admin.register(Drain)
class DrainAdmin(ReadOnlyAdmin):
    list_display = ("host", "pid", "started_at", "beat_at", "looked_at", "in_flight")
    ordering = ("-beat_at",)


class InboxFilter(admin.SimpleListFilter):
    title = "inbox"
    parameter_name = "inbox"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        newest = model_admin.get_queryset(request).order_by("-pk").values_list("inbox", flat=True)
        # A dict keeps the order: the inbox with the newest mail first.
        return [(name, name) for name in list(dict.fromkeys(newest[:NEWEST_READ]))[:INBOXES_OFFERED]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(inbox=self.value()) if self.value() else queryset


@admin.register(CapturedMessage)
class CapturedMessageAdmin(ReadOnlyAdmin):
    """Mail that went nowhere but here. It is the one thing that superusers may throw away."""

    change_form_template = "admin/delivery/capturedmessage/change_form.html"
    list_display = ("subject_shown", "inbox_shown", "received_at")
    list_filter = (InboxFilter, WorkspaceFilter)
    search_fields = ("inbox", "subject", "sender")
    fields = ("inbox_shown", "sender", "subject", "received_at", "workspace", "message_page")
    actions = ("clear_inbox",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CapturedMessage]:
        return super().get_queryset(request).defer("source")

    def get_urls(self) -> list[URLPattern]:
        name = "delivery_capturedmessage"
        views: tuple[tuple[str, Callable[..., HttpResponse]], ...] = (
            ("html", self.preview_view),
            ("source", self.source_view),
        )
        own = [
            path(f"<uuid:pk>/{word}/", self.admin_site.admin_view(view), name=f"{name}_{word}") for word, view in views
        ]
        return own + super().get_urls()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_superuser)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        letter = inbox.read(bytes(row.source)) if row is not None else None
        return super().change_view(request, object_id, form_url, {"letter": letter} | (extra_context or {}))

    def preview_view(self, request: HttpRequest, pk: object) -> HttpResponse:
        """The HTML part alone, for the frame of the message's page."""
        return inert.preview(request, inbox.read(bytes(self._row(request, pk).source)).html or "")

    def source_view(self, request: HttpRequest, pk: object) -> HttpResponse:
        """The message as it was captured, byte for byte, to keep and not to open here."""
        row = self._row(request, pk)
        return inert.download(request, bytes(row.source), name=str(row.pk))

    @admin.display(description="subject")
    def subject_shown(self, row: CapturedMessage) -> str:
        subject = row.subject or "(no subject)"
        return subject if len(subject) <= SUBJECT_SHOWN else f"{subject[:SUBJECT_SHOWN]}…"

    @admin.display(description="inbox")
    def inbox_shown(self, row: CapturedMessage) -> SafeString:
        return list_link(CapturedMessage, row.inbox, inbox=row.inbox)

    @admin.display(description="message")
    def message_page(self, row: CapturedMessage) -> SafeString:
        return page_link(Message, row.message_id)

    @admin.action(description="Clear inbox", permissions=["delete"])
    def clear_inbox(self, request: HttpRequest, queryset: QuerySet[CapturedMessage]) -> HttpResponse | None:
        """Asks first, with the number of messages; a second request with `confirmed` deletes them."""
        names = sorted(set(queryset.values_list("inbox", flat=True)))
        held = self.get_queryset(request).filter(inbox__in=names)
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": "Clear inboxes",
                "opts": self.opts,
                "inboxes": names,
                "count": held.count(),
                "selected": list(queryset.values_list("pk", flat=True)),
            }
            return TemplateResponse(request, "admin/delivery/capturedmessage/clear_inbox.html", context)
        self.log_deletions(request, queryset)
        deleted, _ = held.delete()
        messages.success(request, f"Deleted {deleted} captured messages.")
        return None

    def _row(self, request: HttpRequest, pk: object) -> CapturedMessage:
        row: CapturedMessage | None = self.get_object(request, str(pk))
        if row is None or not self.has_view_permission(request, row):
            raise Http404
        return row
