"""The one place where a refusal becomes an answer (wire contract 1.5); also for what Django refuses itself."""

import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from apps.core.api.renderers import dump
from apps.core.errors import Invalid, NotFound, PayloadTooLarge, Problem, TemporarilyUnavailable

logger = logging.getLogger(__name__)

CODES = {
    400: "validation_error",
    401: "unauthorized",
    403: "insufficient_scope",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    500: "internal_error",
    503: "temporarily_unavailable",
}
DOWN = (OperationalError, InterfaceError)


def exception_handler(exception: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's hook: every exception becomes the error envelope; None lets Django log it and answer 500."""
    request = context["request"]._request
    set_rollback()
    problem = as_problem(exception)
    if problem is None:
        return None
    response = Response(envelope(problem, request), status=problem.status)
    for name, value in _headers(problem, exception).items():
        response[name] = value
    return response


def envelope(problem: Problem, request: HttpRequest) -> dict[str, Any]:
    """The error body; `message` stands twice because the published clients read it in different places."""
    return {
        "success": False,
        "status": HTTPStatus(problem.status).phrase,
        "status_code": problem.status,
        "message": problem.message,
        "error": {"code": problem.code, "message": problem.message, "details": problem.details},
        "requestId": getattr(request, "request_id", None),
    }


def as_problem(exception: Exception) -> Problem | None:
    """The refusal that an exception means to the caller; None: it is a fault of ours."""
    if isinstance(exception, Problem):
        return exception
    if isinstance(exception, exceptions.ValidationError):
        return Invalid(dict(_flatten(exception.detail)))
    if isinstance(exception, exceptions.APIException):
        return _plain(exception.status_code, str(exception.detail))
    if isinstance(exception, Http404):
        return NotFound()
    if isinstance(exception, PermissionDenied):
        return _plain(403, "This key may not do that.")
    if isinstance(exception, RequestDataTooBig):
        return PayloadTooLarge()
    if isinstance(exception, DOWN):
        logger.error("the database does not answer: %s", exception)
        return TemporarilyUnavailable()
    return None


def _plain(status: int, message: str) -> Problem:
    problem = Problem(message)
    problem.status = status
    problem.code = CODES.get(status, "validation_error")
    return problem


def _headers(problem: Problem, exception: Exception) -> dict[str, str]:
    headers = {}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.retry_after_seconds is not None:
        headers["Retry-After"] = str(problem.retry_after_seconds)
    if isinstance(exception, exceptions.MethodNotAllowed):
        headers["Allow"] = ", ".join(getattr(exception, "allowed_methods", []))
    return {name: value for name, value in headers.items() if value}


def _flatten(detail: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """DRF's nested messages as `{"to.0.email": ["..."]}`, which a caller can show beside the field."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            joined = path if name == "non_field_errors" else f"{path}.{name}" if path else str(name)
            yield from _flatten(inner, joined or "body")
    elif isinstance(detail, list) and any(isinstance(item, Mapping | list) for item in detail):
        for index, inner in enumerate(detail):
            if inner:
                yield from _flatten(inner, f"{path}.{index}" if path else str(index))
    else:
        yield path or "body", [str(item) for item in (detail if isinstance(detail, list) else [detail])]


def json_answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The error envelope for code that runs outside of DRF."""
    response = HttpResponse(dump(envelope(problem, request)), status=problem.status, content_type="application/json")
    for name, value in _headers(problem, problem).items():
        response[name] = value
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return json_answer(request, _plain(400, "The request cannot be read; check the Host header and the address."))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return json_answer(request, _plain(403, "This is not allowed."))


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return json_answer(request, NotFound("There is nothing at this address."))


def server_error(request: HttpRequest) -> HttpResponse:
    return json_answer(request, Problem())
