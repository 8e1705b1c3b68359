"""What the console's pages share: read-only where history matters, no counting of big tables."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import quote
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.core.errors import Invalid, Problem

MAX_COUNTED = 2_000


class BoundedPaginator(Paginator):
    """Counts to a bound and no further: a page must cost the same whatever the size of the table."""

    max_counted = MAX_COUNTED

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]  # the admin's lists are querysets
        return rows.order_by()[: self.max_counted].count()


class ConsoleAdmin(admin.ModelAdmin):
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


class ServiceForm(forms.ModelForm):
    """An add form whose row is made by a service, so that the service's refusals stand beside the fields.

    Django's own check of uniqueness is left out: it needs a manager that reaches into every workspace, and
    the service asks the database anyway.
    """

    # Fields whose wire names, which refusals use, are others.
    field_of: ClassVar[Mapping[str, str]] = {}

    def make(self) -> Model:
        """Makes the row from the cleaned data; each form says how. May raise a Problem."""
        raise NotImplementedError  # a form without it is our mistake, and no refusal of the service's

    def clean(self) -> dict[str, Any]:
        if not self.errors:
            try:
                self.instance = self.make()
            except Invalid as refusal:
                for name, reasons in refusal.details["fields"].items():
                    self.add_error(self.field_of.get(name, name), list(reasons))
            except Problem as refusal:
                self.add_error(None, refusal.message)
        return self.cleaned_data

    def _post_clean(self) -> None:
        """The row exists already; nothing is to be copied into it."""

    def save(self, commit: bool = True) -> Model:
        made: Model = self.instance
        return made

    def save_m2m(self) -> None:
        """There are no many-to-many fields."""


def page_url(model: type[Model] | Model, pk: int | str | UUID) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=(quote(pk),))


def page_link(model: type[Model] | Model, pk: int | str | UUID, text: object = None) -> SafeString:
    """A link to one row's page."""
    return format_html('<a href="{}">{}</a>', page_url(model, pk), pk if text is None else text)


def list_link(model: type[Model], text: str, **query: object) -> SafeString:
    """A link to a filtered list."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(query), text)


def verbatim(text: str | None) -> SafeString | str:
    """Text as it is, line breaks included; escaped, whatever it holds."""
    return format_html('<pre class="verbatim">{}</pre>', text) if text else "-"


def as_json(value: object) -> SafeString | str:
    return verbatim(json.dumps(value, indent=2, ensure_ascii=False, default=str)) if value else "-"
