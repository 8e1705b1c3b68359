"""Inbound domains and the mail that came for them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django.http import FileResponse, HttpResponse
from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.filters import NoFilters
from apps.core.api.pagination import KeysetPagination, OldestFirstPagination, WholeListPagination
from apps.core.errors import NotFound
from apps.core.ids import parse_id
from apps.inbound.api.filters import InboundMessageFilters
from apps.inbound.api.resources import (
    InboundAttachmentResource,
    InboundDomainRequest,
    InboundDomainResource,
    InboundMessageDetail,
    InboundMessageResource,
    show_attachment,
    show_detail,
    show_domain,
    show_message,
)
from apps.inbound.models import InboundAttachment, InboundDomain, InboundMessage
from apps.inbound.services import domains
from apps.inbound.serving import served
from apps.keys.api.views import WorkspaceViewSet

LONG = ("text", "html", "headers", "authentication")


class InboundDomainViewSet(WorkspaceViewSet):
    """A domain receives mail here once its records are found."""

    model = InboundDomain
    serializer_class = InboundDomainResource
    pagination_class = WholeListPagination
    scopes = {
        "create": "mail:manage",
        "list": "mail:read",
        "retrieve": "mail:read",
        "verify": "mail:manage",
        "destroy": "mail:manage",
    }
    operation_ids = {
        "create": "inbound.domains.create",
        "list": "inbound.domains.list",
        "retrieve": "inbound.domains.get",
        "verify": "inbound.domains.verify",
        "destroy": "inbound.domains.delete",
    }

    @extend_schema(request=InboundDomainRequest, responses={201: InboundDomainResource})
    def create(self, request: Request) -> Response:
        """Adds a domain and answers with the records to publish."""
        command = InboundDomainRequest(data=request.data)
        command.is_valid(raise_exception=True)
        domain = domains.create(self.workspace_id, command.validated_data["domain"])
        return Response(InboundDomainResource(show_domain(domain)).data, status=status.HTTP_201_CREATED)

    def list(self, request: Request) -> Response:
        rows: list[InboundDomain] = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        shown = [show_domain(domain) for domain in rows]
        return self.get_paginated_response(InboundDomainResource(shown, many=True).data)

    def retrieve(self, request: Request, id: str) -> Response:
        return Response(InboundDomainResource(show_domain(self.get_object())).data)

    @extend_schema(request=None, responses={200: InboundDomainResource})
    def verify(self, request: Request, id: str) -> Response:
        """Looks up the records now and answers with what was found, verified or not."""
        domain = self.get_object()
        domains.allow_asking(domain)
        return Response(InboundDomainResource(show_domain(domains.verify(domain))).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """Receives no more mail for the domain; what has come stays."""
        domains.delete(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class InboundMessageViewSet(WorkspaceViewSet):
    """Mail that came in, once for each recipient. Who it says it is from is what SPF, DKIM and DMARC say it is."""

    model = InboundMessage
    serializer_class = InboundMessageResource
    lists: ClassVar = frozenset({"list", "attachments"})
    scopes = {"list": "mail:read", "retrieve": "mail:read", "attachments": "mail:read", "download": "mail:read"}
    operation_ids = {
        "list": "inbound.messages.list",
        "retrieve": "inbound.messages.get",
        "attachments": "inbound.messages.attachments",
        "download": "inbound.messages.download",
    }

    @property
    def filterset_class(self) -> type:
        return InboundMessageFilters if self.action == "list" else NoFilters

    @property
    def pagination_class(self) -> type:  # type: ignore[override]  # by action, where DRF has one for all
        return OldestFirstPagination if self.action == "attachments" else KeysetPagination

    def list(self, request: Request) -> Response:
        """Newest first; texts and headers are in each message's own answer."""
        rows: Sequence[InboundMessage] = (
            self.paginate_queryset(self.filter_queryset(self.get_queryset().defer(*LONG))) or []
        )
        files = _attachments_of(self.workspace_id, rows)
        shown = [show_message(message, files[message.pk]) for message in rows]
        return self.get_paginated_response(InboundMessageResource(shown, many=True).data)

    @extend_schema(responses=InboundMessageDetail)
    def retrieve(self, request: Request, id: str) -> Response:
        message = self.get_object()
        files = _attachments_of(self.workspace_id, [message])
        return Response(InboundMessageDetail(show_detail(message, files[message.pk])).data)

    @extend_schema(responses=InboundAttachmentResource(many=True))
    def attachments(self, request: Request, id: str) -> Response:
        """In the order of the mail."""
        mine = InboundAttachment.objects.of(self.workspace_id).filter(message=self.get_object())
        rows: list[InboundAttachment] = self.paginate_queryset(self.filter_queryset(mine)) or []
        shown = [show_attachment(attachment) for attachment in rows]
        return self.get_paginated_response(InboundAttachmentResource(shown, many=True).data)

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def download(self, request: Request, id: str, attachment_id: str) -> HttpResponse | FileResponse:
        """The bytes of one attachment, to keep and not to open in a browser."""
        message, wanted = self.get_object(), parse_id(attachment_id)
        mine: QuerySet[InboundAttachment] = InboundAttachment.objects.of(self.workspace_id).filter(message=message)
        attachment = mine.filter(pk=wanted).first() if wanted else None
        if attachment is None:
            raise NotFound
        return served(attachment)


def _attachments_of(workspace_id: UUID, messages: Sequence[InboundMessage]) -> dict[UUID, list[InboundAttachment]]:
    found: dict[UUID, list[Any]] = defaultdict(list)
    rows = InboundAttachment.objects.of(workspace_id).filter(message__in=[message.pk for message in messages])
    for attachment in rows.order_by("message_id", "position"):
        found[attachment.message_id].append(attachment)
    return found
