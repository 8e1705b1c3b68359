"""One-time codes by mail: send, verify, look at, cancel."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.errors import NotFound
from apps.core.ids import parse_id
from apps.keys import idempotency
from apps.keys.api.views import WorkspaceViewSet
from apps.messages.api.drafting import check_simulation
from apps.otp.api import resources
from apps.otp.api.filters import ChallengeFilters
from apps.otp.api.requests import OtpSendRequest, OtpVerifyRequest
from apps.otp.codes import DEFAULT_LENGTH
from apps.otp.models import Challenge
from apps.otp.services import endings, issue, verify

DEFAULT_LIFETIME = timedelta(minutes=10)
# One for all requests: they keep nothing of what they validate this way.
_SEND, _VERIFY = OtpSendRequest(), OtpVerifyRequest()


class OtpViewSet(WorkspaceViewSet):
    """Codes that prove that somebody reads an address."""

    model = Challenge
    scopes = {"send": "mail:send", "verify": "mail:send"}
    operation_ids = {"send": "otp.send", "verify": "otp.verify"}

    @extend_schema(request=OtpSendRequest, responses={202: resources.IssuedResource, 200: resources.IssuedResource})
    def send(self, request: Request) -> Response:
        """Mails a new code; an open one for the same address and purpose is void from then on.

        An address gets one code for a purpose in 30 seconds, 5 an hour and 10 a day for all purposes (the operator may
        have set other limits). The same idempotency key again answers 200 with the first challenge.
        """
        body: Any = request.data
        data: Mapping[str, Any] = _SEND.run_validation(body)
        check_simulation(data, self.caller)
        use = self._use(body, data, request.headers.get("Idempotency-Key"))
        issued = issue.issue(self.caller, _request(data), use)
        shown = {**resources.ChallengeFields(issued.challenge).data, "idempotencyStatus": issued.idempotency_status}
        return Response(shown, status=status.HTTP_200_OK if issued.is_replay else status.HTTP_202_ACCEPTED)

    @extend_schema(request=OtpVerifyRequest, responses=resources.VerifiedResource)
    def verify(self, request: Request) -> Response:
        """Answers 200 for the right code, once. A wrong one is refused with `otp_invalid_code` and counts as a try.

        A text that cannot be the code (not digits, or not as many as it has) is refused with `validation_error` and
        does not count.
        """
        body: Any = request.data
        data: Mapping[str, Any] = _VERIFY.run_validation(body)
        if "challenge_id" in data:
            if (challenge_id := parse_id(data["challenge_id"])) is None:
                raise NotFound
            challenge = verify.verify(self.workspace_id, challenge_id, data["code"])
        else:
            challenge = verify.verify_for(self.workspace_id, data["to"].key, data["purpose"], data["code"])
        shown = {"id": challenge.pk, "verified": True, "status": challenge.status, "verified_at": challenge.verified_at}
        return Response(resources.VerifiedResource(shown).data)

    def _use(self, body: Any, data: Mapping[str, Any], in_header: str | None) -> idempotency.Use | None:
        key = idempotency.choose_key(in_body=data.get("idempotency_key"), in_header=in_header)
        return idempotency.use_of(self.workspace_id, issue.FAMILY, key, body)


class ChallengeViewSet(WorkspaceViewSet):
    """Challenges of this workspace and what became of them; their codes are shown to nobody."""

    model = Challenge
    serializer_class = resources.ChallengeResource
    filterset_class = ChallengeFilters
    scopes = {"list": "mail:read", "retrieve": "mail:read", "cancel": "mail:send"}
    operation_ids = {
        "list": "otp.challenges.list",
        "retrieve": "otp.challenges.get",
        "cancel": "otp.challenges.cancel",
    }

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().select_related("message")

    @extend_schema(responses=resources.ChallengeResource(many=True))
    def list(self, request: Request) -> Response:
        return self.listed(self.get_queryset())

    @extend_schema(responses=resources.ChallengeResource)
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(resources.ChallengeResource(self.get_object()).data)

    @extend_schema(request=None, responses=resources.ChallengeResource)
    def cancel(self, request: Request, id: str) -> Response:
        """Voids an open challenge; its mail is not sent where it has not been yet."""
        endings.cancel(self.workspace_id, self.get_object().pk)
        return Response(resources.ChallengeResource(self.get_object()).data)


def _request(data: Mapping[str, Any]) -> issue.Request:
    return issue.Request(
        to=data["to"],
        purpose=data["purpose"],
        lifetime=data.get("expires_in", DEFAULT_LIFETIME),
        code_length=data.get("code_length", DEFAULT_LENGTH),
        metadata=data.get("metadata", {}),
        sender=data.get("sender"),
        subject=data.get("subject"),
        brand=data.get("brand_name"),
        scenario=data.get("simulation", {}).get("scenario", ""),
    )
