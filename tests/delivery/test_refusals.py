"""What a server's refusal does to the message, to its recipient, and to the next message for the same address."""

from typing import Any

import pytest

from apps.suppressions.models import Suppression
from tests.delivery.conftest import Post
from tests.fakes.smtp_sink import Close, RawSmtpServer, SmtpSink
from tests.journeys.rig import INBOX

ADA = f"ada@{INBOX}"


def test_greylisting_is_waited_out(post: Post) -> None:
    answers = {ADA: "451 4.7.1 Greylisted, come back later"}
    with SmtpSink(reply_for=answers.get) as server:
        post.goes_to(server)
        message_id = post.send(ADA)
        post.deliver()

        waiting = post.story(message_id)
        assert waiting.status == "deferred"
        assert waiting.wait["code"] == "retry"
        assert "Greylisted" in waiting.wait["detail"]
        assert waiting.wait["until"] > waiting.wait["since"]
        assert waiting.message["recipients"][0]["nextAttemptAt"] == waiting.wait["until"]

        del answers[ADA]
        post.deliver_later()
        done = post.story(message_id)
        assert done.tries == ["deferred", "sent"]
        assert [attempt["smtpCode"] for attempt in done.attempts] == [451, 250]
        assert done.attempts[0]["enhancedCode"] == "4.7.1"
        assert done.happened == ["queued", "deferred", "sending", "sent"]
        assert done.status == "sent"
        assert done.wait is None
        assert len(server.messages) == 1


def test_a_hard_bounce_suppresses_and_the_next_message_does_not_leave(post: Post) -> None:
    with SmtpSink(reply_for={ADA: "550 5.1.1 No such user"}) as server:
        post.goes_to(server)
        message_id = post.send(ADA)
        post.deliver()

        bounced = post.story(message_id)
        assert bounced.status == "bounced"
        assert bounced.tries == ["failed"]
        (bounce,) = bounced.bounces
        assert (bounce["type"], bounce["source"]) == ("hard", "smtp_log")
        assert (bounce["smtpCode"], bounce["enhancedCode"]) == (550, "5.1.1")
        suppression = suppression_of(ADA)
        assert bounce["suppressionId"] == str(suppression.pk)
        assert (suppression.reason, suppression.source) == ("hard_bounce", "bounce_processor")
        assert str(suppression.message_id) == message_id
        assert str(suppression.bounce_id) == bounce["id"]

        second = post.send(ADA)
        post.deliver()
        assert post.story(second).status == "suppressed"
        assert post.story(second).attempts == []
        assert server.messages == []


@pytest.mark.parametrize("reply", ["552 5.2.2 Mailbox full", "452 4.2.2 Mailbox full"])
def test_a_full_mailbox_bounces_softly_and_once_suppresses_nobody(post: Post, reply: str) -> None:
    with SmtpSink(reply_for={ADA: reply}) as server:
        post.goes_to(server)
        message_id = post.send(ADA)
        for _ in range(4):
            post.deliver_later()

        story = post.story(message_id)
        assert story.status == "bounced"
        assert [bounce["type"] for bounce in story.bounces] == ["soft"]
        assert suppression_of(ADA) is None


def test_tries_end_with_the_schedule_and_the_last_answer_is_kept(post: Post) -> None:
    with SmtpSink(reply_for={ADA: "451 4.3.0 Try again"}) as server:
        post.goes_to(server)
        message_id = post.send(ADA)
        for _ in range(6):
            post.deliver_later()

        story = post.story(message_id)
        assert story.tries == ["deferred"] * 4
        assert story.status == "failed"
        assert "451 4.3.0 Try again" in story.message["lastError"]
        assert story.happened == ["queued", "deferred", "failed"]
        assert suppression_of(ADA) is None


def test_a_policy_refusal_fails_without_blaming_the_recipient(post: Post) -> None:
    with SmtpSink(reply_for={ADA: "550 5.7.1 Message rejected due to policy"}) as server:
        post.goes_to(server)
        message_id = post.send(ADA)
        post.deliver()

        story = post.story(message_id)
        assert story.status == "failed"
        assert story.tries == ["failed"]
        assert story.bounces == []
        assert suppression_of(ADA) is None


def test_recipients_of_one_message_each_have_their_own_end(post: Post) -> None:
    good, later, bad = (f"{name}@{INBOX}" for name in ("good", "later", "bad"))
    answers: dict[str, Any] = {later: "451 4.7.1 Greylisted", bad: "550 5.1.1 No such user"}
    with SmtpSink(reply_for=answers.get) as server:
        post.goes_to(server)
        message_id = post.send([good, later, bad])
        post.deliver()

        halfway = post.story(message_id)
        assert halfway.ends == {good: "sent", later: "deferred", bad: "bounced"}
        assert halfway.status == "deferred"
        del answers[later]
        post.deliver_later()

        story = post.story(message_id)
        assert story.ends == {good: "sent", later: "sent", bad: "bounced"}
        assert story.status == "bounced"
        assert [message.rcpt_tos for message in server.messages] == [(good,), (later,)]
        first, second = server.messages
        assert first.content == second.content


def test_a_dropped_connection_after_the_dot_is_told_as_ambiguous(post: Post) -> None:
    with RawSmtpServer({"dot": [Close()]}) as server:
        post.goes_to(server)
        message_id = post.send(ADA)
        post.deliver()
        assert post.story(message_id).tries == ["ambiguous"]
        post.deliver_later()
        post.deliver_later()

        first, second = server.messages
        assert first.data == second.data
        story = post.story(message_id)
        assert story.tries == ["ambiguous", "sent"]
        assert story.happened == ["queued", "sending", "delivery.ambiguous", "deferred", "sending", "sent"]
        assert story.status == "sent"


def suppression_of(email: str) -> Any:
    return Suppression.objects.across_workspaces().filter(key=email).first()
