"""The doors for mail servers: reports and mail come in as they are, with the server's own token (contract 2.16)."""

from typing import ClassVar

from django.conf import settings
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.parsers import UnsupportedMediaType, read
from apps.core.errors import Invalid
from apps.inbound.api.authentication import InternalToken
from apps.inbound.api.log_entries import LogEntry, take_entry
from apps.inbound.errors import MailTooLarge
from apps.inbound.services import letters, reports
from apps.inbound.services.arrival import MAX_RECIPIENTS, Arrival
from apps.inbound.states import Door
from apps.protocols.authentication.types import Origin

JSON = "application/json"
# A mail is what it is, whatever the client that hands it over calls it.
MAIL = frozenset({"", "message/rfc822", "message/global", "text/plain", "application/octet-stream"})
MAX_ADDRESS = 320


class InternalView(APIView):
    """What all doors share: the token, the envelope in the query, the mail in the body."""

    authentication_classes = (InternalToken,)
    permission_classes = ()
    http_method_names = ("post",)
    schema = None
    types: ClassVar[frozenset[str]] = MAIL
    parameters: ClassVar[frozenset[str]] = frozenset({"recipient", "sender"})

    def arrival(self, request: Request) -> Arrival:
        """Raises Invalid, UnsupportedMediaType, MailTooLarge."""
        query = request.query_params
        if unknown := [name for name in query if name not in self.parameters]:
            raise Invalid({name[:100]: ["unknown query parameter"] for name in unknown[:20]})
        recipients = [address.strip() for address in query.getlist("recipient") if address.strip()]
        if len(recipients) > MAX_RECIPIENTS:
            raise Invalid({"recipient": [f"may be given at most {MAX_RECIPIENTS} times"]})
        each = {"recipient": recipients, "sender": query.getlist("sender")}
        for name, values in each.items():
            if any(len(value) > MAX_ADDRESS or "\0" in value for value in values):
                raise Invalid({name: [f"must be an address of at most {MAX_ADDRESS} characters"]})
        raw = self._body(request)
        return Arrival(raw, tuple(recipients), query.get("sender", "").strip())

    def _body(self, request: Request) -> bytes:
        if media_type(request) not in self.types or request.headers.get("Content-Encoding", "identity") != "identity":
            raise UnsupportedMediaType("Send the mail as message/rfc822, byte for byte.")
        # Not by `body`, whose limit is that of the JSON API.
        raw = request._request.read(settings.MAIL_INBOUND_MAX_BYTES + 1)
        if len(raw) > settings.MAIL_INBOUND_MAX_BYTES:
            raise MailTooLarge(settings.MAIL_INBOUND_MAX_BYTES)
        if not raw:
            raise Invalid({"body": ["has no bytes; send the mail as it came"]})
        return raw


class BouncesView(InternalView):
    types = MAIL | {JSON}

    def post(self, request: Request) -> Response:
        """A bounce as mail, or as an entry of a mail server's log."""
        arrival = self.arrival(request)
        if media_type(request) != JSON:
            return taken(reports.take(Door.BOUNCES, arrival))
        entry = LogEntry(data=read(arrival.raw))
        entry.is_valid(raise_exception=True)
        return taken(take_entry(arrival, entry.validated_data))


class InboundView(InternalView):
    parameters = InternalView.parameters | {"clientAddress", "helo"}

    def post(self, request: Request) -> Response:
        """A mail for inbound domains; those of its recipients that are nobody's are named and harm no other."""
        arrival = self.arrival(request)
        if not arrival.recipients:
            raise Invalid({"recipient": ["name at least one in the query: ?recipient=ada@example.com"]})
        given = {name: request.query_params.get(name, "")[:MAX_ADDRESS] for name in ("clientAddress", "helo")}
        ids = letters.take(arrival, Origin(client_address=given["clientAddress"], helo=given["helo"]))
        told = [{"recipient": one, "id": str(ids[one]) if one in ids else None} for one in arrival.recipients]
        first = next(iter(ids.values()))
        return Response({"id": str(first), "recipients": told}, status=status.HTTP_202_ACCEPTED)


class ComplaintsView(InternalView):
    def post(self, request: Request) -> Response:
        """A feedback report (RFC 5965)."""
        return taken(reports.take(Door.COMPLAINTS, self.arrival(request)))


def media_type(request: Request) -> str:
    return (request.content_type or "").partition(";")[0].strip().lower()


def taken(identifier: object) -> Response:
    return Response({"id": str(identifier)}, status=status.HTTP_202_ACCEPTED)
