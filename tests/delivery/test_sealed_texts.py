"""Texts that are a secret: only the recipient gets to see them, and nothing is left of them afterwards."""

from datetime import timedelta
from unittest.mock import patch
from uuid import UUID

import pytest
from django.test import Client

from apps.core import clock
from apps.messages.models import Message, MessageContent, Recipient
from apps.messages.services import interventions
from apps.messages.states import Lane, Status
from apps.workspaces.services import create_operator
from tests import stored
from tests.conftest import World
from tests.delivery.conftest import Post
from tests.factories import make_message, suppress
from tests.fakes.smtp_sink import SmtpSink
from tests.journeys.rig import INBOX

SECRET = "the word is swordfish"
ADA = f"ada@{INBOX}"


def sealed(world: World, to: str = ADA, *, minutes: int = 10) -> Message:
    ends_at = clock.now() + timedelta(minutes=minutes)
    texts = {"text": SECRET, "html": f"<p>{SECRET}</p>"}
    return make_message(world.owner.workspace, to, lane=Lane.OTP, is_sealed=True, expires_at=ends_at, **texts)


def content_of(message: Message) -> tuple[str | None, str | None]:
    content = MessageContent.objects.get(pk=message.pk)
    return content.text, content.html


def test_they_arrive_open_and_are_wiped_then(post: Post, world: World) -> None:
    with SmtpSink() as server:
        post.goes_to(server)
        message = sealed(world)
        assert SECRET not in repr(stored.everything())
        post.deliver()

        (received,) = server.messages
    assert received.content.count(SECRET.encode()) == 2
    assert content_of(message) == (None, None)
    assert SECRET not in repr(stored.everything())


def test_neither_the_api_nor_the_console_shows_them(post: Post, world: World, client: Client) -> None:
    message = sealed(world)
    create_operator("ops@example.com", password="long enough 123")
    assert client.login(username="ops@example.com", password="long enough 123")

    shown = world.owner.api.get(f"/v1/mail/messages/{message.pk}")
    pages = [
        client.get(f"/admin/mail_messages/message/{message.pk}/change/", {"sent": tab})
        for tab in ("html", "text", "headers", "source", "attachments")
    ]
    pages.append(client.get(f"/admin/mail_messages/messagecontent/{message.pk}/change/"))

    assert (shown.data["text"], shown.data["html"]) == (None, None)
    token = str(content_of(message)[0])[:40]
    for page in pages:
        assert page.status_code == 200
        assert "Nobody is shown the text of a one-time code." in page.content.decode()
        assert SECRET not in page.content.decode()
        assert token not in page.content.decode()


@pytest.mark.parametrize("end", ["suppressed", "withdrawn", "expired", "refused"])
def test_they_are_wiped_at_every_end(post: Post, world: World, end: str) -> None:
    with SmtpSink(reply_for={ADA: "550 5.1.1 no such user"} if end == "refused" else None) as server:
        post.goes_to(server)
        message = sealed(world)
        if end == "suppressed":
            suppress(world.owner.workspace.pk, ADA)
        if end == "withdrawn":
            interventions.withdraw([message.pk], reason="Nobody needs it.")
        if end == "expired":
            Message.objects.of(world.owner.workspace.pk).update(expires_at=clock.now())
        post.deliver()

        assert server.messages == []
    assert content_of(message) == (None, None)


def test_they_are_not_even_stored_for_a_suppressed_recipient(world: World) -> None:
    suppress(world.owner.workspace.pk, ADA)

    message = sealed(world)

    assert message.status == Status.SUPPRESSED
    assert content_of(message) == (None, None)


def test_what_has_expired_is_not_sent(post: Post, world: World) -> None:
    with SmtpSink() as server:
        post.goes_to(server)
        message = sealed(world, minutes=-1)
        post.deliver()

        assert server.messages == []
    story = post.story(str(message.pk))
    assert story.status == "failed"
    assert world.owner.api.get(f"/v1/mail/messages/{message.pk}").data["lastError"] == (
        "It was not sent in time: what it says is of no use any more."
    )


def test_withdrawing_ends_also_what_is_held(post: Post, world: World) -> None:
    message = sealed(world)
    recipient: UUID = Recipient.objects.of(world.owner.workspace.pk).get(message=message).pk
    interventions.hold([recipient])

    answer = interventions.withdraw([message.pk], reason="A newer code was sent.")

    assert answer.changed == {recipient}
    row = Recipient.objects.of(world.owner.workspace.pk).get(pk=recipient)
    assert (row.status, row.last_error, row.next_attempt_at) == (Status.FAILED, "A newer code was sent.", None)
    assert interventions.withdraw([message.pk], reason="Again.").changed == frozenset()


def test_a_worker_whose_clock_is_ahead_ends_nothing_before_its_time(post: Post, world: World) -> None:
    message = sealed(world, minutes=10)
    of_the_database = clock.database_now()  # SQLite has no clock of its own, so it gets one

    with (
        SmtpSink() as server,
        patch.object(clock, "database_now", return_value=of_the_database),
        patch.object(clock, "now", return_value=of_the_database + timedelta(minutes=11)),
    ):
        post.goes_to(server)
        post.deliver()

        assert len(server.messages) == 1
    assert post.story(str(message.pk)).status == "sent"
