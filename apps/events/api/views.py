"""Reading events."""

from rest_framework.request import Request
from rest_framework.response import Response

from apps.events.api.filters import EventFilters
from apps.events.api.serializers import EventResource
from apps.events.models import Event
from apps.keys.api.views import WorkspaceViewSet


class EventViewSet(WorkspaceViewSet):
    """What happened in this workspace, newest first."""

    model = Event
    serializer_class = EventResource
    filterset_class = EventFilters
    scopes = {"list": "mail:read", "retrieve": "mail:read"}
    operation_ids = {"list": "events.list", "retrieve": "events.get"}

    def list(self, request: Request) -> Response:
        return self.listed(self.get_queryset())

    def retrieve(self, request: Request, id: str) -> Response:
        return Response(self.get_serializer(self.get_object()).data)
