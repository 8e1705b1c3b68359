"""Domains that receive, and mail for them."""

from typing import Any
from uuid import UUID

from django.test import override_settings

from apps.inbound.models import InboundAttachment, InboundDomain, InboundMessage
from apps.inbound.services import domains, letters
from apps.inbound.services.arrival import Arrival
from apps.protocols.authentication.types import Origin
from apps.workspaces.models import Workspace
from tests.fakes.dns_server import DnsServer

INBOUND = "/internal/mail/inbound"
DOMAINS, MESSAGES = "/v1/mail/inbound/domains", "/v1/mail/inbound/messages"
NAME = "in.shop.example"
RAW = (
    b"From: =?utf-8?b?R3LDvMOf?= Ann <ann@a.example>\r\nTo: Shop <info@in.shop.example>\r\nCc: bob@b.example\r\n"
    b"Subject: =?utf-8?q?Where_is_my_order=3F_=E2=98=95?=\r\nMessage-ID: <1@a.example>\r\nMIME-Version: 1.0\r\n"
    b'Authentication-Results: mail.shop.example; dmarc=pass\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nWhere is it?\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<p>Where <script>alert(1)</script>is it?</p>\r\n"
    b'--b\r\nContent-Type: text/html; name="../../x.html"\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+\r\n'
    b'--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="empty.pdf"\r\n\r\n\r\n'
    b"--b--\r\n"
)


def publish(dns: DnsServer, domain: dict[str, Any], *, without: str = "") -> None:
    """Writes the records that the API shows into the zone, all but those of one purpose."""
    for record in domain["records"]:
        if record["purpose"] != without:
            value = f"{record['priority']} {record['value']}." if record["type"] == "MX" else record["value"]
            dns.set(record["name"], record["type"], value)


def make_inbound_domain(workspace: Workspace, name: str = NAME) -> InboundDomain:
    """A domain that receives, by the operator's word."""
    domain = domains.create(workspace.pk, name)
    domains.trust(domain)
    domain.refresh_from_db()
    return domain


def make_inbound_message(workspace: Workspace, raw: bytes = RAW, *, name: str = NAME) -> InboundMessage:
    if not InboundDomain.objects.of(workspace.pk).filter(name=name).exists():
        make_inbound_domain(workspace, name)
    # A DNS that knows nothing; one that does not answer would be waited for.
    with DnsServer() as dns, override_settings(MAIL_DNS_SERVERS=dns.address):
        (identifier,) = letters.take(Arrival(raw, (f"info@{name}",), "ann@a.example"), Origin()).values()
    message: InboundMessage = InboundMessage.objects.of(workspace.pk).get(pk=identifier)
    return message


def attachment_ids(workspace: Workspace) -> dict[str, UUID]:
    """Of a mail and of its first attachment, as a route names them."""
    message = make_inbound_message(workspace)
    row = InboundAttachment.objects.of(workspace.pk).filter(message=message).earliest("position")
    return {"id": message.pk, "attachment_id": row.pk}
