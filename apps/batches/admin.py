"""Batches and their items to read: how far each is, and what went wrong with which of its items."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.batches.models import Batch, BatchItem
from apps.batches.services.reading import in_state, tallies
from apps.batches.states import LOST, REFUSED, Tally
from apps.core.admin import ReadOnlyAdmin, as_json, list_link, page_link, pill
from apps.core.keyset import KeysetChangeList
from apps.core.window import WhenFilter
from apps.messages.lists import IdSearch
from apps.messages.models import Message
from apps.messages.states import Status
from apps.workspaces.admin import WorkspaceFilter

ITEMS_SHOWN = 100
BAR_WIDTH = 1_000
ADDRESSES_SHOWN = 3


class BatchChangeList(KeysetChangeList):
    """Counts the items of all rows of a page in one query."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        found = tallies(BatchItem.objects.across_workspaces(), self.result_list)
        for row in self.result_list:
            row.tally = found[row.pk]


@admin.register(Batch)
class BatchAdmin(IdSearch, ReadOnlyAdmin):
    """The list shows how far each is; the page of one begins with what failed."""

    change_form_template = "admin/batches/batch/change_form.html"
    list_display = ("created_at", "condition", "progress", "counts", "type", "sender", "workspace")
    list_filter = (WhenFilter, "type", WorkspaceFilter)
    list_select_related = ("workspace",)
    id_fields = ("pk",)
    search_fields = ("from_email",)
    search_help_text = "An id, at any time; or a part of the sender."
    fields = ("id", "workspace", "type", "sender", "template_id", "template_version_id", "created_at")

    def get_changelist(self, request: HttpRequest, **more: Any) -> Any:
        return BatchChangeList

    def addressed(self, queryset: QuerySet[Any], address: str) -> QuerySet[Any]:
        return queryset.filter(from_email=address)

    def row_context(self, request: HttpRequest, batch: Batch) -> dict[str, Any]:
        return _page_of(batch)

    @admin.display(description="status")
    def condition(self, batch: Any) -> SafeString:
        return pill(batch.tally.status)

    @admin.display(description="progress")
    def progress(self, batch: Any) -> SafeString:
        return bar(batch.tally)

    @admin.display(description="items")
    def counts(self, batch: Any) -> SafeString:
        return counts_of(batch.pk, batch.tally)

    @admin.display(description="from")
    def sender(self, batch: Batch) -> str:
        if not batch.from_email:
            return "-"
        return f"{batch.from_name} <{batch.from_email}>" if batch.from_name else batch.from_email


class ItemWhenFilter(WhenFilter):
    certain = WhenFilter.certain | {"batch_id"}


class StateFilter(admin.SimpleListFilter):
    """By what became of an item's message; without a message it failed."""

    title = "status"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("refused", "Refused"), *((status.value, status.label) for status in Status)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[BatchItem]) -> QuerySet[BatchItem]:
        if self.value() == "refused":
            return queryset.filter(message=None)
        return in_state(queryset, str(self.value())) if self.value() in set(Status) else queryset


@admin.register(BatchItem)
class BatchItemAdmin(IdSearch, ReadOnlyAdmin):
    list_display = ("batch_page", "index", "addresses", "condition", "refusal", "message_page", "workspace")
    list_filter = (ItemWhenFilter, StateFilter, WorkspaceFilter)
    list_select_related = ("workspace", "message")
    id_fields = ("pk", "batch_id", "message_id")
    search_fields = ("idempotency_key__exact",)
    search_help_text = "The id of an item, a batch or a message, or a whole idempotency key."
    fields = (
        *("id", "workspace", "batch_page", "index", "addresses", "condition", "message_page"),
        *("error_code", "error_message", "details", "idempotency_key", "idempotency_status"),
    )

    def addressed(self, queryset: QuerySet[Any], address: str) -> QuerySet[Any]:
        return queryset.filter(idempotency_key=address)

    @admin.display(description="batch")
    def batch_page(self, item: BatchItem) -> SafeString:
        return page_link(Batch, item.batch_id)

    @admin.display(description="to")
    def addresses(self, item: BatchItem) -> str:
        return addresses_of(item)

    @admin.display(description="status")
    def condition(self, item: BatchItem) -> SafeString:
        return pill(state_of(item))

    @admin.display(description="error")
    def refusal(self, item: BatchItem) -> str:
        return error_of(item)

    @admin.display(description="message")
    def message_page(self, item: BatchItem) -> SafeString | str:
        return page_link(Message, item.message_id) if item.message_id else "-"

    @admin.display(description="error details")
    def details(self, item: BatchItem) -> SafeString | str:
        return as_json(item.error_details)


def bar(tally: Tally) -> SafeString:
    """A picture of how many ended how; the same in words for whoever does not see it."""
    parts = [("good", tally.sent), ("quiet", tally.suppressed), ("bad", tally.failed)]
    done = sum(count for _, count in parts)
    percent = 100 * done // tally.total if tally.total else 100
    return format_html(
        '<span class="progress"><svg viewBox="0 0 {} 10" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
        "<span>{} %</span></span>",
        BAR_WIDTH,
        f"{done} of {tally.total} done: {tally.sent} sent, {tally.failed} failed, {tally.suppressed} suppressed",
        format_html_join("", '<rect class="{}" x="{}" width="{}" height="10"></rect>', _strips(parts, tally.total)),
        percent,
    )


def counts_of(batch_id: object, tally: Tally) -> SafeString:
    """How many items are in which state, each with a link to exactly these."""
    order = [status.value for status in Status]
    found = sorted((item for item in tally.counts.items() if item[1]), key=lambda item: order.index(item[0]))
    links = [(list_link(BatchItem, f"{count} {state}", batch_id=batch_id, state=state),) for state, count in found]
    return format_html_join(" · ", "{}", links)


def state_of(item: BatchItem) -> str:
    return REFUSED.value if item.message is None else item.message.status


def error_of(item: BatchItem) -> str:
    """Why there is no message, or what its message's last error was."""
    if item.error_code:
        return f"{item.error_code}: {item.error_message}"
    return (item.message.last_error if item.message else "") or "-"


def addresses_of(item: BatchItem) -> str:
    shown = ", ".join(item.to[:ADDRESSES_SHOWN])
    return f"{shown} …" if len(item.to) > ADDRESSES_SHOWN else shown or "-"


def _strips(parts: list[tuple[str, int]], total: int) -> Iterator[tuple[str, str, str]]:
    begin = 0.0
    for tone, count in parts:
        width = BAR_WIDTH * count / total if total else 0
        if width:
            yield tone, f"{begin:.0f}", f"{width:.0f}"
        begin += width


def _page_of(batch: Batch) -> dict[str, Any]:
    """The bar, the counts, and the items with those first that failed."""
    mine = BatchItem.objects.of(batch.workspace_id)
    tally = tallies(mine, [batch])[batch.pk]
    failed_first = Case(When(message=None, then=Value(0)), When(message__status__in=LOST, then=Value(0)), default=1)
    items = mine.filter(batch=batch).select_related("message").order_by(failed_first, "index")[:ITEMS_SHOWN]
    rows = [
        {
            "item": item,
            "state": state_of(item),
            "to": addresses_of(item),
            "error": error_of(item),
            "story": page_link(Message, item.message_id, "Story") if item.message_id else "",
        }
        for item in items
    ]
    return {
        "tally": tally,
        "bar": bar(tally),
        "counts": counts_of(batch.pk, tally),
        "rows": rows,
        "all_items": list_link(BatchItem, f"All {tally.total} items", batch_id=batch.pk),
        "title": "A batch",
    }
