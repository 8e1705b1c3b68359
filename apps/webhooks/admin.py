"""Webhooks in the console: how endpoints do, what they were sent, and sending it once more."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import IntegerField, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.formats import date_format
from django.utils.safestring import SafeString

from apps.core.admin import ReadOnlyAdmin, list_link, page_link, page_url, verbatim
from apps.core.search import ById
from apps.core.window import WhenFilter
from apps.events.models import Event
from apps.events.types import ResourceType
from apps.webhooks.models import Delivery, DeliveryAttempt, Endpoint, Replay, Shift
from apps.webhooks.payload import body_of
from apps.webhooks.reading import MAX_WAITING, WAITING, health_of, shown_count
from apps.webhooks.schedule import AT_ONCE
from apps.webhooks.services import again, endpoints
from apps.webhooks.states import DeliveryStatus, Status
from apps.workspaces.admin import WorkspaceFilter

FAILING_SHOWN, ERROR_SHOWN = 20, 90
NOT_ARRIVED = (DeliveryStatus.RETRYING, DeliveryStatus.FAILED)


class ReplayForm(forms.Form):
    """A range of time, in UTC as everything in the console."""

    since = forms.DateTimeField(label="From (UTC)", widget=forms.DateTimeInput(attrs={"type": "datetime-local"}))
    until = forms.DateTimeField(
        label="To (UTC, now if empty)", required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )

    def clean(self) -> dict[str, Any]:
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and since >= until:
            raise ValidationError("The range must end after it begins.")
        return self.cleaned_data


class Searched(ById, ReadOnlyAdmin):
    """Lists that are searched by the ids of their rows and of what these belong to."""

    search_fields: ClassVar = ("id",)
    is_by_id_alone = True


@admin.register(Endpoint)
class EndpointAdmin(ReadOnlyAdmin):
    """The secret is shown to nobody; whoever lost it rotates it with the API."""

    change_form_template = "admin/webhooks/endpoint/change_form.html"
    list_display = ("short_url", "status", "short_error", "waiting", "failing_since", "last_success_at", "workspace")
    list_filter = ("status", "disabled_by", WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("url", "description")
    actions = ("send_test", "replay", "disable", "enable")
    event_resource = ResourceType.WEBHOOK
    fields = (
        *("id", "workspace", "address", "description_shown", "subscribed_to", "status", "disabled_at", "disabled_by"),
        *("failure_count", "failing_since", "last_success_at", "last_failure_at", "error", "paused_until", "due_at"),
        *("created_at", "updated_at"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        """With how much waits for each, counted to a bound in the statement of the whole page."""
        rows: QuerySet[Endpoint] = super().get_queryset(request).exclude(status=Status.DELETED)
        return rows.annotate(waiting_count=RawSQL(WAITING, [MAX_WAITING + 1], IntegerField()))  # noqa: S611 - no input

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return not lookup.startswith("secret_sealed") and super().lookup_allowed(lookup, value, request)

    def row_context(self, request: HttpRequest, endpoint: Endpoint) -> dict[str, Any]:
        """How it does, what does not arrive, and the buttons that can do something."""
        rows = Delivery.objects.of(endpoint.workspace_id).filter(endpoint=endpoint, status__in=NOT_ARRIVED)
        useful = {
            Status.ACTIVE.value: {"send_test", "replay", "disable"},
            Status.DISABLED.value: {"enable"},
        }.get(endpoint.status, set())
        newest = rows.exclude(status=DeliveryStatus.SUCCEEDED).order_by("-pk")[:FAILING_SHOWN]
        return {
            "health": health_of(endpoint),
            "failing": [(row, page_link(Delivery, row.pk, row.event_type)) for row in newest],
            "all_deliveries": list_link(Delivery, "All its deliveries", endpoint_id=endpoint.pk),
            "page_actions": self.named_actions(request, useful),
            "title": _short(endpoint.url),
            "subtitle": None,
        }

    @admin.display(description="endpoint")
    def short_url(self, endpoint: Endpoint) -> str:
        return _short(endpoint.url)

    @admin.display(description="URL")
    def address(self, endpoint: Endpoint) -> SafeString | str:
        return verbatim(endpoint.url)

    @admin.display(description="description")
    def description_shown(self, endpoint: Endpoint) -> SafeString | str:
        return verbatim(endpoint.description)

    @admin.display(description="event types")
    def subscribed_to(self, endpoint: Endpoint) -> str:
        return ", ".join(endpoint.event_types)

    @admin.display(description="waiting")
    def waiting(self, endpoint: Any) -> str:
        return shown_count(endpoint.waiting_count)

    @admin.display(description="last error")
    def short_error(self, endpoint: Endpoint) -> str:
        return _short(endpoint.last_error) or "-"

    @admin.display(description="last error")
    def error(self, endpoint: Endpoint) -> SafeString | str:
        return verbatim(endpoint.last_error)

    @admin.action(description="Send a test", permissions=["operate"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        self.change_each(request, queryset, again.test, "Sent a test")

    @admin.action(description="Disable", permissions=["operate"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        self.change_each(request, queryset, endpoints.disable, "Disabled")

    @admin.action(description="Enable", permissions=["operate"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        self.change_each(request, queryset, endpoints.enable, "Enabled")

    @admin.action(description="Replay a range", permissions=["operate"])
    def replay(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> HttpResponse | None:
        """Asks for the range first; a second request with `confirmed` replays it."""
        rows = list(queryset)
        form = ReplayForm(request.POST if "confirmed" in request.POST else None)
        if rows and form.is_valid():
            asked = again.Range(form.cleaned_data["since"], form.cleaned_data["until"], None)
            done = f"Replayed events of {asked.since:%Y-%m-%d %H:%M} to "
            done += f"{asked.until:%Y-%m-%d %H:%M}" if asked.until else "now"
            self.change_each(request, rows, lambda row: _replay(row, asked), done)
            return None
        if not rows:
            return None
        is_from_page = "from_page" in request.POST
        context = {
            **self.admin_site.each_context(request),
            "title": "Replay a range",
            "opts": self.opts,
            "rows": rows,
            "form": form,
            "is_from_page": is_from_page,
            "asked_at": page_url(Endpoint, rows[0].pk) if is_from_page else request.get_full_path(),
        }
        return TemplateResponse(request, "admin/webhooks/endpoint/replay.html", context)


class DeliveryWhenFilter(WhenFilter):
    certain = WhenFilter.certain | {"endpoint_id", "event_id"}


@admin.register(Delivery)
class DeliveryAdmin(Searched):
    change_form_template = "admin/webhooks/delivery/change_form.html"
    list_display = ("created_at", "event_type", "status", "endpoint_page", "attempt_count", "short_error", "workspace")
    list_filter = (DeliveryWhenFilter, "status", WorkspaceFilter)
    list_select_related = ("workspace", "endpoint")
    search_help_text = "The id of a delivery, of its event or of its endpoint."
    id_fields = ("pk", "event_id", "endpoint_id")
    actions = ("retry",)
    event_resource = ResourceType.WEBHOOK_DELIVERY
    fields = (
        *("id", "workspace", "endpoint_page", "event_page", "event_type", "status", "attempt_count", "next_attempt"),
        *("last_status_code", "error", "delivered_at", "created_at", "payload"),
    )

    def row_context(self, request: HttpRequest, delivery: Delivery) -> dict[str, Any]:
        attempts = DeliveryAttempt.objects.of(delivery.workspace_id).filter(delivery=delivery)
        useful = set() if delivery.status == DeliveryStatus.SUCCEEDED else {"retry"}
        return {
            "attempts": attempts.order_by("-number")[:FAILING_SHOWN],
            "page_actions": self.named_actions(request, useful),
        }

    @admin.display(description="endpoint")
    def endpoint_page(self, delivery: Delivery) -> SafeString:
        return page_link(Endpoint, delivery.endpoint_id, _short(delivery.endpoint.url))

    @admin.display(description="event")
    def event_page(self, delivery: Delivery) -> SafeString:
        return page_link(Event, delivery.event_id)

    @admin.display(description="last error")
    def short_error(self, delivery: Delivery) -> str:
        return _short(delivery.last_error) or "-"

    @admin.display(description="last error")
    def error(self, delivery: Delivery) -> SafeString | str:
        return verbatim(delivery.last_error)

    @admin.display(description="next attempt")
    def next_attempt(self, delivery: Delivery) -> str:
        if delivery.next_attempt_at is None:
            return "-"
        is_urgent = delivery.next_attempt_at == AT_ONCE
        return "as soon as it can be" if is_urgent else date_format(delivery.next_attempt_at, "DATETIME_FORMAT")

    @admin.display(description="payload")
    def payload(self, delivery: Delivery) -> SafeString | str:
        event = Event.objects.of(delivery.workspace_id).filter(pk=delivery.event_id).first()
        body = bytes(delivery.body) if delivery.body else body_of(event) if event else b""
        return verbatim(body.decode())

    @admin.action(description="Retry now", permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self.change_each(request, queryset, again.retry, "Made due now")


@admin.register(DeliveryAttempt)
class DeliveryAttemptAdmin(Searched):
    list_display = ("created_at", "number", "status_code", "error_code", "short_error", "duration_ms", "delivery_page")
    list_filter = (WhenFilter, WorkspaceFilter)
    search_help_text = "The id of an attempt or of its delivery."
    id_fields = ("pk", "delivery_id")
    fields = (
        *("id", "workspace", "delivery_page", "number", "created_at", "duration_ms", "status_code", "error_code"),
        *("error_shown", "answer"),
    )

    @admin.display(description="delivery")
    def delivery_page(self, attempt: DeliveryAttempt) -> SafeString:
        return page_link(Delivery, attempt.delivery_id)

    @admin.display(description="error")
    def short_error(self, attempt: DeliveryAttempt) -> str:
        return _short(attempt.error) or "-"

    @admin.display(description="error")
    def error_shown(self, attempt: DeliveryAttempt) -> SafeString | str:
        return verbatim(attempt.error)

    @admin.display(description="answer")
    def answer(self, attempt: DeliveryAttempt) -> SafeString | str:
        return verbatim(attempt.response_snippet)


@admin.register(Replay)
class ReplayAdmin(Searched):
    list_display = ("created_at", "endpoint_page", "event_count", "since", "until", "workspace")
    list_filter = (WhenFilter, WorkspaceFilter)
    list_select_related = ("workspace", "endpoint")
    search_help_text = "The id of a replay or of its endpoint."
    id_fields = ("pk", "endpoint_id")
    fields = ("id", *list_display)

    @admin.display(description="endpoint")
    def endpoint_page(self, replay: Replay) -> SafeString:
        return page_link(Endpoint, replay.endpoint_id, _short(replay.endpoint.url))


@admin.register(Shift)
class ShiftAdmin(ReadOnlyAdmin):
    list_display = ("host", "pid", "started_at", "beat_at", "in_flight")
    fields = list_display


def _replay(endpoint: Endpoint, asked: again.Range) -> bool:
    return again.replay_range(endpoint, asked, None).replay.event_count > 0


def _short(text: str) -> str:
    return text if len(text) <= ERROR_SHOWN else f"{text[:ERROR_SHOWN]}…"
