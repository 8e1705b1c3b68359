"""Assets: upload, list, read, replace, delete, sign; and upload sessions for clients without a key."""

import re
from datetime import timedelta
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.assets.api.filters import AssetFilters
from apps.assets.api.forms import UploadedForm, UploadedFormParser
from apps.assets.api.serializers import (
    AssetResource,
    ReplaceForm,
    SessionRequest,
    SessionResource,
    SignedUrlRequest,
    SignedUrlResource,
    UploadForm,
    show_asset,
    show_session,
)
from apps.assets.models import Asset, UploadSession
from apps.assets.services import library, links, sessions
from apps.core.errors import Invalid, NotFound
from apps.core.ids import parse_id
from apps.keys.api.views import WorkspaceViewSet
from apps.keys.idempotency import Use, choose_key, use_of

REVISION = re.compile(r'"([0-9]{1,9})"', re.ASCII)
TEN_MINUTES = timedelta(minutes=10)
IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description='The revision in quotes, such as "3".'
)
IDEMPOTENCY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)


def _form_of(texts: dict[str, Any]) -> dict[str, Any]:
    properties = {"file": {"type": "string", "format": "binary"}, **texts}
    return {"multipart/form-data": {"type": "object", "required": ["file"], "properties": properties}}


TEXT = {"type": "string"}
REPLACE_FORM = _form_of({"cache_control": TEXT, "metadata": {"type": "string", "description": "A JSON object."}})
UPLOAD_FORM = _form_of(
    {**dict.fromkeys(("bucket", "key", "folder", "visibility", "cache_control"), TEXT)}
    | {"metadata": {"type": "string", "description": "A JSON object."}}
)


class AssetViewSet(WorkspaceViewSet):
    """The files of a workspace."""

    model = Asset
    serializer_class = AssetResource
    filterset_class = AssetFilters
    scopes = {
        "list": "assets:read",
        "retrieve": "assets:read",
        "destroy": "assets:manage",
        "sign": "assets:manage",
    }
    operation_ids = {
        "list": "assets.list",
        "retrieve": "assets.get",
        "destroy": "assets.delete",
        "sign": "assets.signedUrl",
    }

    def get_queryset(self) -> Any:
        return super().get_queryset().filter(deleted_at=None)

    def list(self, request: Request) -> Response:
        return self.listed(self.get_queryset())

    def retrieve(self, request: Request, id: str) -> Response:
        return Response(show_asset(self.get_object()))

    @extend_schema(parameters=[IF_MATCH, IDEMPOTENCY], responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """Deletes the asset at once. Mail that needs it and is not sent yet waits, and says why."""
        asset_id, revision = parse_id(id), revision_of(request)
        if asset_id is None:
            raise NotFound
        use = _use(request, "asset_delete", {"id": id, "revision": revision})
        library.delete(self.workspace_id, asset_id, revision=revision, use=use)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=SignedUrlRequest, responses={200: SignedUrlResource})
    def sign(self, request: Request, id: str) -> Response:
        """An address under which anybody who has it can fetch the file, for a time and a number of times."""
        asset = self.get_object()
        command = SignedUrlRequest(data=request.data)
        command.is_valid(raise_exception=True)
        wanted = command.validated_data
        link = links.sign(
            asset, expires_in=wanted.get("expires_in", TEN_MINUTES), max_downloads=wanted.get("max_downloads")
        )
        return Response(SignedUrlResource(link).data)


class UploadViewSet(WorkspaceViewSet):
    """What takes a file in a form."""

    model = Asset
    parser_classes = (UploadedFormParser,)
    scopes = {"upload": "assets:manage", "replace": "assets:manage"}
    operation_ids = {"upload": "assets.upload", "replace": "assets.replace"}

    def get_queryset(self) -> Any:
        return super().get_queryset().filter(deleted_at=None)

    @extend_schema(parameters=[IDEMPOTENCY], request=UPLOAD_FORM, responses={201: AssetResource, 200: AssetResource})
    def upload(self, request: Request) -> Response:
        """Keeps one file, of at most 25 MiB unless the operator allows more."""
        form = _form(request)
        try:
            texts = UploadForm(data=dict(form.texts))
            texts.is_valid(raise_exception=True)
            said = {"original_name": form.name, "mime_type": form.mime_type, **texts.validated_data}
            use = _use(request, "asset_upload", said | {"checksum": form.received.checksum})
            made = library.upload(self.workspace_id, library.Description(**said), form.received, use=use)
        finally:
            form.received.close()
        code = status.HTTP_200_OK if made.is_replay else status.HTTP_201_CREATED
        return Response(show_asset(made.asset), status=code)

    @extend_schema(parameters=[IF_MATCH], request=REPLACE_FORM, responses={200: AssetResource})
    def replace(self, request: Request, id: str) -> Response:
        """Gives an asset other bytes. Mail that was accepted before carries those of its acceptance."""
        asset, revision = self.get_object(), revision_of(request)
        form = _form(request)
        try:
            texts = ReplaceForm(data=dict(form.texts))
            texts.is_valid(raise_exception=True)
            changes = {"original_name": form.name, "mime_type": form.mime_type, **texts.validated_data}
            replaced = library.replace(asset, form.received, revision=revision, changes=changes)
        finally:
            form.received.close()
        return Response(show_asset(replaced))


class UploadSessionViewSet(WorkspaceViewSet):
    """Permissions to upload one file without an API key."""

    model = UploadSession
    serializer_class = SessionResource
    scopes = dict.fromkeys(("create", "retrieve", "destroy", "complete"), "assets:manage")
    operation_ids = {
        "create": "assets.createUploadSession",
        "retrieve": "assets.resumeUploadSession",
        "destroy": "assets.cancelUploadSession",
        "complete": "assets.completeUploadSession",
    }

    def get_queryset(self) -> Any:
        return super().get_queryset().select_related("asset")

    @extend_schema(
        parameters=[IDEMPOTENCY], request=SessionRequest, responses={201: SessionResource, 200: SessionResource}
    )
    def create(self, request: Request) -> Response:
        """The address to PUT the file to, in one piece; or in parts, below /parts/1, /parts/2 and so on."""
        command = SessionRequest(data=request.data)
        command.is_valid(raise_exception=True)
        wanted = dict(command.validated_data)
        body: Any = request.data
        use = _use(request, "upload_session", body)
        promised = {name: wanted.pop(name) for name in sessions.Promise.__dataclass_fields__ if name in wanted}
        said = {"original_name": wanted.pop("file_name", "file"), **wanted}
        made = sessions.create(self.workspace_id, library.Description(**said), sessions.Promise(**promised), use=use)
        code = status.HTTP_200_OK if made.is_replay else status.HTTP_201_CREATED
        return Response(show_session(made.session), status=code)

    def retrieve(self, request: Request, id: str) -> Response:
        """Which parts are there, so that an upload can go on where it stopped."""
        return Response(show_session(self.get_object()))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        sessions.cancel(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={200: AssetResource})
    def complete(self, request: Request, id: str) -> Response:
        """Joins the parts in the order of their numbers; again, it only tells the asset."""
        return Response(show_asset(sessions.complete(self.get_object())))


def _form(request: Request) -> UploadedForm:
    form: Any = request.data
    if not isinstance(form, UploadedForm):  # a request without any body is not parsed
        raise Invalid({"file": ["is missing: send the file in a form field of this name"]})
    return form


def revision_of(request: Request) -> int | None:
    """The revision that If-Match asks for; None where any will do. Raises Invalid."""
    text = request.headers.get("If-Match")
    if text is None or text.strip() == "*":
        return None
    match = REVISION.fullmatch(text.strip())
    if match is None:
        raise Invalid({"If-Match": ['must be the revision in quotes, such as "3"']})
    return int(match[1])


def _use(request: Request, family: str, body: dict[str, Any]) -> Use | None:
    key = choose_key(in_body=None, in_header=request.headers.get("Idempotency-Key"))
    caller: Any = request.user
    return use_of(caller.workspace_id, family, key, body)
