"""Messages and what became of them, to read; and what an operator may do to recipients."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.core.admin import (
    ConfidentialAdmin,
    ReadOnlyAdmin,
    ReadOnlyInline,
    as_json,
    list_link,
    page_link,
    page_url,
    pill,
    verbatim,
)
from apps.core.window import WhenFilter
from apps.events.models import Event
from apps.events.types import ResourceType
from apps.messages.lists import IdSearch, QueueFilter, messages_about, recipients_of
from apps.messages.models import Attachment, Attempt, Bounce, Message, MessageContent, Recipient
from apps.messages.operations import Verb, operate
from apps.messages.story import SEALED, talk_of
from apps.messages.waits import EXPLANATIONS, WaitCode
from apps.suppressions.models import Suppression
from apps.workspaces.admin import WorkspaceFilter

SUBJECT_SHOWN = 80


class AttemptInline(ReadOnlyInline):
    model = Attempt
    fields = ("page", "status", "remote_host", "tls", "smtp_code", "enhanced_code", "response", "finished_at")
    readonly_fields = fields
    ordering = ("-number",)

    @admin.display(description="number")
    def page(self, row: Attempt) -> SafeString:
        return page_link(Attempt, row.pk, row.number)


class BounceInline(ReadOnlyInline):
    model = Bounce
    fields = ("page", "type", "source", "smtp_code", "enhanced_code", "diagnostic")
    readonly_fields = fields

    @admin.display(description="when")
    def page(self, row: Bounce) -> SafeString:
        return page_link(Bounce, row.pk, row.occurred_at)


@admin.register(Message)
class MessageAdmin(IdSearch, ReadOnlyAdmin):
    """The list; the page of one message is its story (apps.console.story)."""

    id_fields = ("pk",)
    list_display = ("created_at", "short_subject", "sender", "status", "attempt_count", "workspace")
    list_filter = (WhenFilter, "status", WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("subject", "from_email")
    search_help_text = "An id or a recipient's whole address, at any time; or a part of subject or sender."
    event_resource = ResourceType.MESSAGE

    def addressed(self, queryset: QuerySet[Any], address: str) -> QuerySet[Any]:
        return messages_about(queryset, address)

    @admin.display(description="subject")
    def short_subject(self, message: Message) -> str:
        return _shortened(message.subject) or "(no subject)"

    @admin.display(description="from")
    def sender(self, message: Message) -> str:
        return f"{message.from_name} <{message.from_email}>" if message.from_name else message.from_email

    @admin.display(description="its story")
    def links(self, message: Message) -> SafeString:
        links = [
            (list_link(Event, "events", message_id=message.pk),),
            (list_link(Attempt, "attempts", message_id=message.pk),),
            (list_link(Bounce, "bounces", message_id=message.pk),),
            (list_link(Recipient, "recipients", message_id=message.pk),),
            (list_link(Attachment, "attachments", message_id=message.pk),),
        ]
        return format_html_join(" · ", "{}", links)


@admin.register(MessageContent)
class MessageContentAdmin(ConfidentialAdmin):
    list_filter = (WhenFilter,)
    list_display = ("message_page", "has_text", "has_html")
    fields = (
        "message_page",
        "reply_to_email",
        "reply_to_name",
        "headers_shown",
        "text_shown",
        "html_shown",
    )

    @admin.display(description="message")
    def message_page(self, content: MessageContent) -> SafeString:
        return page_link(Message, content.message_id)

    @admin.display(boolean=True)
    def has_text(self, content: MessageContent) -> bool:
        return content.text is not None

    @admin.display(description="has HTML", boolean=True)
    def has_html(self, content: MessageContent) -> bool:
        return content.html is not None

    @admin.display(description="headers")
    def headers_shown(self, content: MessageContent) -> SafeString | str:
        return as_json(content.headers)

    @admin.display(description="text")
    def text_shown(self, content: MessageContent) -> SafeString | str:
        return SEALED if content.is_sealed else verbatim(content.text)

    @admin.display(description="HTML source")
    def html_shown(self, content: MessageContent) -> SafeString | str:
        return SEALED if content.is_sealed else verbatim(content.html)


@admin.register(Attachment)
class AttachmentAdmin(IdSearch, ReadOnlyAdmin):
    """Which files messages carry; the bytes belong to the assets."""

    id_fields = ("pk", "message_id", "asset_id")
    list_display = ("filename", "content_type", "size", "message_page", "workspace")
    list_filter = (WhenFilter, WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("filename",)
    search_help_text = "An id, the id of a message or of an asset; or a part of the name."
    fields = ("id", "message_page", "workspace", "position", "filename", "content_type", "size", "checksum", "asset_id")

    def addressed(self, queryset: QuerySet[Any], address: str) -> QuerySet[Any]:
        return queryset.filter(message__in=recipients_of(address).values("message_id"))

    @admin.display(description="message")
    def message_page(self, row: Attachment) -> SafeString:
        return page_link(Message, row.message_id)


@admin.register(Recipient)
class RecipientAdmin(IdSearch, ReadOnlyAdmin):
    list_display = (
        "email",
        "kind",
        "status",
        "attempt_count",
        "waits",
        "next_attempt_at",
        "message_page",
        "workspace",
    )
    list_filter = (WhenFilter, QueueFilter, "status", "lane", "wait_code", WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("email__exact",)
    search_help_text = "An id, or a whole address as it was sent to."
    inlines = (AttemptInline, BounceInline)
    actions = ("retry_now", "release", "hold", "cancel")
    fieldsets = (
        (None, {"fields": ("status", "email", "name", "kind", "message_page", "workspace")}),
        (
            "Waiting",
            {"fields": ("waits", "wait_detail", "waiting_since", "who", "next_attempt_at", "last_error")},
        ),
        (
            "Work",
            {"fields": ("id", "lane", "attempt_count", "tries", "crashes", "in_doubt", "lease_until")},
        ),
        ("Times", {"fields": ("queued_at", "finished_at")}),
    )

    def addressed(self, queryset: QuerySet[Any], address: str) -> QuerySet[Any]:
        return queryset.filter(pk__in=recipients_of(address).values("pk"))

    @admin.display(description="message")
    def message_page(self, row: Recipient) -> SafeString:
        return page_link(Message, row.message_id)

    @admin.display(description="why it waits")
    def waits(self, row: Recipient) -> str:
        return _why(row)

    @admin.display(description="who can change it")
    def who(self, row: Recipient) -> str:
        return EXPLANATIONS[WaitCode(row.wait_code)].who_can_change_it if row.wait_code else "-"

    @admin.action(description="Retry now", permissions=["operate"])
    def retry_now(self, request: HttpRequest, queryset: QuerySet[Recipient]) -> None:
        self._operate(request, Verb.RETRY_NOW, queryset)

    @admin.action(description="Release", permissions=["operate"])
    def release(self, request: HttpRequest, queryset: QuerySet[Recipient]) -> None:
        self._operate(request, Verb.RELEASE, queryset)

    @admin.action(description="Hold", permissions=["operate"])
    def hold(self, request: HttpRequest, queryset: QuerySet[Recipient]) -> None:
        self._operate(request, Verb.HOLD, queryset)

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Recipient]) -> HttpResponse | None:
        """Asks first, because nobody can take it back; a second request with `confirmed` cancels."""
        if "confirmed" in request.POST:
            self._operate(request, Verb.CANCEL, queryset)
            return None
        rows = self._chosen(request, queryset)
        if not rows:
            return None
        is_from_page = "from_page" in request.POST
        context = {
            **self.admin_site.each_context(request),
            "title": "Cancel delivery",
            "opts": self.opts,
            "rows": rows,
            "is_from_page": is_from_page,
            "asked_at": page_url(Recipient, rows[0].pk) if is_from_page else request.get_full_path(),
        }
        return TemplateResponse(request, "admin/mail_messages/recipient/cancel.html", context)

    def _operate(self, request: HttpRequest, verb: Verb, queryset: QuerySet[Recipient]) -> None:
        if rows := self._chosen(request, queryset):
            operate(request, verb, rows, reason=request.POST.get("reason", ""))

    def _chosen(self, request: HttpRequest, queryset: QuerySet[Recipient]) -> list[Recipient]:
        """The chosen rows that the list, with its filters, still has; of the others it is said that nothing is done."""
        rows = list(queryset)
        if gone := len(set(request.POST.getlist(ACTION_CHECKBOX_NAME))) - len(rows):
            messages.warning(request, f"Unchanged: {gone}. No longer in this list.")
        return rows


class OfRecipient(IdSearch, ReadOnlyAdmin):
    """What belongs to one recipient of one message."""

    list_filter: ClassVar[tuple[Any, ...]] = (WhenFilter, "status", WorkspaceFilter)
    list_select_related = ("workspace",)
    search_fields = ("email__exact",)
    search_help_text = "An id, the id of a message or recipient, or a whole address."
    id_fields = ("pk", "message_id", "recipient_id")

    @admin.display(description="recipient")
    def recipient_page(self, row: Attempt | Bounce) -> SafeString:
        return page_link(Recipient, row.recipient_id, row.email)

    @admin.display(description="message")
    def message_page(self, row: Attempt | Bounce) -> SafeString:
        return page_link(Message, row.message_id)


@admin.register(Attempt)
class AttemptAdmin(OfRecipient):
    list_display = (
        "finished_at",
        "recipient_page",
        "number",
        "status",
        "remote_host",
        "smtp_code",
        "reply",
        "workspace",
    )
    fieldsets = (
        (None, {"fields": ("recipient_page", "message_page", "workspace", "number", "status")}),
        ("Reply", {"fields": ("smtp_code", "enhanced_code", "reply", "fault", "rule", "next_attempt_at")}),
        ("Connection", {"fields": ("transport", "remote_host", "remote_address", "tls", "talk")}),
        ("Times", {"fields": ("id", "started_at", "finished_at")}),
    )

    @admin.display(description="what the server said")
    def reply(self, attempt: Attempt) -> str:
        return attempt.response or "-"

    @admin.display(description="conversation")
    def talk(self, attempt: Attempt) -> SafeString | str:
        """`[[command, reply, milliseconds], ...]`; a line of any other form is shown as it is."""
        if not attempt.conversation:
            return "-"
        return format_html(
            '<table class="talk"><tr><th>We</th><th>Server</th><th>ms</th></tr>{}</table>',
            format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", talk_of(attempt.conversation)),
        )


@admin.register(Bounce)
class BounceAdmin(OfRecipient):
    list_display = (
        "occurred_at",
        "recipient_page",
        "kind",
        "source",
        "smtp_code",
        "reply",
        "workspace",
    )
    list_filter = (WhenFilter, "type", "source", WorkspaceFilter)
    fields = (
        *(
            "id",
            "recipient_page",
            "message_page",
            "workspace",
            "type",
            "source",
            "smtp_code",
            "enhanced_code",
        ),
        *("reply", "suppression_page", "occurred_at", "created_at"),
    )

    @admin.display(description="type")
    def kind(self, bounce: Bounce) -> SafeString:
        return pill(bounce.type)

    @admin.display(description="suppression")
    def suppression_page(self, bounce: Bounce) -> SafeString | str:
        if bounce.suppression_id is None:
            return "-"
        row = Suppression.objects.of(bounce.workspace_id).filter(pk=bounce.suppression_id).first()
        return page_link(Suppression, row.pk, row) if row else "lifted since"

    @admin.display(description="diagnostic")
    def reply(self, bounce: Bounce) -> str:
        return bounce.diagnostic or "-"


def _why(row: Recipient) -> str:
    return EXPLANATIONS[WaitCode(row.wait_code)].sentence if row.wait_code else "-"


def _shortened(text: str) -> str:
    return text if len(text) <= SUBJECT_SHOWN else f"{text[:SUBJECT_SHOWN]}…"
