"""Sending a message and reading its story."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.filters import NoFilters
from apps.core.api.pagination import KeysetPagination, OldestFirstPagination
from apps.events.models import Event
from apps.keys.api.views import WorkspaceViewSet
from apps.messages import story
from apps.messages.api import resources
from apps.messages.api.drafting import SEND, SEND_TEMPLATE, Form, read_order
from apps.messages.api.filters import MessageFilters, TimelineFilters
from apps.messages.api.requests import SendRequest, TemplateSendRequest, TestSendRequest
from apps.messages.models import Attachment, Attempt, Bounce, Message, Recipient
from apps.messages.services.accept import accept
from apps.messages.services.testing import send_test
from apps.templates.services.rendering import prepare

# One for all requests: they keep nothing, and building their fields costs more than using them.
_ACCEPTED = resources.AcceptedResource()
_TEST_SEND = TestSendRequest()
ACCEPTED = {202: resources.AcceptedResource, 200: resources.AcceptedResource}


class SendViewSet(WorkspaceViewSet):
    """Accepts messages."""

    model = Message
    scopes = dict.fromkeys(("send", "send_template", "test_send"), "mail:send")
    operation_ids = {"send": "send", "send_template": "sendTemplate", "test_send": "templates.testSend"}

    @extend_schema(request=SendRequest, responses=ACCEPTED)
    def send(self, request: Request) -> Response:
        """Stores a message for delivery; the same idempotency key again answers 200 with the first one."""
        return self._accept(request, SEND)

    @extend_schema(request=TemplateSendRequest, responses=ACCEPTED)
    def send_template(self, request: Request) -> Response:
        """Stores a message that a template makes; a variable without a value refuses it before anything is stored."""
        return self._accept(request, SEND_TEMPLATE)

    @extend_schema(request=TestSendRequest, responses={202: resources.TestSentResource})
    def test_send(self, request: Request, id: str) -> Response:
        """Sends a template with sample data to addresses of your own, with an event that says so."""
        prepare(self.workspace_id, id)  # before the body, about which a stranger is told nothing
        body: Any = request.data
        _TEST_SEND.run_validation(body)
        order = read_order(SEND_TEMPLATE, {**body, "template": id}, self.caller)
        draft: Any = order.draft  # without a key, what is wrong with it was raised
        answer = resources.TestSentResource(send_test(self.caller, draft)).data
        return Response(answer, status=status.HTTP_202_ACCEPTED)

    def _accept(self, request: Request, form: Form) -> Response:
        body: Any = request.data
        order = read_order(form, body, self.caller, key_in_header=request.headers.get("Idempotency-Key"))
        accepted = accept(self.caller, order)
        answer = _ACCEPTED.to_representation(accepted)
        return Response(answer, status=status.HTTP_200_OK if accepted.is_replay else status.HTTP_202_ACCEPTED)


class MessageViewSet(WorkspaceViewSet):
    """Messages of this workspace and what became of them."""

    model = Message
    serializer_class = resources.MessageResource
    scopes = dict.fromkeys(("list", "retrieve", "attempts", "logs", "timeline", "bounces"), "mail:read")
    lists = frozenset({"list", "attempts", "logs", "timeline", "bounces"})
    operation_ids = {
        "list": "messages.list",
        "retrieve": "messages.get",
        "attempts": "messages.attempts",
        "logs": "messages.logs",
        "timeline": "messages.timeline",
        "bounces": "messages.bounces",
    }

    @property
    def filterset_class(self) -> type:
        return {"list": MessageFilters, "timeline": TimelineFilters}.get(self.action, NoFilters)

    @property
    def pagination_class(self) -> type:  # type: ignore[override]  # by action, where DRF has one for all
        return KeysetPagination if self.action == "list" else OldestFirstPagination

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset().select_related("content")
        # A page of a hundred messages must not bring a hundred bodies into memory.
        return rows.defer("content__text", "content__html") if self.action == "list" else rows

    @extend_schema(responses=resources.MessageResource(many=True))
    def list(self, request: Request) -> Response:
        messages: list[Message] = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        ids = [message.pk for message in messages]
        recipients, attachments = _recipients(self.workspace_id, ids), _attachments(self.workspace_id, ids)
        shown = [resources.show_message(m, recipients[m.pk], attachments[m.pk]) for m in messages]
        return self.get_paginated_response(resources.MessageResource(shown, many=True).data)

    @extend_schema(responses=resources.MessageDetailResource)
    def retrieve(self, request: Request, id: str) -> Response:
        message = self.get_object()
        recipients = _recipients(self.workspace_id, [message.pk])[message.pk]
        attachments = _attachments(self.workspace_id, [message.pk])[message.pk]
        shown = resources.show_message(message, recipients, attachments) | resources.show_content(message.content)
        return Response(resources.MessageDetailResource(shown).data)

    @extend_schema(responses=resources.AttemptResource(many=True))
    def attempts(self, request: Request, id: str) -> Response:
        """Every try to hand the message over, oldest first."""
        return self._story(Attempt.objects, resources.AttemptResource)

    @extend_schema(responses=resources.BounceResource(many=True))
    def bounces(self, request: Request, id: str) -> Response:
        """Refusals because of a recipient, oldest first."""
        return self._story(Bounce.objects, resources.BounceResource)

    @extend_schema(responses=resources.TimelineResource(many=True))
    def timeline(self, request: Request, id: str) -> Response:
        """What happened, oldest first; `recipient` narrows it to one address."""
        return self._story(Event.objects, resources.TimelineResource, story.timeline_item)

    @extend_schema(responses=resources.LogResource(many=True))
    def logs(self, request: Request, id: str) -> Response:
        """What happened in sentences, oldest first."""
        return self._story(Event.objects, resources.LogResource, story.log_line)

    def _story(self, rows: Any, resource: type, show: Any = None) -> Response:
        mine = rows.of(self.workspace_id).filter(message_id=self.get_object().pk)
        page = self.paginate_queryset(self.filter_queryset(mine)) or []
        shown = [show(row) for row in page] if show else page
        return self.get_paginated_response(resource(shown, many=True).data)


def _recipients(workspace_id: UUID, message_ids: Sequence[UUID]) -> dict[UUID, list[Recipient]]:
    found: dict[UUID, list[Recipient]] = defaultdict(list)
    rows = Recipient.objects.of(workspace_id).filter(message_id__in=message_ids)
    for recipient in rows.order_by("message_id", "position"):
        found[recipient.message_id].append(recipient)
    return found


def _attachments(workspace_id: UUID, message_ids: Sequence[UUID]) -> dict[UUID, list[Attachment]]:
    found: dict[UUID, list[Attachment]] = defaultdict(list)
    rows = Attachment.objects.of(workspace_id).filter(message_id__in=message_ids)
    for attachment in rows.order_by("message_id", "position"):
        found[attachment.message_id].append(attachment)
    return found
