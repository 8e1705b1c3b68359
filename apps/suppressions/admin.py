"""Suppressed addresses in the console: added and lifted by the services that record events, imported and exported."""

from functools import partial
from typing import IO, Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from apps.core import inert
from apps.core.admin import RowSelect
from apps.core.errors import Conflict, Problem
from apps.core.ids import parse_id
from apps.core.looks import note_look
from apps.core.made_rows import MadeByService, ServiceForm
from apps.events.types import ResourceType
from apps.protocols.address import AddressError, Mailbox
from apps.suppressions import csv_files, services, transfer
from apps.suppressions.addresses import suppressible
from apps.suppressions.models import Reason, Source, Suppression
from apps.workspaces.admin import WorkspaceFilter
from apps.workspaces.models import Workspace

# A page of more would be of use to nobody; what is mended is imported again, and the rest is known by then.
MAX_REFUSED_SHOWN = 1_000
MAX_NAME_KEPT = 100


class SuppressionForm(ServiceForm):
    class Meta:
        model = Suppression
        fields = ("workspace", "email", "reason")

    def clean_email(self) -> str:
        try:
            return suppressible(self.cleaned_data["email"])
        except AddressError as error:
            raise forms.ValidationError(error.reason) from error

    def make(self) -> Suppression:
        workspace_id, email = self.cleaned_data["workspace"].pk, self.cleaned_data["email"]
        new = services.NewSuppression(workspace_id, email, self.cleaned_data["reason"], Source.USER)
        if services.add([new]) == 0:
            raise Conflict("This address is suppressed in this workspace already.")
        row: Suppression = Suppression.objects.of(workspace_id).get(key=Mailbox(email).key)
        return row


class ImportForm(forms.Form):
    workspace = forms.ModelChoiceField(
        Workspace.objects.all(),
        widget=RowSelect(Suppression._meta.get_field("workspace"), admin.site),
        help_text="The addresses get no more mail from this one.",
    )
    file = forms.FileField(
        help_text=f"CSV in UTF-8 with the columns email and, if you like, reason; up to {csv_files.MAX_ROWS:,} rows."
    )
    reason = forms.ChoiceField(choices=Reason.choices, initial=Reason.MANUAL, help_text="Where a line names none.")
    is_trial = forms.BooleanField(
        label="Only check", required=False, help_text="Tells what would happen and stores nothing."
    )


@admin.register(Suppression)
class SuppressionAdmin(MadeByService):
    form = SuppressionForm
    change_list_template = "admin/suppressions/suppression/change_list.html"
    list_display: Any = ("email", "workspace", "reason", "source", "created_at")
    list_filter = ("reason", "source", WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("email", "key__exact")
    autocomplete_fields = ("workspace",)
    added = ("workspace", "email", "reason")
    shown: tuple[str, ...] = (
        *("id", "workspace", "email", "reason", "source"),
        *("message_id", "bounce_id", "metadata", "created_at"),
    )
    event_resource = ResourceType.SUPPRESSION

    def get_urls(self) -> list[URLPattern]:
        views = (("import", self.import_view), ("export", self.export_view))
        own = [
            path(f"{word}/", self.admin_site.admin_view(view), name=f"suppressions_suppression_{word}")
            for word, view in views
        ]
        return own + super().get_urls()

    def remove(self, row: Suppression) -> None:
        services.lift(row, even_complaints=True)

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """A form; then what became of each line. Who may add one address may add many."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ImportForm(request.POST or None, request.FILES or None)
        context: dict[str, Any] = {"form": form, "title": "Import suppressions", "opts": self.opts}
        status = 200
        if request.method == "POST" and form.is_valid():
            try:
                context |= self._import(request, form)
            except Problem as refusal:
                status = refusal.status
                form.add_error("file", refusal.details.get("fields", {}).get("file") or refusal.message)
        context |= self.admin_site.each_context(request)
        return TemplateResponse(request, "admin/suppressions/suppression/import.html", context, status=status)

    def _import(self, request: HttpRequest, form: ImportForm) -> dict[str, Any]:
        given = form.cleaned_data
        file: UploadedFile = given["file"]
        table = csv_files.Table(cast("IO[bytes]", file), file.size or 0)
        note = None if given["is_trial"] else partial(_note_import, request, given["workspace"], file.name or "")
        report = transfer.import_table(given["workspace"].pk, table, Reason(given["reason"]), note=note)
        return {
            "report": report,
            "refused": report.refused[:MAX_REFUSED_SHOWN],
            "is_trial": given["is_trial"],
            "workspace": given["workspace"],
            "ignored": table.layout.ignored,
            "file_name": file.name,
        }

    def export_view(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """The rows of the list as it is filtered, of one workspace; noted in the workspace's record."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        chosen = parse_id(request.GET.get(WorkspaceFilter.parameter_name, ""))
        workspace = Workspace.objects.filter(pk=chosen).first() if chosen else None
        if workspace is None:
            messages.error(request, "Choose a workspace in the filter first: an export is of one.")
            url = reverse("admin:suppressions_suppression_changelist")
            return HttpResponseRedirect(f"{url}?{request.GET.urlencode()}")
        rows = self.get_changelist_instance(request).queryset
        note_look(request, workspace, "Exported suppressions.")
        return inert.stream(transfer.export_rows(rows), f"suppressions-{workspace.slug}.csv", "text/csv; charset=utf-8")


def _note_import(request: HttpRequest, workspace: Workspace, name: str, chunk: transfer.Chunk) -> None:
    """In the chunk's transaction, so that neither is there without the other."""
    LogEntry.objects.create(
        user=request.user,  # type: ignore[misc]  # strangers do not come this far
        content_type=get_content_type_for_model(workspace),
        object_id=str(workspace.pk),
        object_repr=str(workspace)[:200],
        action_flag=CHANGE,
        change_message=(
            f"Imported suppressions from {name[:MAX_NAME_KEPT]}, "
            f"lines {chunk.first_line} to {chunk.last_line}: {chunk.new} new."
        ),
    )
