"""The page that tells the story of a message, and the doors of its buttons."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST, require_safe

from apps.console.story import reading, sent
from apps.console.story.origin import origin_of
from apps.core import inert
from apps.core.admin import page_url
from apps.core.ids import parse_id
from apps.messages.admin import MessageAdmin
from apps.messages.models import Message, Recipient
from apps.messages.operations import TAKES_REASON, Verb, offered, operate


class StoryAdmin(MessageAdmin):
    """Messages, each with its story in place of Django's form; nothing on it can be edited."""

    def get_urls(self) -> list[URLPattern]:
        name = "mail_messages_message"
        views = (
            ("operate", require_POST(self.operate_view)),
            ("html", require_safe(self.html_view)),
            ("source", require_safe(self.source_view)),
        )
        own = [
            path(f"<uuid:pk>/{word}/", self.admin_site.admin_view(view), name=f"{name}_{word}") for word, view in views
        ]
        return own + super().get_urls()

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            raise PermissionDenied
        tab = request.GET.get("sent", "")
        found = self._look(request, object_id, tab) if tab else None
        message = self._message(request, object_id)
        context = {
            **self.admin_site.each_context(request),
            "title": "The story of a message",
            "opts": self.opts,
            "original": message,
            "sender": self.sender(message),
            "links": self.links(message),
            "origin": origin_of(message),
            "story": reading.read(message),
            "may_operate": self.has_operate_permission(request),
            "takes_reason": TAKES_REASON,
            "may_look": sent.may_look(request),
            "may_see_suppressions": request.user.has_perm("suppressions.view_suppression"),
            "tabs": sent.TABS,
            "sent": found,
            "with_images": request.GET.get("images") == "1",
            "is_narrow": request.GET.get("width") == "phone",
        }
        return TemplateResponse(request, "admin/mail_messages/message/story.html", context)

    def operate_view(self, request: HttpRequest, pk: object) -> HttpResponse:
        """One verb, for one recipient or for all to whom it applies."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        message = self._message(request, pk)
        if request.POST.get("verb") not in set(Verb):
            raise Http404
        verb = Verb(request.POST["verb"])
        rows = list(Recipient.objects.of(message.workspace_id).filter(message=message).order_by("position"))
        if chosen := request.POST.get("recipient"):
            rows = [row for row in rows if str(row.pk) == chosen]
        else:
            rows = [row for row in rows if verb in offered(row)]
        if rows:
            operate(request, verb, rows, reason=request.POST.get("reason", ""))
        return HttpResponseRedirect(page_url(Message, message.pk))

    def html_view(self, request: HttpRequest, pk: object) -> HttpResponse:
        """The HTML part alone, for the frame of the story."""
        found = self._look(request, pk, "html")
        return inert.preview(found.stored.content.html or "", with_images=request.GET.get("images") == "1")

    def source_view(self, request: HttpRequest, pk: object) -> HttpResponse:
        found = self._look(request, pk, "source")
        return inert.source_file(found.source, pk)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """As on the list of recipients: it is these that the verbs change."""
        return request.user.has_perm("mail_messages.change_recipient")

    def _message(self, request: HttpRequest, pk: object) -> Message:
        """Refused before it is looked for, so that no refusal tells which messages exist."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if (message := self._found(request, pk)) is None:
            raise Http404
        return message

    def _look(self, request: HttpRequest, pk: object, tab: str) -> sent.Sent:
        """What was sent; a refused look at a message that exists is noted, and answered as any other."""
        if (message := self._found(request, pk)) is not None:
            return sent.look(request, message, tab)
        if not sent.may_look(request):
            raise PermissionDenied
        raise Http404

    def _found(self, request: HttpRequest, pk: object) -> Message | None:
        identifier = parse_id(str(pk))
        rows = self.get_queryset(request).select_related("workspace")
        message: Message | None = rows.filter(pk=identifier).first() if identifier else None
        return message
