"""The base of every view of the API: a workspace, its rows, and nothing else."""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Model, QuerySet
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from apps.core.api.filters import StrictFilterBackend
from apps.core.api.pagination import KeysetPagination
from apps.core.errors import Invalid, NotFound
from apps.core.ids import parse_id
from apps.keys.services import Caller
from apps.workspaces.tenancy import TenantModel


class WorkspaceViewSet(GenericViewSet):
    """Every query begins with the caller's workspace, so a stranger's id is simply not found."""

    model: type[TenantModel]
    scopes: ClassVar[Mapping[str, str]]
    operation_ids: ClassVar[Mapping[str, str]]
    pagination_class: Any = KeysetPagination
    filter_backends = (StrictFilterBackend,)
    # OPTIONS would describe the view to whoever asks; the document at /docs/ does it better.
    http_method_names = ("get", "post", "put", "patch", "delete", "head")
    # Actions that take filters and paging; the others take no query parameters but those named here.
    lists: ClassVar[frozenset[str]] = frozenset({"list"})
    parameters: ClassVar[Mapping[str, frozenset[str]]] = {}

    @property
    def caller(self) -> Caller:
        return self.request.user  # type: ignore[return-value]  # ApiKeyAuthentication puts a Caller there

    @property
    def workspace_id(self) -> UUID:
        return self.caller.workspace_id

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        known = self.parameters.get(self.action or "", frozenset())
        unknown = [name for name in request.query_params if name not in known]
        if self.action not in self.lists and unknown:
            raise Invalid({name[:100]: ["unknown query parameter"] for name in unknown[:20]})

    def get_queryset(self) -> QuerySet[Any]:
        return self.model.objects.of(self.workspace_id)

    def get_object(self) -> Any:
        """Raises NotFound also for what is not an id at all."""
        identifier = parse_id(self.kwargs["id"])
        row = self.get_queryset().filter(pk=identifier).first() if identifier else None
        if row is None:
            raise NotFound
        return row

    def listed(self, rows: QuerySet[Any]) -> Response:
        """One page of rows, filtered as the request asks."""
        page: list[Model] = self.paginate_queryset(self.filter_queryset(rows)) or []
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        refusal = MethodNotAllowed(request.method or "")
        refusal.allowed_methods = self.allowed_methods  # type: ignore[attr-defined]  # for the Allow header
        raise refusal
