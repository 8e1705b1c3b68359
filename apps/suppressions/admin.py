"""Suppressed addresses in the console, added and lifted by the services that record events."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from apps.core.admin import ConsoleAdmin, ServiceForm
from apps.core.errors import Conflict
from apps.events.types import ResourceType
from apps.protocols.address import AddressError, Mailbox, canonical_email
from apps.suppressions import services
from apps.suppressions.models import Source, Suppression
from apps.workspaces.admin import WorkspaceFilter


class SuppressionForm(ServiceForm):
    class Meta:
        model = Suppression
        fields = ("workspace", "email", "reason")

    def clean_email(self) -> str:
        try:
            return canonical_email(self.cleaned_data["email"])
        except AddressError as error:
            raise forms.ValidationError(error.reason) from error

    def make(self) -> Suppression:
        workspace_id, email = self.cleaned_data["workspace"].pk, self.cleaned_data["email"]
        new = services.NewSuppression(workspace_id, email, self.cleaned_data["reason"], Source.USER)
        if services.add([new]) == 0:
            raise Conflict("This address is suppressed in this workspace already.")
        row: Suppression = Suppression.objects.of(workspace_id).get(key=Mailbox(email).key)
        return row


@admin.register(Suppression)
class SuppressionAdmin(ConsoleAdmin):
    form = SuppressionForm
    list_display = ("email", "workspace", "reason", "source", "created_at")
    list_filter = ("reason", WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("email", "key__exact")
    autocomplete_fields = ("workspace",)
    shown = (
        "id",
        "workspace",
        "email",
        "reason",
        "source",
        "message_id",
        "bounce_id",
        "metadata",
        "created_at",
    )
    event_resource = ResourceType.SUPPRESSION

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ("workspace", "email", "reason") if obj is None else self.shown

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Suppression, form: SuppressionForm, change: bool) -> None:
        """The form's service has stored it, with its event."""

    def delete_model(self, request: HttpRequest, obj: Suppression) -> None:
        services.remove(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> None:
        with transaction.atomic():
            for suppression in queryset:
                services.remove(suppression)
