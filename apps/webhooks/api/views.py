"""Webhooks: endpoints, what they were sent, and sending it once more."""

from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.filters import WireFilterSet
from apps.keys import idempotency
from apps.keys.api.views import WorkspaceViewSet
from apps.webhooks.api.serializers import (
    DeliveryDetailResource,
    DeliveryResource,
    EndpointChanges,
    EndpointRequest,
    EndpointResource,
    EndpointWithSecretResource,
    ReplayRequest,
    ReplayResource,
)
from apps.webhooks.models import Delivery, DeliveryAttempt, Endpoint
from apps.webhooks.services import again, endpoints
from apps.webhooks.services.endpoints import WithSecret
from apps.webhooks.states import DeliveryStatus, Status

MAX_ATTEMPTS_SHOWN = 100


class DeliveryFilters(WireFilterSet):
    status = django_filters.ChoiceFilter(choices=DeliveryStatus.choices, method="of_status")
    eventType = django_filters.CharFilter(field_name="event_type", max_length=60)

    def of_status(self, rows: QuerySet[Delivery], name: str, value: str) -> QuerySet[Delivery]:
        found = rows.filter(status=value)
        # Said twice, so that the database sees which of its indexes has these few.
        return found if value == DeliveryStatus.SUCCEEDED else found.exclude(status=DeliveryStatus.SUCCEEDED)


class EndpointViewSet(WorkspaceViewSet):
    """Endpoints are sent the events that they are subscribed to, signed with a secret of their own."""

    model = Endpoint
    serializer_class = EndpointResource
    lists: ClassVar = frozenset({"list", "deliveries"})
    scopes = {
        "create": "mail:manage",
        "list": "mail:read",
        "retrieve": "mail:read",
        "partial_update": "mail:manage",
        "destroy": "mail:manage",
        "rotate_secret": "mail:manage",
        "test": "mail:manage",
        "replay": "mail:manage",
        "deliveries": "mail:read",
    }
    operation_ids = {
        "create": "webhooks.create",
        "list": "webhooks.list",
        "retrieve": "webhooks.get",
        "partial_update": "webhooks.update",
        "destroy": "webhooks.delete",
        "rotate_secret": "webhooks.rotateSecret",
        "test": "webhooks.test",
        "replay": "webhooks.replay",
        "deliveries": "webhooks.deliveries",
    }

    @property
    def filterset_class(self) -> Any:
        return DeliveryFilters if self.action == "deliveries" else WireFilterSet

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().exclude(status=Status.DELETED)

    @extend_schema(request=EndpointRequest, responses={201: EndpointWithSecretResource})
    def create(self, request: Request) -> Response:
        """Adds an endpoint. Its secret is in this answer and in no later one."""
        command = EndpointRequest(data=request.data)
        command.is_valid(raise_exception=True)
        made = endpoints.create(self.workspace_id, command.validated_data)
        return Response(_with_secret(made), status=status.HTTP_201_CREATED)

    def list(self, request: Request) -> Response:
        return self.listed(self.get_queryset())

    def retrieve(self, request: Request, id: str) -> Response:
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=EndpointChanges, responses=EndpointResource)
    def partial_update(self, request: Request, id: str) -> Response:
        """Changes what is given. One that is made active again forgets its failures, and gets what was waiting."""
        endpoint = self.get_object()
        command = EndpointChanges(data=request.data)
        command.is_valid(raise_exception=True)
        return Response(self.get_serializer(endpoints.update(endpoint, command.validated_data)).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """Takes the endpoint away, with what was waiting for it."""
        endpoints.delete(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=EndpointWithSecretResource)
    def rotate_secret(self, request: Request, id: str) -> Response:
        """Everything is signed with the new secret from now on, which is in this answer and in no later one."""
        return Response(_with_secret(endpoints.rotate_secret(self.get_object())))

    @extend_schema(request=None, responses={202: DeliveryDetailResource})
    def test(self, request: Request, id: str) -> Response:
        """Sends the event `mail.webhook.test` to this endpoint alone; ask for the delivery to see how it went."""
        return Response(_detail(again.test(self.get_object())), status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=ReplayRequest, responses={202: ReplayResource, 200: ReplayResource})
    def replay(self, request: Request, id: str) -> Response:
        """Sends events once more: those named, or those of a range of time (at most 10,000), with their old ids.

        The same Idempotency-Key again answers 200 with the first replay, and sends nothing.
        """
        endpoint = self.get_object()
        command = ReplayRequest(data=request.data)
        command.is_valid(raise_exception=True)
        asked, body = command.validated_data, dict(request.data)
        key = idempotency.choose_key(
            in_body=asked.get("idempotency_key"), in_header=request.headers.get("Idempotency-Key")
        )
        use = idempotency.use_of(self.workspace_id, again.FAMILY, key, body | {"webhookId": str(endpoint.pk)})
        if asked.get("event_ids") is not None:
            made = again.replay_events(endpoint, asked["event_ids"], use)
        else:
            kinds = asked.get("types")
            types = endpoints.checked_types(kinds, named="types") if kinds is not None else None
            made = again.replay_range(endpoint, again.Range(asked["from_"], asked.get("to"), types), use)
        answer = ReplayResource(made.replay, context={"idempotency_status": made.idempotency_status}).data
        return Response(answer, status=status.HTTP_200_OK if made.is_replay else status.HTTP_202_ACCEPTED)

    @extend_schema(responses=DeliveryResource(many=True))
    def deliveries(self, request: Request, id: str) -> Response:
        """What this endpoint was sent, newest first."""
        endpoint = self.get_object()
        rows = Delivery.objects.of(self.workspace_id).filter(endpoint=endpoint).select_related("event")
        page: list[Delivery] = self.paginate_queryset(self.filter_queryset(rows)) or []
        return self.get_paginated_response(DeliveryResource(page, many=True).data)


class DeliveryViewSet(WorkspaceViewSet):
    """One event for one endpoint."""

    model = Delivery
    serializer_class = DeliveryDetailResource
    scopes = {"retrieve": "mail:read", "retry": "mail:manage"}
    operation_ids = {"retrieve": "webhooks.getDelivery", "retry": "webhooks.retryDelivery"}

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().exclude(endpoint__status=Status.DELETED).select_related("event")

    def retrieve(self, request: Request, id: str) -> Response:
        return Response(_detail(self.get_object()))

    @extend_schema(request=None, responses=DeliveryDetailResource)
    def retry(self, request: Request, id: str) -> Response:
        """Sends it now, whatever the schedule says. What has succeeded answers 409: replay its event instead."""
        return Response(_detail(again.retry(self.get_object())))


def _with_secret(made: WithSecret) -> dict[str, Any]:
    return {**EndpointResource(made.endpoint).data, "secret": made.secret}


def _detail(delivery: Delivery) -> dict[str, Any]:
    attempts = DeliveryAttempt.objects.of(delivery.workspace_id).filter(delivery=delivery).order_by("-number")
    newest = list(attempts[:MAX_ATTEMPTS_SHOWN])[::-1]
    return dict(DeliveryDetailResource(delivery, context={"attempts": newest}).data)
