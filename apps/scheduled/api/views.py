"""Mail for later: schedule, read, move to another time, cancel."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.pagination import WholeListPagination
from apps.keys.api.views import WorkspaceViewSet
from apps.scheduled.api.filters import ScheduledFilters
from apps.scheduled.api.requests import RescheduleRequest, ScheduleRequest, read_wish
from apps.scheduled.api.resources import (
    ScheduledCreatedResource,
    ScheduledDetailResource,
    ScheduledResource,
    show_scheduled,
)
from apps.scheduled.models import Scheduled
from apps.scheduled.reading import message_statuses
from apps.scheduled.services import changing
from apps.scheduled.services.creating import create


class ScheduledViewSet(WorkspaceViewSet):
    """Scheduled mail becomes a message at its time; until then it can be moved and canceled."""

    model = Scheduled
    serializer_class = ScheduledResource
    filterset_class = ScheduledFilters
    pagination_class = WholeListPagination
    scopes = {
        "create": "mail:send",
        "list": "mail:read",
        "retrieve": "mail:read",
        "partial_update": "mail:send",
        "cancel": "mail:send",
    }
    operation_ids = {
        "create": "scheduled.create",
        "list": "scheduled.list",
        "retrieve": "scheduled.get",
        "partial_update": "scheduled.update",
        "cancel": "scheduled.cancel",
    }

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset()
        # A page of a hundred rows must not bring a hundred mails into memory.
        return rows.defer("payload") if self.action == "list" else rows

    @extend_schema(request=ScheduleRequest, responses={201: ScheduledCreatedResource, 200: ScheduledCreatedResource})
    def create(self, request: Request) -> Response:
        """Checks everything about the mail now and keeps it until its time, at most 30 days.

        Suppressions and limits are asked for at its time. The same idempotency key again answers 200 with the first.
        """
        body: Any = request.data
        made = create(self.caller, read_wish(body, self.caller, request.headers.get("Idempotency-Key")))
        shown = self._shown(made.row) | {"idempotency_status": made.idempotency_status}
        answer = ScheduledCreatedResource(shown).data
        return Response(answer, status=status.HTTP_200_OK if made.is_replay else status.HTTP_201_CREATED)

    def list(self, request: Request) -> Response:
        rows: list[Scheduled] = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response(ScheduledResource(self._facts(rows), many=True).data)

    @extend_schema(responses=ScheduledDetailResource)
    def retrieve(self, request: Request, id: str) -> Response:
        return self._answer(self.get_object())

    @extend_schema(request=RescheduleRequest, responses=ScheduledDetailResource)
    def partial_update(self, request: Request, id: str) -> Response:
        """Gives what is still scheduled another time."""
        row = self.get_object()
        command = RescheduleRequest(data=request.data)
        command.is_valid(raise_exception=True)
        return self._answer(changing.reschedule(self.workspace_id, row.pk, command.validated_data["send_at"]))

    @extend_schema(request=None, responses=ScheduledDetailResource)
    def cancel(self, request: Request, id: str) -> Response:
        """Ends what is still scheduled; nothing of it is sent. What has ended already answers 409."""
        return self._answer(changing.cancel(self.workspace_id, self.get_object().pk))

    def _answer(self, row: Scheduled) -> Response:
        return Response(ScheduledDetailResource(self._shown(row)).data)

    def _shown(self, row: Scheduled) -> dict[str, Any]:
        (facts,) = self._facts([row])
        return facts | {"payload": row.payload}

    def _facts(self, rows: Sequence[Scheduled]) -> Sequence[dict[str, Any]]:
        statuses = message_statuses(self.workspace_id, rows)
        return [show_scheduled(row, statuses) for row in rows]
