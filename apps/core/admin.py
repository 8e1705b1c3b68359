"""What the console's pages share: read-only where history matters, no counting of big tables."""

import json
from collections.abc import Callable, Collection, Iterable
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from apps.core.errors import Problem
from apps.core.keyset import KeysetChangeList
from apps.core.looks import note_look

MAX_COUNTED = 2_000
# Rows of one action: each may be a transaction of its own, and a request has a time limit.
MAX_CHOSEN = 500
# Rows of an action that asks others, such as the DNS, about each of them.
MAX_WAITED_FOR = 5
MAX_ID_KEPT = 100
# Each is a condition of its own, and a statement may have only so many.
MAX_WORDS = 16
# A part of a value would tell a secret letter by letter, and a regular expression runs in the database.
WHOLE_VALUE = frozenset({"", "exact", "isnull", "isempty"})
# How a word of a state looks (static/console.css): what went well, what is under way, what waits though it should not,
# what went wrong; and quietly what came to its end by somebody's choice, or says nothing.
TONES = {
    **dict.fromkeys(("sent", "verified", "active", "completed", "ready", "succeeded", "matched", "pass"), "good"),
    **dict.fromkeys(("queued", "sending", "pending", "scheduled", "processing", "open"), "open"),
    **dict.fromkeys(("deferred", "ambiguous", "soft", "suspended", "partially_failed"), "waiting"),
    **dict.fromkeys(("retrying", "unmatched", "softfail"), "waiting"),
    **dict.fromkeys(("failed", "bounced", "hard", "missing", "complaint", "hard_bounce", "forged", "fail"), "bad"),
    **dict.fromkeys(("suppressed", "canceled", "expired", "archived", "deleted", "disabled"), "quiet"),
    **dict.fromkeys(("unknown", "ignored"), "quiet"),
}


class BoundedPaginator(Paginator):
    """Counts to a bound and no further: a page must cost the same whatever the size of the table."""

    max_counted = MAX_COUNTED

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]  # the admin's lists are querysets
        return rows.order_by()[: self.max_counted].count()


class RowSelect(AutocompleteSelect):
    """Shows its form again also where what was sent is no id at all, which Django's own looks up without a try."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        return super().optgroups(name, [text for text in value if self._is_id(text)], attr)

    def _is_id(self, text: Any) -> bool:
        try:
            self.field.remote_field.get_related_field().to_python(text)
        except ValidationError:
            return False
        return True


class StrictAdmin(admin.ModelAdmin):
    """Lists that are filtered by whole values only, and actions for rows that were chosen one by one."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        _name, _, kind = lookup.partition("__")
        return kind in WHOLE_VALUE and super().lookup_allowed(lookup, value, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if len(search_term.split()) > MAX_WORDS:
            messages.error(request, f"Search for at most {MAX_WORDS} words.")
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *options: Any, **more: Any
    ) -> HttpResponse | None:
        if refusal := self._refusal(request):
            messages.error(request, refusal)
            return None
        return super().response_action(request, queryset, *options, **more)

    def _refusal(self, request: HttpRequest) -> str:
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if request.POST.get("select_across", "0") != "0":
            return "Choose the rows themselves; nothing was changed."
        if len(chosen) > MAX_CHOSEN:
            return f"Choose at most {MAX_CHOSEN} rows at a time; nothing was changed."
        if not all(self._is_id(text) for text in chosen):
            return "A chosen row has no id that can be; nothing was changed."
        return ""

    def _is_id(self, text: str) -> bool:
        # A row that is one with another's has that one's id.
        column = getattr(self.opts.pk, "target_field", self.opts.pk)
        try:
            column.run_validators(column.to_python(text))
        except ValidationError:
            return False
        return "\0" not in text


class ConsoleAdmin(StrictAdmin):
    """A list of newest rows first, and a page whose buttons are the list's actions for this one row."""

    change_form_template = "admin/console/change_form.html"
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    ordering: ClassVar[tuple[str, ...]] = ("-pk",)
    # The ResourceType of events about these rows, where there are such events.
    event_resource = ""
    # Any other order would sort the whole table.
    sortable_by = ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **more: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            more = {"widget": RowSelect(db_field, self.admin_site)} | more
        return super().formfield_for_foreignkey(db_field, request, **more)

    def get_changelist(self, request: HttpRequest, **more: Any) -> Any:
        """Small tables in another order keep the admin's pages, which are counted to a bound."""
        is_by_id = tuple(self.get_ordering(request)) == ("-pk",)
        return KeysetChangeList if is_by_id else super().get_changelist(request, **more)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return ["state" if name == "status" else name for name in super().get_list_display(request)]

    @admin.display(description="status")
    def state(self, row: Any) -> SafeString:
        """The status of a row, in every list that has one."""
        return pill(row.status)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": capfirst(str(self.opts.verbose_name_plural))} | (extra_context or {})
        return super().changelist_view(request, context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        choices = self.get_action_choices(request, default_choices=[])
        # Deleting has a page of its own.
        actions = [choice for choice in choices if choice[0] != "delete_selected"]
        context = {"page_actions": actions, "checkbox_name": ACTION_CHECKBOX_NAME} | (extra_context or {})
        return super().change_view(request, object_id, form_url, context)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], add: bool = False, *options: Any, **more: Any
    ) -> HttpResponse:
        row = context["original"] if not add else None
        if row is not None:
            context = context | self.row_context(request, row)
        return super().render_change_form(request, context, add, *options, **more)

    def row_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the page of one row is given beside its fields: a title of its own, fewer buttons, whatever it shows."""
        return {}

    def named_actions(self, request: HttpRequest, names: Collection[str]) -> list[tuple[str, str]]:
        """Of the actions that this user may use, those that can do something for a row."""
        choices: list[tuple[str, str]] = self.get_action_choices(request, default_choices=[])
        return [choice for choice in choices if choice[0] in names]

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *options: Any, **more: Any
    ) -> HttpResponse | None:
        """An action started on a row's page leads back to that page and not to the list."""
        response = super().response_action(request, queryset, *options, **more)
        pk = request.POST.get(ACTION_CHECKBOX_NAME, "")
        is_from_page = "from_page" in request.POST and isinstance(response, HttpResponseRedirect)
        # The action may have ended the row itself.
        if is_from_page and self.get_object(request, pk) is not None:
            return HttpResponseRedirect(page_url(self.model, pk))
        return response

    def change_each(
        self, request: HttpRequest, rows: Iterable[Any], change: Callable[[Any], object], done: str
    ) -> None:
        """Changes each row in a transaction with its audit row, so that neither is there without the other.

        A refusal is told and leaves its row as it is; `change` answers False where there was nothing to change.
        """
        changed = 0
        unchanged: list[str] = []
        for row in rows:
            try:
                with transaction.atomic():
                    if change(row) is False:
                        unchanged.append("There was nothing to change.")
                        continue
                    self.log_change(request, row, f"{done}.")
            except Problem as refusal:
                unchanged.append(refusal.message)
            else:
                changed += 1
        if changed:
            messages.success(request, f"{done}: {changed}.")
        for reason in dict.fromkeys(unchanged):
            messages.warning(request, f"Unchanged: {unchanged.count(reason)}. {reason}")

    def few(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """The chosen rows, or none where they are too many for an action that waits for others at each."""
        chosen = list(queryset)
        if len(chosen) <= MAX_WAITED_FOR:
            return chosen
        what = self.opts.verbose_name_plural
        messages.error(request, f"Choose at most {MAX_WAITED_FOR} {what}; each may wait for a slow server elsewhere.")
        return []

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Who may change these rows may use their actions, also where no field can be edited."""
        return super().has_change_permission(request)


class ReadOnlyAdmin(ConsoleAdmin):
    """Rows that are written by the platform alone."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ConfidentialAdmin(ReadOnlyAdmin):
    """Rows that few may read: each look is kept in the console's record, also one that was refused."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        self._keep_refusal(request, "")
        return super().changelist_view(request, extra_context)

    def change_view(self, request: HttpRequest, object_id: str, *options: Any, **more: Any) -> HttpResponse:
        self._keep_refusal(request, object_id)
        if self.has_view_permission(request) and (row := self.get_object(request, object_id)) is not None:
            note_look(request, row)
        return super().change_view(request, object_id, *options, **more)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self._keep_refusal(request, object_id)
        return super().history_view(request, object_id, extra_context)

    def _keep_refusal(self, request: HttpRequest, object_id: str) -> None:
        if self.has_view_permission(request):
            return
        LogEntry.objects.create(
            user=request.user,  # type: ignore[misc]  # strangers do not come this far
            content_type=get_content_type_for_model(self.model),
            # Whatever was asked for; a row need not be there.
            object_id=unquote(object_id)[:MAX_ID_KEPT] or None,
            object_repr=str(self.opts.verbose_name),
            action_flag=CHANGE,
            change_message="Refused: may not be seen by this user.",
        )


class ReadOnlyInline(admin.TabularInline):
    """Rows shown on the page of what they belong to."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def page_url(model: type[Model] | Model, pk: int | str | UUID) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=(quote(pk),))


def page_link(model: type[Model] | Model, pk: int | str | UUID, text: object = None) -> SafeString:
    """A link to one row's page."""
    return format_html('<a href="{}">{}</a>', page_url(model, pk), pk if text is None else text)


def list_link(model: type[Model], text: str, **query: object) -> SafeString:
    """A link to a filtered list."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(query), text)


def pill(word: str) -> SafeString:
    """A word of a fixed vocabulary with the colour of its meaning."""
    return format_html('<span class="pill {}">{}</span>', TONES.get(word, "quiet"), word.replace("_", " ").capitalize())


def verbatim(text: str | None) -> SafeString | str:
    """Text as it is, line breaks included; escaped, whatever it holds."""
    return format_html('<pre class="verbatim">{}</pre>', text) if text else "-"


def as_json(value: object) -> SafeString | str:
    return verbatim(json.dumps(value, indent=2, ensure_ascii=False, default=str)) if value else "-"
