"""Addresses that get no more mail: list, add, look at, lift."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.errors import Invalid
from apps.keys.api.views import WorkspaceViewSet
from apps.suppressions import services
from apps.suppressions.api.filters import SuppressionFilters
from apps.suppressions.api.requests import SuppressionRequest
from apps.suppressions.api.resources import SuppressionResource
from apps.suppressions.models import Reason, Source, Suppression

FORCE = OpenApiParameter(
    "force", bool, description="`true` also lifts what a recipient's complaint, reported by a provider, has suppressed."
)


class SuppressionViewSet(WorkspaceViewSet):
    """No mail of this workspace goes to these addresses, whoever put them here."""

    model = Suppression
    serializer_class = SuppressionResource
    filterset_class = SuppressionFilters
    scopes = {"list": "mail:read", "retrieve": "mail:read", "create": "mail:manage", "destroy": "mail:manage"}
    operation_ids = {
        "list": "suppressions.list",
        "retrieve": "suppressions.get",
        "create": "suppressions.create",
        "destroy": "suppressions.delete",
    }
    parameters = {"destroy": frozenset({"force"})}

    def list(self, request: Request) -> Response:
        return self.listed(self.get_queryset())

    def retrieve(self, request: Request, id: str) -> Response:
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=SuppressionRequest, responses={201: SuppressionResource, 200: SuppressionResource})
    def create(self, request: Request) -> Response:
        """Stops all mail to an address, also what is queued already.

        An address that is suppressed already answers 200 with its row, which stays as it is.
        """
        command = SuppressionRequest(data=request.data)
        command.is_valid(raise_exception=True)
        suppression, is_new = services.ensure(self._wanted(command.validated_data))
        answer = self.get_serializer(suppression).data
        return Response(answer, status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)

    @extend_schema(parameters=[FORCE], responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """Lets mail that is sent from now on go out again; what was stopped stays stopped."""
        services.lift(self.get_object(), even_complaints=_is_forced(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _wanted(self, data: Mapping[str, Any]) -> services.NewSuppression:
        return services.NewSuppression(
            workspace_id=self.workspace_id,
            email=data["email"],
            reason=Reason(data.get("reason", Reason.MANUAL)),
            source=Source.USER,
            metadata=data.get("metadata", {}),
        )


def _is_forced(request: Request) -> bool:
    given = request.query_params.getlist("force")
    if given not in ([], ["true"], ["false"]):
        raise Invalid({"force": ["must be true or false"]})
    return given == ["true"]
