"""Templates in the console: their versions, a live preview, what differs between two, and which one goes out."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.core import inert
from apps.core.admin import ReadOnlyAdmin, as_json, page_link, page_url, verbatim
from apps.core.api.parsers import InvalidJSON, read
from apps.core.errors import Invalid, Problem
from apps.core.ids import parse_id
from apps.events.types import ResourceType
from apps.templates.comparison import compare
from apps.templates.models import Status, Template, TemplateVersion
from apps.templates.services import authoring
from apps.templates.services.diagnostics import diagnose
from apps.templates.services.lookups import versions_of
from apps.templates.services.rendering import content_of
from apps.templates.services.samples import sample_data
from apps.workspaces.admin import WorkspaceFilter

PAGES = "admin/templates/template"
MAX_VERSIONS_SHOWN = 100
MAX_DATA_BYTES = 500_000


@admin.register(Template)
class TemplateAdmin(ReadOnlyAdmin):
    """Content is written over the API; here it is looked at, compared, and an earlier version is brought back."""

    change_form_template = f"{PAGES}/change_form.html"
    list_display = ("name", "slug", "status", "active_number", "workspace", "updated_at")
    list_filter = ("status", WorkspaceFilter)
    list_select_related = ("workspace", "active_version")
    search_fields = ("name", "slug")
    fields = ("id", "workspace", "name", "slug", "status", "description", "created_at", "updated_at")
    actions = ("archive", "restore")
    event_resource = ResourceType.TEMPLATE

    def get_urls(self) -> list[URLPattern]:
        views: tuple[tuple[str, str, Callable[..., HttpResponse]], ...] = (
            ("preview", "preview/", require_http_methods(["GET", "POST"])(self.preview_view)),
            ("html", "html/", require_POST(self.html_view)),
            ("feed", "feed/", require_POST(self.feed_view)),
            ("compare", "compare/", require_safe(self.compare_view)),
            ("activate", "activate/", require_http_methods(["GET", "POST"])(self.activate_view)),
        )
        own = [
            path(f"versions/<uuid:pk>/{route}", self.admin_site.admin_view(view), name=f"templates_template_{word}")
            for word, route, view in views
        ]
        return own + super().get_urls()

    @admin.display(description="active version")
    def active_number(self, row: Template) -> int | None:
        return row.active_version.number if row.active_version else None

    def row_context(self, request: HttpRequest, template: Template) -> dict[str, Any]:
        rows = versions_of(template).defer("html", "html_inlined", "text").order_by("-number")
        useful = {Status.ACTIVE: {"archive"}, Status.ARCHIVED: {"restore"}}.get(Status(template.status), set())
        return {
            "versions": rows[:MAX_VERSIONS_SHOWN],
            "may_operate": self.has_operate_permission(request) and template.status != Status.DELETED,
            "title": template.name,
            "subtitle": None,
            "page_actions": self.named_actions(request, useful),
        }

    def preview_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """One version with data of the operator's choice; static/template-preview.js keeps it up to date."""
        version = self._version(request, pk)
        sample = json.dumps(sample_data(version.variables), indent=2, ensure_ascii=False)
        given = request.POST.get("sample", sample)
        context = {
            "given": given,
            "shown": _shown(version, given),
            "is_narrow": request.GET.get("width") == "phone",
        }
        return self._page(request, version, "preview", context)

    def html_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The rendered HTML for the frame of the preview, where nothing of it runs or is fetched."""
        version = self._version(request, pk)
        try:
            html = content_of(version).preview(_data(request.POST.get("sample", "")))[0].html
        except Problem as refusal:
            return inert.preview(format_html("<p>{}</p>", refusal.message))
        return inert.preview(html or "<p>This version has no HTML.</p>")

    def feed_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        return JsonResponse(_shown(self._version(request, pk), request.POST.get("sample", "")))

    def compare_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """What this version has changed since another one, by default since the one before it."""
        version = self._version(request, pk)
        others = versions_of(version.template).exclude(pk=pk).order_by("-number")
        chosen = parse_id(request.GET.get("with", ""))
        before = others.filter(pk=chosen).first() if chosen else others.filter(number__lt=version.number).first()
        context = {
            "before": before,
            "others": others.defer("html", "html_inlined", "text")[:MAX_VERSIONS_SHOWN],
            "parts": compare(before, version) if before else [],
        }
        return self._page(request, version, "compare", context)

    def activate_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Asks first, with what would change; then sends this version from now on."""
        version = self._version(request, pk)
        if not self.has_operate_permission(request):
            raise PermissionDenied
        template = version.template
        if request.method == "POST":
            done = f"Version {version.number} goes out from now on"
            self.change_each(request, [template], lambda row: authoring.activate(row, version), done)
            return HttpResponseRedirect(page_url(Template, template.pk))
        active = template.active_version
        parts = compare(active, version) if active else []
        return self._page(request, version, "activate", {"before": active, "parts": parts})

    @admin.action(description="Archive: send nothing new with it", permissions=["operate"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Template]) -> None:
        self.change_each(request, queryset, authoring.archive, "Archived")

    @admin.action(description="Restore", permissions=["operate"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Template]) -> None:
        self.change_each(request, queryset, authoring.restore, "Restored")

    def _version(self, request: HttpRequest, pk: UUID) -> TemplateVersion:
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = TemplateVersion.objects.across_workspaces().select_related("template__active_version")
        version: TemplateVersion | None = rows.filter(pk=pk).first()
        if version is None:
            raise Http404
        return version

    def _page(
        self, request: HttpRequest, version: TemplateVersion, page: str, context: dict[str, Any]
    ) -> TemplateResponse:
        shared = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "here": page,
            "original": version.template,
            "version": version,
            "is_active": version.template.active_version_id == version.pk,
            "may_operate": self.has_operate_permission(request) and version.template.status != Status.DELETED,
            "title": f"{version.template.name}, version {version.number}",
        }
        return TemplateResponse(request, f"{PAGES}/{page}.html", shared | context)


@admin.register(TemplateVersion)
class TemplateVersionAdmin(ReadOnlyAdmin):
    list_display = ("template_page", "number", "subject_shown", "workspace", "created_at")
    list_filter = (WorkspaceFilter,)
    list_select_related = ("workspace", "template")
    search_fields = ("template__slug",)
    fields = (
        *("id", "template_page", "number", "workspace", "created_at", "subject_shown"),
        *("variables_shown", "css_refusal", "html_shown", "text_shown"),
    )

    @admin.display(description="template")
    def template_page(self, row: TemplateVersion) -> SafeString:
        return page_link(Template, row.template_id, row.template.slug)

    @admin.display(description="subject")
    def subject_shown(self, row: TemplateVersion) -> str:
        return row.subject[:100]

    @admin.display(description="variables")
    def variables_shown(self, row: TemplateVersion) -> SafeString | str:
        return as_json(row.variables)

    @admin.display(description="HTML source")
    def html_shown(self, row: TemplateVersion) -> SafeString | str:
        return verbatim(row.html)

    @admin.display(description="text")
    def text_shown(self, row: TemplateVersion) -> SafeString | str:
        return verbatim(row.text)


def _data(text: str) -> dict[str, Any]:
    """The object that an operator typed. Raises Invalid, InvalidJSON."""
    raw = text.encode("utf-8", "replace")
    if len(raw) > MAX_DATA_BYTES:
        raise Invalid({"data": [f"may have at most {MAX_DATA_BYTES:,} bytes here"]})
    return read(raw) if text.strip() else {}


def _shown(version: TemplateVersion, text: str) -> dict[str, Any]:
    """What stands beside the frame of a preview; `fault` says why there is nothing."""
    shown: dict[str, Any] = {"subject": "", "text": "", "missing": [], "findings": [], "fault": ""}
    try:
        data = _data(text)
        rendered, missing = content_of(version).preview(data)
    except InvalidJSON as refusal:
        return shown | {"fault": refusal.message.replace("The body", "The data")}
    except Problem as refusal:
        return shown | {"fault": refusal.message}
    findings = [f"{found.severity.value}: {found.message}" for found in diagnose(version, data).findings]
    return shown | {
        "subject": rendered.subject,
        "text": rendered.text or "",
        "missing": missing,
        "findings": findings,
    }
