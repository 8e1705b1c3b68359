"""The server's own token, which is no API key and no API key is."""

import hmac
from typing import Any

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from apps.inbound.errors import DoorClosed, WrongToken


class InternalToken(BaseAuthentication):
    """Without MAIL_INTERNAL_TOKEN there are no such addresses at all."""

    def authenticate(self, request: Request) -> tuple[None, None]:
        token = settings.MAIL_INTERNAL_TOKEN
        if not token:
            raise DoorClosed
        scheme, _, given = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        # Of octets, so that what is no ASCII is compared and not refused with an error.
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), token.encode()):
            raise WrongToken
        return None, None

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"
