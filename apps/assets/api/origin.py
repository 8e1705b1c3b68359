"""The addresses at the origin that need no API key, because they hold a token: bytes in, bytes out."""

import hmac
import re
from typing import Any

from django.http import FileResponse, HttpResponse
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.assets import naming
from apps.assets.api.forms import check_length
from apps.assets.api.serializers import SHA256, show_asset, show_part
from apps.assets.models import OCTETS, UploadSession, Visibility
from apps.assets.services import links, sessions
from apps.assets.services.receiving import Received, chunks_of, receive
from apps.core import inert
from apps.core.errors import Invalid

NUMBER = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


class _Open(APIView):
    """No key is asked for; the token is the permission."""

    authentication_classes = ()
    permission_classes = ()
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.query_params:
            raise Invalid({name[:100]: ["unknown query parameter"] for name in list(request.query_params)[:20]})


class UploadView(_Open):
    http_method_names = ("put",)

    def put(self, request: Request, token: str) -> Response:
        """The whole file, as it is. Answers with the asset."""
        session = sessions.by_token(token)
        received = _receive(request, session)
        try:
            asset = sessions.accept(session, received, _type(request, session))
        finally:
            received.close()
        return Response(show_asset(asset), status=status.HTTP_201_CREATED)


class PartView(_Open):
    http_method_names = ("put",)

    def put(self, request: Request, token: str, number: str) -> Response:
        """One part of a chunked upload; its SHA-256 may come along and is checked."""
        session = sessions.by_token(token)
        sessions.check_open(session)
        if not NUMBER.fullmatch(number) or int(number) > sessions.MAX_PARTS:
            raise Invalid({"part_number": [f"must be from 1 to {sessions.MAX_PARTS}"]})
        received = _receive(request, session)
        try:
            part = sessions.accept_part(session, int(number), received)
        finally:
            received.close()
        return Response(show_part(part))


class DownloadView(_Open):
    http_method_names = ("get", "head")

    def get(self, request: Request, token: str) -> HttpResponse | FileResponse:
        """The file, to keep and not to open here. Ranges are not served; the whole file answers them."""
        found = links.find(token)
        asset = found.asset
        named = (asset.original_name, naming.served_type(asset.mime_type), asset.size)
        answer: HttpResponse | FileResponse
        if request.method == "HEAD":
            answer = HttpResponse(headers=inert.download_headers(*named))
        else:
            answer = inert.download(found.open(), *named)
        is_public = asset.visibility == Visibility.PUBLIC and asset.cache_control
        answer["Cache-Control"] = asset.cache_control if is_public else "private, no-store"
        answer["Accept-Ranges"] = "none"
        return answer


def _receive(request: Request, session: UploadSession) -> Received:
    """The body. Raises FileTooLarge, and Invalid where it is not what its header says."""
    wanted = request.headers.get("X-Content-SHA256")
    if wanted is not None and not SHA256.fullmatch(wanted):
        raise Invalid({"X-Content-SHA256": ["must be a SHA-256 as 64 hexadecimal digits"]})
    check_length(request.META, 0, session.max_bytes)
    received = receive(chunks_of(request._request), session.max_bytes, name="body")
    if received.size != int(request.META.get("CONTENT_LENGTH") or received.size):
        received.close()
        raise Invalid({"body": ["ended before its Content-Length; send it again"]})
    if wanted is not None and not hmac.compare_digest(wanted.lower(), received.checksum):
        received.close()
        raise Invalid({"X-Content-SHA256": [f"does not fit: the bytes that came have {received.checksum}"]})
    return received


def _type(request: Request, session: UploadSession) -> str:
    """What the session said; else what the bytes came with."""
    if session.mime_type != OCTETS:
        return session.mime_type
    try:
        return naming.media_type(request.content_type or "")
    except ValueError as error:
        raise Invalid({"Content-Type": [str(error)]}) from None
