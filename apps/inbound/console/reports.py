"""Reports: what came, what was read in it, why it matched nothing; and the debugger for a pasted one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods

from apps.core import clock
from apps.core.admin import ConfidentialAdmin, as_json, page_link, pill, verbatim
from apps.core.crypto import SealBroken
from apps.core.errors import Problem
from apps.core.window import WhenFilter
from apps.inbound.models import Report
from apps.inbound.reading import read_in_child
from apps.inbound.services.consequences import finding
from apps.inbound.services.matching import Match, match
from apps.inbound.services.reports import raw_of, shown, storable_tree
from apps.messages.lists import IdSearch
from apps.messages.models import Message
from apps.messages.services.reported import Finding
from apps.messages.states import BounceSource
from apps.protocols.text import storable

MAX_PASTED = 2_000_000
MAX_SHOWN = 200_000
MAX_LINE = 120


@dataclass(frozen=True, slots=True)
class Debugged:
    """What a pasted report says, and what would follow from it."""

    kind: str
    found: Match | None
    findings: Sequence[Finding]
    refusal: str
    as_read: SafeString | str


class PasteForm(forms.Form):
    mail = forms.CharField(
        label="The report, headers and all",
        max_length=MAX_PASTED,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 18, "cols": 100, "spellcheck": "false", "class": "vLargeTextField"}),
    )
    recipient = forms.CharField(
        label="Sent to",
        required=False,
        max_length=320,
        widget=forms.TextInput(attrs={"size": 70, "class": "vTextField"}),
        help_text="The envelope's recipient, such as b-...@bounces.example.com; it may be left out.",
    )


class ReportAdmin(IdSearch, ConfidentialAdmin):
    """Whoever may see reports may see what came back of other people's mail."""

    change_list_template = "admin/inbound/report/change_list.html"
    id_fields = ("pk", "message_id", "workspace_id")
    list_display = ("received_at", "kind", "door", "status", "matched_by", "what", "story")
    list_filter = (WhenFilter, "status", "door")
    search_fields = ("fingerprint",)
    search_help_text = "The id of a report, of a message or of a workspace."
    fields = (
        *("id", "received_at", "door", "kind", "state", "matched_by", "explanation", "story"),
        *("envelope_sender", "envelope_recipients", "size", "read_in_it", "raw"),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("raw_sealed")

    def addressed(self, queryset: Any, address: str) -> Any:
        return queryset.none()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_http_methods(["GET", "POST"])(self.debug_view))
        return [path("debug/", view, name="inbound_report_debug"), *super().get_urls()]

    def debug_view(self, request: HttpRequest) -> HttpResponse:
        """Reads a pasted report and says what would follow; nothing follows, and nothing is kept."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = PasteForm(request.POST or None)
        debugged = _debug(form.cleaned_data) if request.method == "POST" and form.is_valid() else None
        context = self.admin_site.each_context(request) | {
            "opts": self.opts,
            "title": "Bounce debugger",
            "form": form,
            "debugged": debugged,
        }
        return TemplateResponse(request, "admin/inbound/report/debug.html", context)

    @admin.display(description="what")
    def what(self, row: Report) -> str:
        named = ", ".join(str(address) for address in row.reading.get("recipients", [])[:3])
        text = f"{named}: {row.explanation}" if named else row.explanation
        return text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]}…"

    @admin.display(description="message")
    def story(self, row: Report) -> SafeString | str:
        return page_link(Message, row.message_id, "its story") if row.message_id else "-"

    @admin.display(description="read in it")
    def read_in_it(self, row: Report) -> SafeString | str:
        return as_json(row.reading)

    @admin.display(description="the mail itself")
    def raw(self, row: Report) -> SafeString | str:
        try:
            text = raw_of(row).decode("utf-8", "replace")
        except SealBroken:
            return "None of FIELD_KEYS opens it."
        return verbatim(storable(text)[:MAX_SHOWN]) if text else "It is no longer kept."

    @admin.display(description="status")
    def state(self, row: Report) -> SafeString:
        return pill(row.status)


def _debug(given: dict[str, Any]) -> Debugged:
    # A browser sends CRLF for every line end.
    raw = given["mail"].encode("utf-8", "surrogateescape")
    try:
        reading = read_in_child(raw)
    except Problem as problem:
        return Debugged("", None, (), problem.message, "")
    as_read = as_json(storable_tree(shown(reading)))
    try:
        found = match(reading, [given["recipient"]] if given["recipient"] else [])
    except Problem as problem:
        return Debugged(reading.kind.value, None, (), problem.message, as_read)
    at = clock.now()
    each = (finding(one, reading, BounceSource.DSN, report_id=one.recipient.pk, at=at) for one in found.about)
    return Debugged(reading.kind.value, found, [one for one in each if one], "", as_read)
