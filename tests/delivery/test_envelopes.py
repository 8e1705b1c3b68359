"""Who shares a transaction with whom, what the headers name, and which bytes stand in the envelope."""

import dkim
import pytest

from apps.core.crypto import derived_keys
from apps.domains.models import DomainRecord
from apps.messages.models import Recipient
from apps.protocols import verp
from tests.delivery.conftest import Post
from tests.fakes.smtp_sink import Received, SmtpSink
from tests.journeys.rig import INBOX, receives_mail

TO, CC, BCC, OTHER_BCC = (f"{name}@{INBOX}" for name in ("to", "cc", "bcc", "other"))


def head(message: Received) -> bytes:
    return message.content.partition(b"\r\n\r\n")[0]


def shared(messages: list[Received]) -> list[set[str]]:
    """Who was in one transaction with whom."""
    return sorted((set(message.rcpt_tos) for message in messages), key=lambda group: (len(group), min(group)))


def test_a_bcc_travels_alone_and_no_header_names_it(post: Post) -> None:
    with SmtpSink() as server:
        post.goes_to(server)
        post.send(TO, cc=[CC], bcc=[BCC, OTHER_BCC])
        post.deliver()

        messages = server.wait_for(3)
        assert shared(messages) == [{BCC}, {OTHER_BCC}, {TO, CC}]
        assert len({message.content for message in messages}) == 1
        for message in messages:
            assert b"\r\nTo: to@inbox.example" in head(message)
            assert b"\r\nCc: cc@inbox.example" in head(message)
            assert b"\r\nbcc:" not in head(message).lower()
            assert b"bcc@" not in message.content
            assert b"other@" not in message.content


def test_one_destination_is_one_transaction_and_another_is_another(post: Post) -> None:
    receives_mail(post.dns, "elsewhere.example")
    with SmtpSink() as server:
        post.goes_to(server)
        post.send([TO, CC, "far@elsewhere.example"])
        post.deliver()

        assert shared(server.wait_for(2)) == [{"far@elsewhere.example"}, {TO, CC}]


def test_the_return_path_reads_back_to_the_recipient(post: Post) -> None:
    with SmtpSink() as server:
        post.goes_to(server)
        post.send(TO, bcc=[BCC])
        post.deliver()

        for message in server.wait_for(2):
            assert message.mail_from.endswith("@bounces.shop.example")
            recipient_id = verp.read(message.mail_from, secrets=derived_keys("verp"))
            assert Recipient.objects.across_workspaces().get(pk=recipient_id).email == message.rcpt_tos[0]
            forged = message.mail_from.translate({ord("a"): "b", ord("b"): "a"}).replace("a-", "b-", 1)
            assert verp.read(forged, secrets=derived_keys("verp")) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace(b"Thank you.", b"Thank you!"),
        lambda content: content.replace(b"\r\nSubject: Your order", b"\r\nSubject: Your debts"),
        lambda content: content.replace(b"\r\nSubject:", b"\r\nReply-To: thief@evil.example\r\nSubject:"),
        lambda content: content + b"One more line.\r\n",
    ],
)
def test_the_signature_holds_for_what_arrived_and_for_nothing_else(post: Post, change: object) -> None:
    with SmtpSink() as server:
        post.goes_to(server)
        post.send(TO, subject="Your order", text="Grüße.\n\n.\n\nThank you.\n", html="<p>Thank you.</p>")
        post.deliver()
        (message,) = server.wait_for(1)

    published = {
        f"{record.name}.".encode(): record.value.encode()
        for record in DomainRecord.objects.across_workspaces().filter(purpose="dkim", domain__name="shop.example")
    }
    asked = []

    def key_of(name: bytes, timeout: int = 5) -> bytes | None:
        asked.append(name)
        return published.get(name)

    assert dkim.verify(message.content, dnsfunc=key_of)
    assert asked == list(published)
    changed = change(message.content)  # type: ignore[operator]
    assert changed != message.content
    assert not dkim.verify(changed, dnsfunc=key_of)


@pytest.mark.parametrize(
    ("given", "stored", "needs_smtputf8"),
    [
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example", False),
        ("Ada.Lovelace@INBOX.example", "Ada.Lovelace@inbox.example", False),
        ("дарья@inbox.example", "дарья@inbox.example", True),
        ("дарья@bücher.example", "дарья@xn--bcher-kva.example", True),
    ],
)
def test_the_envelope_holds_exactly_the_stored_address(
    post: Post, given: str, stored: str, needs_smtputf8: bool
) -> None:
    receives_mail(post.dns, "xn--bcher-kva.example")
    with SmtpSink() as server:
        post.goes_to(server)
        message_id = post.send(given)
        post.deliver()

        (message,) = server.wait_for(1)
        (recipient,) = post.story(message_id).message["recipients"]
        assert recipient["email"] == stored
        assert message.rcpt_tos == (stored,)
        assert ("SMTPUTF8" in message.mail_options) is needs_smtputf8


def test_what_a_server_cannot_take_is_refused_and_not_mangled(post: Post) -> None:
    with SmtpSink(smtputf8=False) as server:
        post.goes_to(server)
        message_id = post.send("дарья@inbox.example")
        post.deliver()

        story = post.story(message_id)
        assert story.status in {"failed", "bounced"}
        assert "SMTPUTF8" in story.message["lastError"]
        assert server.messages == []
