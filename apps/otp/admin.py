"""Challenges, to read and to cancel. Neither the code nor what is kept of it is on any page."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.core.admin import ReadOnlyAdmin, as_json, page_link
from apps.core.window import WhenFilter
from apps.events.types import ResourceType
from apps.messages.lists import IdSearch
from apps.messages.models import Message
from apps.otp.models import Challenge
from apps.otp.services import endings
from apps.protocols.address import comparison_key
from apps.workspaces.admin import WorkspaceFilter
from apps.workspaces.models import Workspace

# Purposes are texts of the callers' own; those in use are found among the newest.
LOOKED_THROUGH = 500
OFFERED = 20


class PurposeFilter(admin.SimpleListFilter):
    title = "purpose"
    parameter_name = "purpose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        newest = Challenge.objects.across_workspaces().order_by("-pk").values_list("purpose", flat=True)
        purposes = sorted(set(newest[:LOOKED_THROUGH]))[:OFFERED]
        if (asked := request.GET.get(self.parameter_name)) and asked not in purposes:
            purposes.append(asked)
        return [(purpose, purpose) for purpose in purposes]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Challenge]) -> QuerySet[Challenge]:
        return queryset.filter(purpose=self.value()) if self.value() else queryset


@admin.register(Challenge)
class ChallengeAdmin(IdSearch, ReadOnlyAdmin):
    id_fields = ("pk", "message_id")
    list_display = ("created_at", "email", "purpose", "status", "tries", "expires_at", "story", "workspace")
    list_filter = (WhenFilter, "status", PurposeFilter, WorkspaceFilter)
    list_select_related = ("workspace", "message")
    search_fields = ("purpose",)
    search_help_text = "An id or a whole address, at any time; or a part of the purpose."
    fields = (
        *("id", "workspace", "email", "purpose", "status", "tries", "code_length", "story", "mail_status"),
        *("created_at", "expires_at", "verified_at", "canceled_at", "metadata_shown"),
    )
    actions = ("cancel",)
    event_resource = ResourceType.OTP

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return not lookup.startswith("code_hash") and super().lookup_allowed(lookup, value, request)

    def addressed(self, queryset: QuerySet[Any], address: str) -> QuerySet[Any]:
        # All workspaces are named because the index by address begins with the workspace.
        return queryset.filter(workspace__in=Workspace.objects.values("pk"), key=comparison_key(address))

    @admin.display(description="tries")
    def tries(self, row: Challenge) -> str:
        return f"{row.attempts} of {row.max_attempts}"

    @admin.display(description="message")
    def story(self, row: Challenge) -> SafeString:
        return page_link(Message, row.message_id, "its story")

    @admin.display(description="its mail")
    def mail_status(self, row: Challenge) -> SafeString:
        return format_html("{}: {}", row.message.get_status_display(), page_link(Message, row.message_id))

    @admin.display(description="metadata")
    def metadata_shown(self, row: Challenge) -> SafeString | str:
        return as_json(row.metadata)

    @admin.action(description="Cancel: the code is void", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Challenge]) -> None:
        self.change_each(
            request, queryset, lambda row: endings.cancel(row.workspace_id, row.pk, reason="operator"), "Canceled"
        )
