"""The one view: authenticate, validate, save, answer."""

import hashlib
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from rest_framework import exceptions, serializers, status
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bench.yardstick.models import ApiKey, DailyUsage, Domain, Event, Message, Recipient, Suppression

DAILY_LIMIT = 1_000_000


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <key>`, kept as its hash."""

    def authenticate(self, request: Request) -> tuple[Any, ApiKey]:
        scheme, _, key = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        try:
            found = ApiKey.objects.get(secret_hash=hashlib.sha256(key.encode()).hexdigest())
        except ApiKey.DoesNotExist as error:
            raise exceptions.AuthenticationFailed from error
        return _Caller(), found


class _Caller:
    is_authenticated = True


class MessageSerializer(serializers.Serializer[Any]):
    to = serializers.EmailField()
    subject = serializers.CharField(max_length=998)
    text = serializers.CharField()
    html = serializers.CharField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # `from` is a Python keyword, so it cannot be declared above.
        return {"from": serializers.EmailField(), **super().get_fields()}


class SendView(APIView):
    """Authenticate, validate, save three rows."""

    authentication_classes = (KeyAuthentication,)
    permission_classes = (IsAuthenticated,)

    def post(self, request: Request) -> Response:
        serializer = MessageSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        mail = serializer.validated_data
        with transaction.atomic():
            self.check(request.auth, mail)
            message = Message.objects.create(
                api_key=request.auth,
                from_email=mail["from"],
                subject=mail["subject"],
                text=mail["text"],
                html=mail["html"],
            )
            Recipient.objects.create(message=message, email=mail["to"])
            Event.objects.create(message=message, type="message.queued", data={"to": mail["to"]})
        return Response({"id": message.pk, "status": message.status}, status=status.HTTP_202_ACCEPTED)

    def check(self, key: ApiKey, mail: Mapping[str, Any]) -> None:
        """Nothing."""


class CheckedSendView(SendView):
    """The same, with the checks that the platform makes: the sender's domain, suppressions, and the daily limit."""

    def check(self, key: ApiKey, mail: Mapping[str, Any]) -> None:
        domain = Domain.objects.filter(api_key=key, name=mail["from"].rpartition("@")[2]).first()
        if domain is None or domain.status != "verified":
            raise exceptions.PermissionDenied("The domain is not verified.")
        if Suppression.objects.filter(api_key=key, email=mail["to"].lower()).exists():
            raise exceptions.ValidationError({"to": ["is suppressed"]})
        usage, _made = DailyUsage.objects.get_or_create(api_key=key, day=timezone.now().date())
        open_days = DailyUsage.objects.filter(pk=usage.pk, recipients__lt=DAILY_LIMIT)
        if not open_days.update(recipients=F("recipients") + 1):
            raise exceptions.Throttled
