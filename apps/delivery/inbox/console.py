"""The pages of captured mail: the live inbox, one message, and clearing; what went nowhere but here may be deleted."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_http_methods, require_safe

from apps.core import inert
from apps.core.admin import ReadOnlyAdmin
from apps.core.looks import note_look
from apps.delivery.inbox import answers, letter, listing, reading
from apps.delivery.inbox.listing import View
from apps.delivery.models import CapturedMessage
from apps.delivery.scripts import examples, scenarios
from apps.delivery.services import captured
from apps.workspaces.admin import WorkspaceFilter
from apps.workspaces.models import Workspace

NAME = "delivery_capturedmessage"
TEMPLATES = "admin/delivery/capturedmessage"
MAX_COUNTED = 10_000
MAX_WORKSPACES = 30


class InboxAdmin(ReadOnlyAdmin):
    """Captured mail, read by whoever may view it and thrown away by whoever may delete it."""

    list_filter = (WorkspaceFilter,)  # the page of a workspace links here because of it

    def get_queryset(self, request: HttpRequest) -> QuerySet[CapturedMessage]:
        return super().get_queryset(request).defer("source")

    def get_urls(self) -> list[URLPattern]:
        views: tuple[tuple[str, str, Callable[..., HttpResponse]], ...] = (
            ("feed", "feed/", require_safe(self.feed_view)),
            ("clear", "clear/", require_http_methods(["GET", "POST"])(self.clear_view)),
            ("html", "<uuid:pk>/html/", require_safe(self.preview_view)),
            ("source", "<uuid:pk>/source/", require_safe(self.source_view)),
            ("attachment", "<uuid:pk>/attachments/<int:number>/", require_safe(self.attachment_view)),
        )
        own = [path(route, self.admin_site.admin_view(view), name=f"{NAME}_{word}") for word, route, view in views]
        return own + super().get_urls()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.has_perm("delivery.delete_capturedmessage"))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The inbox. It takes the place of the stock list, at the same address; there are no actions to post."""
        self._require_view_permission(request)
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET"])
        view, now = View.asked(request.GET), listing.now_ms()
        lines, has_more = listing.lines(view)
        inboxes, is_cut = listing.inboxes(view.workspace_id)
        context = {
            "view": view,
            "now": f"{now}",
            "lines": lines,
            "older": view.query(before=lines[-1].id) if has_more else "",
            "newest": view.query(before=None),
            "inboxes": [(inbox, view.query(inbox=inbox.name, before=None)) for inbox in inboxes],
            "all_mail": view.query(inbox="", before=None),
            "is_cut": is_cut,
            "bounds": _bounds(),
            "workspaces": _workspaces(view.workspace_id),
            "clearing": View(view.inbox, view.workspace_id).query(),
            "may_clear": self.has_delete_permission(request),
            "scripts": {"addresses": examples(), "scenarios": scenarios()},
        }
        return self._page(request, "inbox", view.inbox or "Inbox", context)

    def feed_view(self, request: HttpRequest) -> HttpResponse:
        """What may be new since an open page last asked, as JSON for static/inbox.js."""
        self._require_view_permission(request)
        now = listing.now_ms()
        lines = listing.lines_since(View.asked(request.GET), listing.since_asked(request.GET))
        return JsonResponse({"now": now, "lines": [asdict(line) for line in lines]})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """One message, one aspect of it at a time, so that the source is read once for each page."""
        self._require_view_permission(request)
        row = self.get_object(request, object_id)
        if row is None:
            messages.warning(request, "This mail is no longer here.")
            return HttpResponseRedirect(reverse(f"admin:{NAME}_changelist"))
        note_look(request, row)
        newer, older = listing.neighbours(row)
        context = {
            "row": row,
            "page": reading.page(row, request.GET),
            "newer": newer,
            "older": older,
            "may_delete": self.has_delete_permission(request, row),
        }
        return self._page(request, "message", row.subject or "(no subject)", context)

    def preview_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        html = letter.read(bytes(self._row(request, pk).source)).html or ""
        return inert.preview(html, with_images=request.GET.get("images") == "1")

    def source_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row = self._row(request, pk)
        return inert.source_file(bytes(row.source), row.pk)

    def attachment_view(self, request: HttpRequest, pk: UUID, number: int) -> HttpResponse:
        attachments = letter.read(bytes(self._row(request, pk).source)).attachments
        if not 1 <= number <= len(attachments):
            raise Http404
        return answers.attachment_file(attachments[number - 1], number)

    def clear_view(self, request: HttpRequest) -> HttpResponse:
        """Asks first, with the number. What arrives after the question is not deleted by the answer."""
        if not self.has_delete_permission(request):
            raise PermissionDenied
        view = View.asked(request.GET)
        back = f"{reverse(f'admin:{NAME}_changelist')}?{View(workspace_id=view.workspace_id).query()}"
        if request.method == "POST":
            self._clear(request, view)
            return HttpResponseRedirect(back)
        count = view.narrowed().order_by()[: MAX_COUNTED + 1].count()
        newest = view.narrowed().order_by("-pk").values_list("pk", flat=True).first()
        context = {
            "view": view,
            "workspace": Workspace.objects.filter(pk=view.workspace_id).first() if view.workspace_id else None,
            "count": min(count, MAX_COUNTED),
            "is_more": count > MAX_COUNTED,
            "newest": newest,
            "back": back,
        }
        return self._page(request, "clear", "Clear the inbox", context)

    def _clear(self, request: HttpRequest, view: View) -> None:
        newest = listing.id_asked(request.GET, "newest")
        if newest is None:
            raise BadRequest("newest is missing")
        # Recorded before, so that a clearing that is cut off has left its trace too.
        entry = LogEntry.objects.create(
            user_id=str(request.user.pk),
            content_type=ContentType.objects.get_for_model(CapturedMessage),
            object_repr=_reach(view),
            action_flag=DELETION,
            change_message="Clearing began.",
        )
        cleared = captured.clear(view.narrowed().filter(pk__lte=newest))
        said = f"Deleted {cleared.count:,} captured messages."
        entry.change_message = said
        entry.save(update_fields=["change_message"])
        if cleared.is_complete:
            messages.success(request, said)
        else:
            messages.warning(request, f"{said} There are more; clear again.")

    def _page(self, request: HttpRequest, template: str, title: str, context: dict[str, Any]) -> TemplateResponse:
        shared = {**self.admin_site.each_context(request), "title": title, "opts": self.opts}
        # The inboxes stand where the list of models would, and mail needs the width.
        shared["is_nav_sidebar_enabled"] = False
        return TemplateResponse(request, f"{TEMPLATES}/{template}.html", shared | context)

    def _row(self, request: HttpRequest, pk: UUID) -> CapturedMessage:
        self._require_view_permission(request)
        row: CapturedMessage | None = CapturedMessage.objects.across_workspaces().filter(pk=pk).first()
        if row is None:
            raise Http404
        note_look(request, row)
        return row

    def _require_view_permission(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied


def _reach(view: View) -> str:
    """What a clearing reaches, as the record has room for; an address may be longer."""
    inboxes = f"inbox {view.inbox}" if view.inbox else "all inboxes"
    if view.workspace_id is None:
        return inboxes[:200]
    slug = Workspace.objects.filter(pk=view.workspace_id).values_list("slug", flat=True).first()
    return f"workspace {slug or view.workspace_id}, {inboxes}"[:200]


def _bounds() -> dict[str, str]:
    """How far the list looks, as the page tells it."""
    return {
        "counted": f"{listing.NEWEST_COUNTED:,}",
        "searched": f"{listing.SEARCHED:,}",
        "search_length": f"{listing.MAX_SEARCH}",
        "page": f"{listing.PAGE_SIZE}",
    }


def _workspaces(chosen: UUID | None) -> list[tuple[UUID, str]]:
    """The first by name, as a choice, and the chosen one wherever it stands; a server may have thousands."""
    rows = Workspace.objects.values_list("pk", "slug")
    offered = list(rows.order_by("slug")[:MAX_WORKSPACES])
    if chosen is None or chosen in dict(offered):
        return offered
    return [*offered, *rows.filter(pk=chosen)]
