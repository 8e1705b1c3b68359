"""Rows that operators make and remove in the console by the services that record events; nobody edits them."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from apps.core.admin import ConsoleAdmin
from apps.core.errors import Invalid, Problem


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


class MadeByService(ConsoleAdmin):
    """`form` is a ServiceForm; `added` are its fields, `shown` those of a row."""

    added: tuple[str, ...] = ("workspace", "name")
    shown: tuple[str, ...] = ()

    def remove(self, row: Any) -> None:
        """Removes one row by its service."""
        raise NotImplementedError  # an admin without it is our mistake

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.added if obj is None else self.shown

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The form's service has stored it, with all that belongs to it."""

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.remove(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            for row in queryset:
                self.remove(row)
