"""What stands around every request, and the short way to the API."""

import logging
import re
from collections.abc import Callable
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve

from apps.core.api.errors import json_answer, not_found
from apps.core.api.parsers import LengthRequired
from apps.core.ids import new_id

logger = logging.getLogger(__name__)
ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestIdMiddleware:
    """Takes the caller's X-Request-Id where it is harmless, else makes one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if ACCEPTABLE_ID.fullmatch(given) else str(new_id())
        request.request_id = request_id  # type: ignore[attr-defined]  # ours; errors.envelope reads it
        response = self.get_response(request)
        response["X-Request-Id"] = request_id
        if not response.has_header("Cache-Control") and not request.path.startswith("/static/"):
            response["Cache-Control"] = "no-store"
        return response


class ApiMiddleware:
    """Answers the API's addresses without what stands further in: sessions, cookies, CSRF and pages.

    Keys are the API's only credentials. That a cookie cannot be one is so by construction, and costs nothing.
    """

    PREFIXES = ("/v1/mail/", "/api/v1/mail/", "/api/v1/assets", "/uploads/", "/downloads/", "/internal/mail/")

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(self.PREFIXES):
            return self.get_response(request)
        request.get_host()  # raises DisallowedHost, as CommonMiddleware does for pages
        response = self._answer(request)
        if response.streaming:  # a file, whose view knows its length and sends none of it to HEAD
            return response
        response["Content-Length"] = response.headers.get("Content-Length", str(len(response.content)))
        if request.method == "HEAD":
            response.content = b""
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        if "Transfer-Encoding" in request.headers and not request.headers.get("Content-Length"):
            return json_answer(request, LengthRequired())  # the views would see no body at all
        try:
            match = request.resolver_match = resolve(request.path_info)
        except Resolver404:
            return not_found(request)
        response: Any = match.func(request, *match.args, **match.kwargs)
        if hasattr(response, "render"):  # all but files
            response.render()
        return cast(HttpResponse, response)
