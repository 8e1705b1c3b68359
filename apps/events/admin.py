"""What happened, to read."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apps.core.admin import ReadOnlyAdmin, as_json, list_link, page_link
from apps.core.ids import parse_id
from apps.core.window import WhenFilter
from apps.events.models import Event
from apps.workspaces.admin import WorkspaceFilter


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "type", "workspace", "resource_type", "about", "story")
    list_filter = (WhenFilter, "type", WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("id",)
    search_help_text = "The id of an event, of its message or of what it is about."
    fields = (
        "id",
        "created_at",
        "type",
        "meaning",
        "workspace",
        "resource_type",
        "about",
        "story",
        "data_shown",
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        identifier = parse_id(search_term.strip().lower())
        if identifier is None:
            return queryset.none(), False
        found = Q(pk=identifier) | Q(message_id=identifier) | Q(resource_id=identifier)
        return queryset.filter(found), False

    @admin.display(description="about")
    def about(self, event: Event) -> SafeString | str:
        """The resource, where the console has a page for it; events know of no table above them."""
        for model, model_admin in self.admin_site._registry.items():
            if getattr(model_admin, "event_resource", None) == event.resource_type:
                return page_link(model, event.resource_id)
        return str(event.resource_id)

    @admin.display(description="events of its message")
    def story(self, event: Event) -> SafeString | str:
        return list_link(Event, "all events", message_id=event.message_id) if event.message_id else "-"

    @admin.display(description="meaning")
    def meaning(self, event: Event) -> str:
        return event.get_type_display()

    @admin.display(description="data")
    def data_shown(self, event: Event) -> SafeString | str:
        return as_json(event.data)
