"""Templates: make, look at, change, preview, diagnose, take away."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.pagination import KeysetPagination, WholeListPagination
from apps.keys.api.views import WorkspaceViewSet
from apps.templates.api.filters import TemplateFilters
from apps.templates.api.serializers import (
    DiagnosticsRequest,
    DiagnosticsResource,
    PreviewRequest,
    PreviewResource,
    TemplateChanges,
    TemplateRequest,
    TemplateResource,
    TemplateSummary,
    VersionResource,
)
from apps.templates.models import Template, TemplateVersion
from apps.templates.services import authoring
from apps.templates.services.diagnostics import diagnose
from apps.templates.services.lookups import find, find_version, versions_of
from apps.templates.services.rendering import content_of

MAX_VERSIONS_SHOWN = 100


class TemplateViewSet(WorkspaceViewSet):
    """Each address takes a template's id or its slug."""

    model = Template
    serializer_class = TemplateSummary
    filterset_class = TemplateFilters
    pagination_class = KeysetPagination
    scopes = {
        "create": "mail:manage",
        "list": "mail:read",
        "retrieve": "mail:read",
        "partial_update": "mail:manage",
        "destroy": "mail:manage",
        "activate": "mail:manage",
        "preview": "mail:read",
        "diagnostics": "mail:read",
    }
    operation_ids = {
        "create": "templates.create",
        "list": "templates.list",
        "retrieve": "templates.get",
        "partial_update": "templates.update",
        "destroy": "templates.delete",
        "activate": "templates.activateVersion",
        "preview": "templates.preview",
        "diagnostics": "templates.diagnostics",
    }

    def get_object(self) -> Template:
        return find(self.workspace_id, self.kwargs["id"])

    @extend_schema(request=TemplateRequest, responses={201: TemplateResource})
    def create(self, request: Request) -> Response:
        """Makes a template with its first version, which is active."""
        template = authoring.create(self.workspace_id, TemplateRequest(data=request.data).values())
        return Response(_shown(template), status=status.HTTP_201_CREATED)

    def list(self, request: Request) -> Response:
        """Without those that are deleted, unless `status` asks for them."""
        return self.listed(self.get_queryset().select_related("active_version"))

    @extend_schema(responses={200: TemplateResource})
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(_shown(self.get_object()))

    @extend_schema(request=TemplateChanges, responses={200: TemplateResource})
    def partial_update(self, request: Request, id: str) -> Response:
        """Changes what is given. Another subject, html or text is a new version, which is active from then on."""
        template = self.get_object()
        return Response(_shown(authoring.update(template, TemplateChanges(data=request.data).values())))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """Takes the template away and frees its slug. Mail that was accepted with it still goes out."""
        authoring.delete(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={200: TemplateResource})
    def activate(self, request: Request, id: str, version_id: str) -> Response:
        """Sends this version from now on, be it an older or a newer one."""
        template = self.get_object()
        authoring.activate(template, find_version(template, version_id))
        return Response(_shown(template))

    @extend_schema(request=PreviewRequest, responses={200: PreviewResource})
    def preview(self, request: Request, id: str) -> Response:
        """Renders the active version or `versionId`, and lists the names that the data lacks. Stores nothing."""
        asked, version = self._asked(PreviewRequest)
        rendered, missing = content_of(version).preview(asked.get("data", {}))
        shown = {"subject": rendered.subject, "html": rendered.html, "text": rendered.text}
        return Response(PreviewResource(shown | {"missing_variables": missing}).data)

    @extend_schema(request=DiagnosticsRequest, responses={200: DiagnosticsResource})
    def diagnostics(self, request: Request, id: str) -> Response:
        """Says what may go wrong with a version in people's mail programs, the worst first. Stores nothing."""
        asked, version = self._asked(DiagnosticsRequest)
        is_broadcast = asked.get("stream") == "broadcast"
        return Response(DiagnosticsResource.shown(diagnose(version, asked.get("data", {}), is_broadcast=is_broadcast)))

    def _asked(self, serializer_class: type[PreviewRequest]) -> tuple[dict[str, Any], TemplateVersion]:
        """The checked request, and the version that it is about."""
        template = self.get_object()
        command = serializer_class(data=self.request.data)
        command.is_valid(raise_exception=True)
        asked: dict[str, Any] = command.validated_data
        pinned = asked.get("version_id")
        version = template.active_version if pinned is None else find_version(template, pinned)
        return asked, version  # type: ignore[return-value]  # a stored template has an active version


class TemplateVersionViewSet(WorkspaceViewSet):
    """Versions never change; the highest number is the newest."""

    model = TemplateVersion
    serializer_class = VersionResource
    pagination_class = WholeListPagination
    scopes = {"list": "mail:read", "retrieve": "mail:read"}
    operation_ids = {"list": "templates.versions", "retrieve": "templates.getVersion"}

    def list(self, request: Request, id: str) -> Response:
        return self.listed(versions_of(find(self.workspace_id, id)))

    def retrieve(self, request: Request, id: str, version_id: str) -> Response:
        return Response(VersionResource(find_version(find(self.workspace_id, id), version_id)).data)


def _shown(template: Template) -> dict[str, Any]:
    fresh = find(template.workspace_id, str(template.pk))
    versions = versions_of(fresh).defer("html", "html_inlined", "text").order_by("-number")[:MAX_VERSIONS_SHOWN]
    return TemplateResource(fresh, context={"versions": versions}).data
