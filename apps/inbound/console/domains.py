"""Inbound domains: the same verbs as in the API, and the operator's switches."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse

from apps.core.admin import ConsoleAdmin, ServiceForm
from apps.events.types import ResourceType
from apps.inbound.models import InboundDomain
from apps.inbound.services import domains
from apps.workspaces.admin import WorkspaceFilter


class InboundDomainForm(ServiceForm):
    field_of: ClassVar = {"domain": "name"}

    class Meta:
        model = InboundDomain
        fields = ("workspace", "name")

    def make(self) -> InboundDomain:
        return domains.create(self.cleaned_data["workspace"].pk, self.cleaned_data["name"])


class InboundDomainAdmin(ConsoleAdmin):
    """One domain's page tells what is wrong with its records and what to do."""

    form = InboundDomainForm
    change_form_template = "admin/inbound/inbounddomain/change_form.html"
    list_display = ("name", "workspace", "status", "verified_at", "last_checked_at", "created_at")
    list_filter = ("status", WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("name",)
    autocomplete_fields = ("workspace",)
    shown = ("id", "workspace", "name", "status", "verified_at", "is_trusted", "created_at", "updated_at")
    actions = ("verify_now", "trust", "disable", "enable")
    event_resource = ResourceType.INBOUND_DOMAIN

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ("workspace", "name") if obj is None else self.shown

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: InboundDomain, form: InboundDomainForm, change: bool) -> None:
        """The form's service has stored it."""

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        domain = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if domain is not None:
            context = {"records": domains.records_of(domain), "title": domain.name, "subtitle": None}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def delete_model(self, request: HttpRequest, obj: InboundDomain) -> None:
        domains.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[InboundDomain]) -> None:
        for domain in queryset:
            domains.delete(domain)

    @admin.action(description="Verify now", permissions=["operate"])
    def verify_now(self, request: HttpRequest, queryset: QuerySet[InboundDomain]) -> None:
        self.change_each(request, queryset, domains.verify, "Looked up")

    @admin.action(description="Receive without asking the DNS", permissions=["operate"])
    def trust(self, request: HttpRequest, queryset: QuerySet[InboundDomain]) -> None:
        self.change_each(request, queryset, domains.trust, "Receives by the operator's word")

    @admin.action(description="Disable: take no mail for it", permissions=["operate"])
    def disable(self, request: HttpRequest, queryset: QuerySet[InboundDomain]) -> None:
        self.change_each(request, queryset, domains.disable, "Disabled")

    @admin.action(description="Enable", permissions=["operate"])
    def enable(self, request: HttpRequest, queryset: QuerySet[InboundDomain]) -> None:
        self.change_each(request, queryset, domains.enable, "Enabled")
