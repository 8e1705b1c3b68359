"""Scheduled mail in the console: what waits for its time and why; send now, and cancel."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from apps.core import clock
from apps.core.admin import ConfidentialAdmin, as_json, page_link, page_url
from apps.core.ids import first_id_at
from apps.core.window import WhenFilter
from apps.events.types import ResourceType
from apps.messages.lists import IdSearch, recipients_of
from apps.messages.models import Message
from apps.scheduled.models import Scheduled
from apps.scheduled.reading import wait_of
from apps.scheduled.services import changing
from apps.scheduled.states import Status
from apps.scheduled.waits import EXPLANATIONS, WaitCode
from apps.templates.models import TemplateVersion
from apps.workspaces.admin import WorkspaceFilter

SUBJECT_SHOWN = 80
ADDRESSES_SHOWN = 2
# Ended mail has no index by address, but its messages have; the rest is looked for among the newest.
ENDED_WITHIN = timedelta(hours=24)


class OpenOrWhen(WhenFilter):
    """What still waits is shown however long ago it was scheduled; of the rest, what is new."""

    def since(self, queryset: QuerySet[Any], span: timedelta) -> QuerySet[Any]:
        return queryset.filter(Q(due_at__isnull=False) | Q(pk__gte=first_id_at(clock.now() - span)))


class WaitFilter(admin.SimpleListFilter):
    """What stands in the way of mail whose time has come."""

    title = "obstacle"
    parameter_name = "waits_for"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(code.value, code.label) for code in WaitCode if code not in {WaitCode.NOT_DUE, WaitCode.QUEUED}]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in WaitCode.values:
            return queryset
        return queryset.filter(due_at__isnull=False, wait_code=self.value())


@admin.register(Scheduled)
class ScheduledAdmin(IdSearch, ConfidentialAdmin):
    """The page of one shows what will be written to somebody, so looks at it are kept in the record."""

    list_display = ("send_at", "status", "waits", "short_subject", "to", "message_page", "workspace", "kind")
    list_filter = (OpenOrWhen, "status", WaitFilter, "kind", WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("subject",)
    search_help_text = "An id of it or of its message, or a recipient's whole address; or a part of the subject."
    actions = ("send_now", "cancel")
    event_resource = ResourceType.SCHEDULED
    fieldsets = (
        (None, {"fields": ("status", "send_at", "kind", "subject", "all_recipients", "message_page", "workspace")}),
        ("Waiting", {"fields": ("waits", "wait_detail", "waiting_since", "who", "due_at")}),
        ("Refused", {"fields": ("error_code", "error")}),
        ("Request", {"fields": ("template_page", "idempotency_key", "payload_shown")}),
        ("Times", {"fields": ("id", "created_at", "updated_at", "canceled_at")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Scheduled]:
        # Loaded by the page of one row; a list of fifty has no use for it.
        found: QuerySet[Scheduled] = super().get_queryset(request).defer("payload")
        return found

    def addressed(self, queryset: QuerySet[Any], address: str) -> QuerySet[Any]:
        is_new = Q(pk__gte=first_id_at(clock.now() - ENDED_WITHIN))
        named = (Q(due_at__isnull=False) | is_new) & Q(recipients__contains=f"\n{address}\n")
        sent = recipients_of(address).exclude(message__scheduled_id=None).values("message__scheduled_id")
        return queryset.filter(named | Q(pk__in=sent))

    def row_context(self, request: HttpRequest, row: Scheduled) -> dict[str, Any]:
        """With the buttons that can still do something."""
        return {} if row.status == Status.SCHEDULED else {"page_actions": []}

    @admin.display(description="to")
    def to(self, row: Scheduled) -> str:
        rest = len(row.addresses) - ADDRESSES_SHOWN
        return ", ".join(row.addresses[:ADDRESSES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")

    @admin.display(description="recipients")
    def all_recipients(self, row: Scheduled) -> str:
        return ", ".join(row.addresses)

    @admin.display(description="subject")
    def short_subject(self, row: Scheduled) -> str:
        return row.subject if len(row.subject) <= SUBJECT_SHOWN else f"{row.subject[:SUBJECT_SHOWN]}…"

    @admin.display(description="why it waits")
    def waits(self, row: Scheduled) -> str:
        code = wait_of(row)
        return EXPLANATIONS[code].sentence if code else "-"

    @admin.display(description="who can change it")
    def who(self, row: Scheduled) -> str:
        code = wait_of(row)
        return EXPLANATIONS[code].who_can_change_it if code else "-"

    @admin.display(description="message")
    def message_page(self, row: Scheduled) -> SafeString | str:
        return page_link(Message, row.message_id, "its message") if row.message_id else "-"

    @admin.display(description="template version")
    def template_page(self, row: Scheduled) -> SafeString | str:
        if row.template_version_id is None:
            return "-"
        return page_link(TemplateVersion, row.template_version_id)

    @admin.display(description="payload")
    def payload_shown(self, row: Scheduled) -> SafeString | str:
        return as_json(row.payload)

    @admin.action(description="Send now", permissions=["operate"])
    def send_now(self, request: HttpRequest, queryset: QuerySet[Scheduled]) -> None:
        self.change_each(request, queryset, lambda row: changing.send_now(row.workspace_id, row.pk), "Made due now")

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Scheduled]) -> HttpResponse | None:
        """Asks first, because nobody can take it back; a second request with `confirmed` cancels."""
        rows = list(queryset)
        if "confirmed" in request.POST or not rows:
            self.change_each(request, rows, lambda row: changing.cancel(row.workspace_id, row.pk), "Canceled")
            return None
        is_from_page = "from_page" in request.POST
        context = {
            **self.admin_site.each_context(request),
            "title": "Cancel scheduled mail",
            "opts": self.opts,
            "rows": rows,
            "is_from_page": is_from_page,
            "asked_at": page_url(Scheduled, rows[0].pk) if is_from_page else request.get_full_path(),
        }
        return TemplateResponse(request, "admin/scheduled/scheduled/cancel.html", context)
