"""Inbound domains: the same verbs as in the API, and the operator's switches."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.core.made_rows import MadeByService, ServiceForm
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


class InboundDomainAdmin(MadeByService):
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

    def remove(self, row: InboundDomain) -> None:
        domains.delete(row)

    def row_context(self, request: HttpRequest, domain: InboundDomain) -> dict[str, Any]:
        return {"records": domains.records_of(domain), "title": domain.name, "subtitle": None}

    @admin.action(description="Verify now", permissions=["operate"])
    def verify_now(self, request: HttpRequest, queryset: QuerySet[InboundDomain]) -> None:
        # The look-up is over before the transaction of its audit row begins.
        looked_up = [domains.verify(domain) for domain in self.few(request, queryset)]
        for domain in looked_up:
            self.log_change(request, domain, f"Looked up: {domain.status}.")
            messages.info(request, f"{domain.name} is {domain.status}.")

    @admin.action(description="Receive without asking the DNS", permissions=["operate"])
    def trust(self, request: HttpRequest, queryset: QuerySet[InboundDomain]) -> None:
        self.change_each(request, queryset, domains.trust, "Receives by the operator's word")

    @admin.action(description="Disable: take no mail for it", permissions=["operate"])
    def disable(self, request: HttpRequest, queryset: QuerySet[InboundDomain]) -> None:
        self.change_each(request, queryset, domains.disable, "Disabled")

    @admin.action(description="Enable", permissions=["operate"])
    def enable(self, request: HttpRequest, queryset: QuerySet[InboundDomain]) -> None:
        self.change_each(request, queryset, domains.enable, "Enabled")
