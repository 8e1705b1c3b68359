"""Wraps every success in the contract's envelope and writes it as JSON (wire contract 1.3)."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


class EnvelopeRenderer(BaseRenderer):
    """`{"success", "status", "status_code", "message", "data"}`; errors arrive already in their own envelope."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        status = (renderer_context or {})["response"].status_code
        if status == HTTPStatus.NO_CONTENT:
            return b""
        return dump(data if status >= HTTPStatus.BAD_REQUEST else success(status, data))


class AlwaysJSON(BaseContentNegotiation):
    """Whatever Accept says, a client of this API can read JSON."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        essence = request.content_type.partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == essence), None)

    def select_renderer(self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None) -> Any:
        only = next(iter(renderers))
        return only, only.media_type


def success(status: int, data: Any) -> dict[str, Any]:
    phrase = HTTPStatus(status).phrase
    return {"success": True, "status": phrase, "status_code": status, "message": phrase, "data": data}


def dump(body: Any) -> bytes:
    return orjson.dumps(body, option=OPTIONS)
