"""A template with a style sheet, files that were uploaded, and names of any script: all of it arrives, byte by byte."""

import email
import email.policy
import os
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import dkim as dkimpy
import pytest
import requests

from tests.client import SEND_TEMPLATE, TEMPLATES
from tests.fakes.dns_server import DnsServer
from tests.fakes.smtp_sink import Received, SmtpSink
from tests.journeys.processes import wait_until
from tests.journeys.rig import INBOX, SENDER, LiveApi, Platform

HTML = """<html><head><style>.sum { color: #0a7 } @media print { p { margin: 0 } }</style></head>
<body><p>Ναι, {{ name }}!</p><table>{% for item in items %}<tr><td class="sum">{{ item.price }}</td></tr>{% endfor %}
</table></body></html>"""
SUBJECT = "Rechnung für {{ name }} ✓ 請求書 🧾"
INVOICE, PICTURE = "Rechnung №7 – 請求書 «März».pdf", '🧾 scan "1"; it\'s.png'


def upload(api: LiveApi, name: str, content: bytes, kind: str) -> str:
    """The id of an asset, made as a form in a browser makes it."""
    answer = requests.post(
        f"{api.url}/api/v1/assets/upload",
        headers={"Authorization": f"Bearer {api.key}"},
        files={"file": (name, content, kind)},
        timeout=60,
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["id"])


def upload_in_session(api: LiveApi, name: str, content: bytes, kind: str) -> str:
    """The id of an upload session whose file was put to its address, which needs no key."""
    session = api.post("/api/v1/assets/upload-sessions", {"fileName": name, "mode": "single", "mimeType": kind}).data
    put = requests.put(session["url"], data=content, headers={"Content-Type": kind}, timeout=60)
    assert put.status_code == 201, put.text
    return str(session["upload_session_id"])


def verifies(source: bytes, dns: DnsServer) -> bool:
    """By the key that the receiving server finds in the DNS, where the customer published it."""

    def look_up(name: bytes, timeout: int = 5) -> bytes | None:
        text = dns.text(name.decode().rstrip("."))
        return text.encode() if text is not None else None

    return bool(dkimpy.verify(source, dnsfunc=look_up))


def read(received: Received) -> EmailMessage:
    parsed = email.message_from_bytes(received.content, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


@pytest.mark.django_db(transaction=True)
def test_it_arrives_as_it_was_written_and_verifies(platform: Callable[..., Platform], dns: DnsServer) -> None:
    # Every byte there is, in an order that any change of line ends or of letters would show.
    invoice, picture = bytes(range(256)) * 300 + b"\r\n.\r\n.\n\r" + os.urandom(1000), os.urandom(70_001)
    with SmtpSink() as server:
        live = platform(server.port)
        live.start_web()
        api = live.customer()
        body = request(api, invoice, picture)
        live.start_drain()
        sent = api.post(SEND_TEMPLATE, body)
        assert sent.status == 202, sent
        message = f"/v1/mail/messages/{sent.data['id']}"
        wait_until(lambda: api.get(message).data["status"] == "sent", "it is sent")

    assert sorted(name for received in server.messages for name in received.rcpt_tos) == [
        f"ada@{INBOX}",
        f"bob@{INBOX}",
    ]
    for received in server.messages:
        parsed = read(received)
        assert_says_what_was_written(parsed)
        files = {
            part.get_filename(): (part.get_content_type(), part.get_content()) for part in parsed.iter_attachments()
        }
        assert files == {INVOICE: ("application/pdf", invoice), PICTURE: ("image/png", picture)}
        assert verifies(received.content, dns)
        assert not verifies(received.content.replace(b"base64", b"BASE64", 1), dns)
    assert [(row["filename"], row["size"]) for row in api.get(message).data["attachments"]] == [
        (INVOICE, len(invoice)),
        (PICTURE, len(picture)),
    ]


def request(api: LiveApi, invoice: bytes, picture: bytes) -> dict[str, Any]:
    """A send from a template that is made for it, with both files uploaded."""
    template = {"name": "Invoice", "slug": "invoice", "subject": SUBJECT, "html": HTML}
    assert api.post(TEMPLATES, template).status == 201
    by_asset = {"assetId": upload(api, "a.pdf", invoice, "application/pdf"), "filename": INVOICE}
    by_session = {"uploadId": upload_in_session(api, "b.png", picture, "image/png"), "filename": PICTURE}
    return {
        "template": "invoice",
        "from": {"email": f"shop@{SENDER}", "name": "Løden Ægir, Ltd."},
        "to": {"email": f"ada@{INBOX}", "name": "愛 <Ada>"},
        "cc": [{"email": f"bob@{INBOX}", "name": "Боб"}],
        "replyTo": {"email": f"help@{SENDER}", "name": "Hilfe & Ödön"},
        "data": {"name": "Zoë & Søn", "items": [{"price": "9 €"}, {"price": "<10>"}]},
        "attachments": [by_asset, by_session],
    }


def assert_says_what_was_written(parsed: EmailMessage) -> None:
    html, text = parsed.get_body(("html",)), parsed.get_body(("plain",))
    assert html is not None
    assert text is not None
    assert parsed["Subject"] == "Rechnung für Zoë & Søn ✓ 請求書 🧾"
    names = {header: parsed[header].addresses[0].display_name for header in ("From", "To", "Cc", "Reply-To")}
    assert names == {"From": "Løden Ægir, Ltd.", "To": "愛 <Ada>", "Cc": "Боб", "Reply-To": "Hilfe & Ödön"}
    shown = html.get_content()
    assert "<p>Ναι, Zoë &amp; Søn!</p>" in shown
    assert '<td class="sum" style="color: #0a7;">9 €</td>' in shown
    assert '<td class="sum" style="color: #0a7;">&lt;10&gt;</td>' in shown
    assert "@media print" in shown
    assert "{" not in text.get_content()
    assert "Ναι, Zoë & Søn!" in text.get_content()
    assert "<10>" in text.get_content()
