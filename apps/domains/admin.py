"""Sender domains in the console: the same verbs as in the API, and a switch for the operator."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apps.core.admin import ConsoleAdmin, ReadOnlyAdmin, ReadOnlyInline, ServiceForm, page_link, verbatim
from apps.domains import services
from apps.domains.models import DkimKey, Domain, DomainRecord, Status
from apps.events.types import ResourceType
from apps.workspaces.admin import WorkspaceFilter

# A request that waited for more DNS servers might be ended by the web server.
MAX_VERIFIED = 5


class DomainForm(ServiceForm):
    field_of: ClassVar = {"domain": "name"}

    class Meta:
        model = Domain
        fields = ("workspace", "name")

    def make(self) -> Domain:
        return services.create(self.cleaned_data["workspace"].pk, self.cleaned_data["name"])


class RecordInline(ReadOnlyInline):
    model = DomainRecord
    fields = ("purpose", "type", "name", "value_shown", "required", "status", "explanation")
    readonly_fields = fields
    verbose_name_plural = "records to publish"

    @admin.display(description="value")
    def value_shown(self, row: DomainRecord) -> SafeString | str:
        return verbatim(row.value)


@admin.register(Domain)
class DomainAdmin(ConsoleAdmin):
    form = DomainForm
    list_display = ("name", "workspace", "status", "verified_at", "last_checked_at", "created_at")
    list_filter = ("status", WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("name",)
    autocomplete_fields = ("workspace",)
    shown = (
        "id",
        "workspace",
        "name",
        "status",
        "verified_at",
        "last_checked_at",
        "created_at",
        "updated_at",
    )
    actions = ("verify_now", "disable", "enable")
    event_resource = ResourceType.DOMAIN

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ("workspace", "name") if obj is None else self.shown

    def get_inlines(self, request: HttpRequest, obj: Model | None) -> Any:
        return [] if obj is None else [RecordInline]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Domain, form: DomainForm, change: bool) -> None:
        """The form's service has stored it, with its records, its key and its event."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Its records and keys have no deletion of their own, and yet they go with it.
        to_delete, model_count, _needed, protected = super().get_deleted_objects(objs, request)
        return to_delete, model_count, set(), protected

    def delete_model(self, request: HttpRequest, obj: Domain) -> None:
        services.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        for domain in queryset:
            services.delete(domain)

    @admin.action(description="Verify now", permissions=["operate"])
    def verify_now(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        for domain in _few(request, queryset):
            self._verify(request, domain, "Verified now")

    @admin.action(description="Disable: send nothing from it", permissions=["operate"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        for domain in queryset:
            if services.disable(domain):
                self.log_change(request, domain, "Disabled.")
                messages.success(request, f"{domain.name} is disabled.")

    @admin.action(description="Enable and verify", permissions=["operate"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        for domain in _few(request, queryset):
            if services.enable(domain):
                self._verify(request, domain, "Enabled")

    def _verify(self, request: HttpRequest, domain: Domain, what: str) -> None:
        status = services.verify(domain).status
        self.log_change(request, domain, f"{what}: {status}.")
        level = messages.SUCCESS if status == Status.VERIFIED else messages.WARNING
        messages.add_message(request, level, f"{domain.name} is {status}.")


@admin.register(DomainRecord)
class DomainRecordAdmin(ReadOnlyAdmin):
    list_display = ("name", "type", "purpose", "required", "status", "domain_page", "workspace")
    list_filter = ("status", "purpose", WorkspaceFilter)
    list_select_related = ("workspace", "domain")
    search_fields = ("name",)
    fields = (*list_display, "value_shown", "explanation", "found")

    @admin.display(description="domain")
    def domain_page(self, row: DomainRecord) -> SafeString:
        return page_link(Domain, row.domain_id, row.domain.name)

    @admin.display(description="value")
    def value_shown(self, row: DomainRecord) -> SafeString | str:
        return verbatim(row.value)


@admin.register(DkimKey)
class DkimKeyAdmin(ReadOnlyAdmin):
    """The public half stands among the domain's records; the private half is shown to nobody."""

    list_display = ("selector", "domain_page", "workspace", "created_at")
    list_filter = (WorkspaceFilter,)
    list_select_related = ("workspace", "domain")
    search_fields = ("selector", "domain__name")
    fields = ("id", "selector", "domain_page", "workspace", "created_at")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return not lookup.startswith("private_sealed") and super().lookup_allowed(lookup, value, request)

    @admin.display(description="domain")
    def domain_page(self, row: DkimKey) -> SafeString:
        return page_link(Domain, row.domain_id, row.domain.name)


def _few(request: HttpRequest, queryset: QuerySet[Domain]) -> list[Domain]:
    """The chosen domains, or none where they are too many for one request."""
    chosen = list(queryset)
    if len(chosen) <= MAX_VERIFIED:
        return chosen
    messages.error(request, f"Choose at most {MAX_VERIFIED} domains; each may wait for a slow DNS server.")
    return []
