"""Sender domains in the console: the same verbs as in the API, and a switch for the operator."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apps.core import clock
from apps.core.admin import ReadOnlyAdmin, page_link, verbatim
from apps.core.errors import Problem
from apps.core.made_rows import MadeByService, ServiceForm
from apps.domains.models import DkimKey, Domain, DomainRecord, ReturnPathLabel
from apps.domains.services import checking, keys, registry
from apps.domains.services.records import explain, records_of
from apps.domains.states import Algorithm, KeyState, Status
from apps.events.types import ResourceType
from apps.workspaces.admin import WorkspaceFilter

# A request that waited for more DNS servers might be ended by the web server.


class DomainForm(ServiceForm):
    field_of: ClassVar = {"domain": "name"}

    class Meta:
        model = Domain
        fields = ("workspace", "name")

    def make(self) -> Domain:
        return registry.create(self.cleaned_data["workspace"].pk, self.cleaned_data["name"])


@admin.register(Domain)
class DomainAdmin(MadeByService):
    """One domain's page tells what is wrong with it and what to do, record by record."""

    form = DomainForm
    change_form_template = "admin/domains/domain/change_form.html"
    list_display = ("name", "workspace", "status", "failing_since", "last_checked_at", "next_check_at", "created_at")
    list_filter = ("status", WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("name",)
    autocomplete_fields = ("workspace",)
    shown = ("id", "workspace", "name", "status", "verified_at", "is_trusted", "created_at", "updated_at")
    actions = ("verify_now", "rotate", "sign_twice", "sign_once", "withdraw", "disable", "enable")
    event_resource = ResourceType.DOMAIN

    def remove(self, row: Domain) -> None:
        registry.delete(row)

    def row_context(self, request: HttpRequest, domain: Domain) -> dict[str, Any]:
        """The records with what to do about each, and the buttons that make sense in this state."""
        now, rows = clock.now(), records_of(domain)
        useful = _useful(domain, [row.key for row in rows if row.key is not None])
        return {
            "records": [(row, explain(row, now)) for row in rows],
            "now": now,
            "title": domain.name,
            "subtitle": None,
            "page_actions": self.named_actions(request, useful),
        }

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Its records and keys have no deletion of their own, and yet they go with it.
        to_delete, model_count, _needed, protected = super().get_deleted_objects(objs, request)
        return to_delete, model_count, set(), protected

    @admin.action(description="Verify now", permissions=["operate"])
    def verify_now(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        self._verify(request, self.few(request, queryset), "Verified now")

    @admin.action(description="Rotate the DKIM key", permissions=["operate"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        what = "The next key waits: publish its record, and it signs as soon as that is seen."
        self._change_keys(request, queryset, lambda domain: bool(keys.rotate(domain)), what)

    @admin.action(description="Add an Ed25519 signature", permissions=["operate"])
    def sign_twice(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        what = "The Ed25519 key waits: publish its record, and it signs beside the other as soon as that is seen."
        self._change_keys(request, queryset, _sign_twice, what)

    @admin.action(description="Leave the Ed25519 signature out", permissions=["operate"])
    def sign_once(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        self._change_keys(request, queryset, keys.drop_second_signature, "Mail is signed with RSA alone.")

    @admin.action(description="Withdraw the key that waits", permissions=["operate"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        self._change_keys(request, queryset, keys.withdraw, "The key that waited to be seen is withdrawn.")

    @admin.action(description="Disable: send nothing from it", permissions=["operate"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        for domain in queryset:
            if registry.disable(domain):
                self.log_change(request, domain, "Disabled.")
                messages.success(request, f"{domain.name} is disabled.")

    @admin.action(description="Enable and verify", permissions=["operate"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        enabled = [domain for domain in self.few(request, queryset) if registry.enable(domain)]
        self._verify(request, enabled, "Enabled")

    def _verify(self, request: HttpRequest, domains: list[Domain], what: str) -> None:
        for domain in checking.verify_each(domains):
            self.log_change(request, domain, f"{what}: {domain.status}.")
            if domain.status == Status.VERIFIED and domain.failed_at is None:
                messages.success(request, f"{domain.name} is {domain.status}.")
            else:
                messages.warning(request, f"{domain.name} is {domain.status}. What is wrong stands at its records.")

    def _change_keys(
        self, request: HttpRequest, queryset: QuerySet[Domain], change: Callable[[Domain], bool], what: str
    ) -> None:
        for domain in self.few(request, queryset):
            try:
                has_changed = change(domain)
            except Problem as refusal:
                messages.error(request, f"{domain.name}: {refusal.message}")
                continue
            if has_changed:
                self.log_change(request, domain, what)
                messages.success(request, f"{domain.name}: {what}")
            else:
                messages.info(request, f"{domain.name}: there was nothing to change.")


@admin.register(DomainRecord)
class DomainRecordAdmin(ReadOnlyAdmin):
    list_display = ("name", "type", "purpose", "required", "status", "diagnosis", "domain_page", "workspace")
    list_filter = ("status", "purpose", WorkspaceFilter)
    list_select_related = ("workspace", "domain", "key")
    search_fields = ("name",)
    fields = (*list_display, "value_shown", "explained", "found_shown", "held_until")

    @admin.display(description="domain")
    def domain_page(self, row: DomainRecord) -> SafeString:
        return page_link(Domain, row.domain_id, row.domain.name)

    @admin.display(description="value")
    def value_shown(self, row: DomainRecord) -> SafeString | str:
        return verbatim(row.value)

    @admin.display(description="found")
    def found_shown(self, row: DomainRecord) -> SafeString | str:
        return verbatim("\n".join(row.found))

    @admin.display(description="explanation")
    def explained(self, row: DomainRecord) -> str:
        return explain(row, clock.now()) or "-"


@admin.register(DkimKey)
class DkimKeyAdmin(ReadOnlyAdmin):
    """The public half stands among the domain's records; the private half is shown to nobody."""

    list_display = ("selector", "algorithm", "state", "domain_page", "workspace", "activated_at", "retires_at")
    list_filter = ("state", "algorithm", WorkspaceFilter)
    list_select_related = ("workspace", "domain")
    search_fields = ("selector", "domain__name")
    fields = ("id", *list_display, "created_at")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return not lookup.startswith("private_sealed") and super().lookup_allowed(lookup, value, request)

    @admin.display(description="domain")
    def domain_page(self, row: DkimKey) -> SafeString:
        return page_link(Domain, row.domain_id, row.domain.name)


@admin.register(ReturnPathLabel)
class ReturnPathLabelAdmin(ReadOnlyAdmin):
    """Names that were given out, also those of domains that are gone: none is ever given to somebody else."""

    list_display = ("label", "domain", "workspace_id", "created_at", "released_at")
    search_fields = ("label", "domain")
    fields = list_display


def _sign_twice(domain: Domain) -> bool:
    keys.add_second_signature(domain)
    return True


def _useful(domain: Domain, keys: list[DkimKey]) -> set[str]:
    """The actions that would change something about this domain."""
    if domain.status == Status.DISABLED:
        return {"enable"}
    useful = {"disable"} if domain.is_trusted else {"disable", "verify_now"}
    if domain.status != Status.VERIFIED or domain.is_trusted:
        return useful
    held = {(key.algorithm, key.state) for key in keys}
    has_second = {(Algorithm.ED25519, KeyState.NEXT), (Algorithm.ED25519, KeyState.ACTIVE)} & held
    useful.add("withdraw" if (Algorithm.RSA, KeyState.NEXT) in held else "rotate")
    return useful | {"sign_once" if has_second else "sign_twice"}
