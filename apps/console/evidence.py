"""Suppressions with what they came of: the message, the bounce, and the try that ended it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.core.admin import as_json, list_link, page_link
from apps.messages.lists import IdSearch
from apps.messages.models import Attempt, Bounce, Message
from apps.messages.soft_bounces import REPEATED
from apps.messages.states import BounceSource
from apps.protocols.address import comparison_key
from apps.suppressions.admin import SuppressionAdmin
from apps.suppressions.models import Reason, Source, Suppression
from apps.workspaces.models import Workspace

GONE = "no longer kept"
BY_HAND = "Somebody put it on the list: by the API, here, or from a file."
NO_BOUNCE = {
    Reason.COMPLAINT: "The recipient called mail of this workspace spam.",
    Reason.HARD_BOUNCE: "A server said that the address is dead.",
}
MEANINGS = {
    Reason.HARD_BOUNCE: "The address is dead, as its server said.",
    Reason.REPEATED_SOFT_BOUNCE: (
        f"Its mailbox took no mail {REPEATED.bounces} times within {REPEATED.within.days} days, "
        "with no delivery in between."
    ),
}


class EvidencedSuppressionAdmin(IdSearch, SuppressionAdmin):
    id_fields = ("pk",)
    list_display = ("email", "workspace", "reason", "source", "came_of", "created_at")
    search_help_text = "An id, or a whole address in any spelling; or a part of one."
    shown = (
        *("id", "workspace", "email", "reason", "source", "meaning"),
        *("message_page", "bounce_page", "attempt_page", "all_bounces", "metadata_shown", "created_at", "lifting"),
    )

    def addressed(self, queryset: QuerySet[Any], address: str) -> QuerySet[Any]:
        # All workspaces are named because the index by address begins with the workspace.
        return queryset.filter(workspace__in=Workspace.objects.values("pk"), key=comparison_key(address))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.shown

    @admin.display(description="came of")
    def came_of(self, row: Suppression) -> SafeString | str:
        if row.bounce_id:
            return page_link(Bounce, row.bounce_id, "a bounce")
        return page_link(Message, row.message_id, "a message") if row.message_id else "-"

    @admin.display(description="what it means")
    def meaning(self, row: Suppression) -> str:
        if row.source == Source.USER:
            return BY_HAND
        reason = Reason(row.reason)
        return MEANINGS.get(reason) or NO_BOUNCE.get(reason) or "-"

    @admin.display(description="message")
    def message_page(self, row: Suppression) -> SafeString | str:
        if row.message_id is None:
            return "-"
        message = Message.objects.of(row.workspace_id).filter(pk=row.message_id).only("subject").first()
        return page_link(Message, message.pk, message.subject or "its story") if message else GONE

    @admin.display(description="bounce")
    def bounce_page(self, row: Suppression) -> SafeString | str:
        if row.bounce_id is None:
            return "-"
        bounce = self._bounce(row)
        return page_link(Bounce, bounce.pk, bounce.diagnostic or bounce) if bounce else GONE

    @admin.display(description="attempt")
    def attempt_page(self, row: Suppression) -> SafeString | str:
        """The try that the bounce was the answer to; a report that came later answers none of ours."""
        bounce = self._bounce(row) if row.bounce_id else None
        if bounce is None or bounce.source != BounceSource.SMTP_LOG:
            return "-"
        tries = Attempt.objects.of(row.workspace_id).filter(
            recipient_id=bounce.recipient_id, finished_at=bounce.occurred_at
        )
        attempt = tries.order_by("-number").first()
        if attempt is None:
            return "-"
        host = attempt.remote_host or attempt.transport
        return format_html("{} by {}", page_link(Attempt, attempt.pk, f"try {attempt.number}"), host)

    @admin.display(description="all bounces")
    def all_bounces(self, row: Suppression) -> SafeString:
        return list_link(Bounce, "of this address", q=row.email, workspace=row.workspace_id)

    @admin.display(description="metadata")
    def metadata_shown(self, row: Suppression) -> SafeString | str:
        return as_json(row.metadata)

    @admin.display(description="to lift it")
    def lifting(self, row: Suppression) -> str:
        return "Delete it. Mail that is sent from then on goes out; what was stopped stays stopped."

    def _bounce(self, row: Suppression) -> Bounce | None:
        found: Bounce | None = Bounce.objects.of(row.workspace_id).filter(pk=row.bounce_id).first()
        return found
