"""What arrives by SMTP is signed so that two independent verifiers agree, and nothing can be added or changed."""

from typing import Any

import dkim as dkimpy
import pytest

from apps.domains.models import Domain, DomainRecord
from tests.client import DOMAINS
from tests.delivery.conftest import Post
from tests.domains.conftest import publish
from tests.fakes.opendkim import needs_opendkim, opendkim
from tests.fakes.smtp_sink import SmtpSink

TO = ["Ada <ada@inbox.example>", "grace@inbox.example"]
CONTENTS: dict[str, dict[str, Any]] = {
    "plain": {"subject": "Your order", "text": "Thank you."},
    "both parts": {"subject": "Grüße aus Köln", "text": "Grüße.\n\n.\n\nThank you.\n", "html": "<p>Grüße</p>"},
    "white space": {"subject": "  a   b  ", "text": "a  b \t \n\n\n  \n.\n..\nFrom me\n\n\n\n"},
    "long lines": {"subject": "x " * 300, "text": "y" * 5_000},
    "every header": {
        "subject": "News",
        "text": "Hello",
        "cc": "cc@inbox.example",
        "replyTo": "Help <help@shop.example>",
        "headers": {"List-Unsubscribe": "<https://shop.example/u>", "X-Order": "12  34"},
    },
}
# A field that a stranger adds, and where no signature may survive it (RFC 6376 section 8.15).
ADDED = [
    *("From: evil@evil.example", "To: evil@evil.example", "Cc: evil@evil.example", "Subject: You won"),
    *("Date: Tue, 01 Jan 2030 00:00:00 +0000", "Reply-To: evil@evil.example", "Message-ID: <evil@evil.example>"),
    *("MIME-Version: 1.0", "Content-Type: text/html", "List-Unsubscribe: <https://evil.example/>"),
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
]


@pytest.fixture
def twice(post: Post) -> Domain:
    """The sender's domain, signing by RSA and by Ed25519."""
    row: Domain = Domain.objects.across_workspaces().get(name="shop.example")
    publish(post.dns, post.api.get(f"{DOMAINS}/{row.pk}").data)
    publish(post.dns, post.api.call("PUT", f"{DOMAINS}/{row.pk}/second-signature").data)
    keys = post.api.post(f"{DOMAINS}/{row.pk}/verify").data["keys"]
    assert [key["state"] for key in keys] == ["active", "active"]
    return row


def published() -> dict[str, str]:
    return {row.name: row.value for row in DomainRecord.objects.across_workspaces().filter(purpose="dkim")}


def arrived(post: Post, count: int = 1, **content: Any) -> list[bytes]:
    """The messages as a server on the other side received them."""
    with SmtpSink() as server:
        post.goes_to(server)
        post.send(TO, **content)
        post.deliver()
        return [message.content for message in server.wait_for(count)]


def by_dkimpy(message: bytes) -> list[bool]:
    count = message.partition(b"\r\n\r\n")[0].count(b"DKIM-Signature:")
    return [_verifies(message, number) for number in range(count)]


def _verifies(message: bytes, number: int) -> bool:
    records = {f"{name}.".encode(): value.encode() for name, value in published().items()}
    try:
        return bool(dkimpy.DKIM(message).verify(number, dnsfunc=lambda name, timeout=5: records.get(name)))
    except dkimpy.ValidationError:  # its way to say that the body is another one
        return False


@needs_opendkim
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_both_verifiers_accept_both_signatures(post: Post, twice: Domain, content: dict[str, Any]) -> None:
    for message in arrived(post, **content):
        assert by_dkimpy(message) == [True, True]
        assert list(opendkim([message], published())[0].values()) == ["pass", "pass"]


@needs_opendkim
@pytest.mark.rfc(6376, "8.15")
@pytest.mark.parametrize("where", ["on top", "at the end"])
def test_no_field_can_be_added_that_the_signature_should_catch(post: Post, twice: Domain, where: str) -> None:
    (message,) = arrived(post, subject="Your order", text="Thank you.")
    head, _, body = message.partition(b"\r\n\r\n")
    added = [field.encode() for field in ADDED]
    forged = [
        b"\r\n".join([field, head] if where == "on top" else [head, field]) + b"\r\n\r\n" + body for field in added
    ]

    assert [by_dkimpy(message) for message in forged] == [[False, False]] * len(ADDED)
    assert [set(verdict.values()) for verdict in opendkim(forged, published())] == [{"fail"}] * len(ADDED)


@needs_opendkim
def test_no_byte_of_text_can_be_changed_or_added(post: Post, twice: Domain) -> None:
    own = {"In-Reply-To": "<1@shop.example>", "References": "<1@shop.example>", "Auto-Submitted": "auto-generated"}
    (message,) = arrived(post, subject="Your order", text="Thank you.", headers=own)
    head, _, body = message.rpartition(b"\r\nDate: ")
    changes = [
        *((b"Thank", b"Spank"), (b"Your order", b"Y0ur order"), (b"shop@shop.example", b"boss@shop.example")),
        *((b"grace@inbox", b"gr4ce@inbox"), (b"Message-ID: <", b"Message-ID: <x"), (b"text/plain", b"text/html")),
        *((b"In-Reply-To: <1", b"In-Reply-To: <2"), (b"References: <1", b"References: <2")),
        (b"auto-generated", b"auto-replied"),
    ]
    forged = [message.replace(*change, 1) for change in changes] + [message + b"More.\r\n"]
    forged.append(head + b"\r\nDate: Mon, " + body[5:])

    assert message not in forged
    assert [by_dkimpy(letter) for letter in forged] == [[False, False]] * len(forged)
    assert [set(verdict.values()) for verdict in opendkim(forged, published())] == [{"fail"}] * len(forged)
