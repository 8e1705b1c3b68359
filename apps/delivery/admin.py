"""The delivery engine in the console: destinations, workers, and the inbox of captured mail."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.core.admin import ReadOnlyAdmin
from apps.delivery.inbox.console import InboxAdmin
from apps.delivery.models import CapturedMessage, Destination, Drain
from apps.delivery.services import destinations


@admin.register(Destination)
class DestinationAdmin(ReadOnlyAdmin):
    list_display = ("key", "failures", "paused_until", "last_error", "updated_at")
    search_fields = ("key",)
    ordering = ("-paused_until", "key")
    actions = ("resume",)

    @admin.action(description="Resume now", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Destination]) -> None:
        for destination in queryset:
            self.log_change(request, destination, "Pause ended by hand.")
            destinations.resume(destination)
            messages.success(request, f"{destination.key} is tried again.")


@admin.register(Drain)
class DrainAdmin(ReadOnlyAdmin):
    list_display = ("host", "pid", "started_at", "beat_at", "looked_at", "in_flight")
    ordering = ("-beat_at",)


admin.site.register(CapturedMessage, InboxAdmin)
