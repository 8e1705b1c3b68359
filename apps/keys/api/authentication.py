"""Reads `Authorization: Bearer <key>`."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from apps.keys.errors import Unauthorized
from apps.keys.services import Caller, authenticate

MAX_LENGTH = 200


class ApiKeyAuthentication(BaseAuthentication):
    """Sets `request.user` to the Caller; a request without a valid key gets no further."""

    def authenticate(self, request: Request) -> tuple[Caller, None]:
        scheme, _, key = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not key or len(key) > MAX_LENGTH:
            raise Unauthorized
        return authenticate(key), None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """How the API document shows it."""

    target_class = ApiKeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "An API key: `sspat_...`."}
