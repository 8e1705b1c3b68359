"""One bad row, one bad key or one stop is nobody else's matter, and no sign of a crash."""

from datetime import timedelta

import pytest

from apps.delivery.services import deliver
from apps.delivery.services.recover import MAX_CRASHES, recover
from apps.domains.models import DkimKey
from apps.messages.models import Attempt, Message, Recipient
from apps.messages.services.admission import LONGEST_DOMAIN
from apps.messages.states import Status
from apps.protocols.address import Mailbox
from tests.client import SEND, Api, mail
from tests.conftest import World
from tests.delivery.conftest import Post
from tests.delivery.held import deliver_until
from tests.factories import make_domain, make_key, make_message
from tests.fakes.smtp_sink import Hang, RawSmtpServer, SmtpSink
from tests.journeys.rig import INBOX
from tests.journeys.story import story_of


def test_a_key_that_does_not_open_makes_only_its_own_domains_mail_wait(post: Post, world: World) -> None:
    make_domain(world.owner.workspace, "healthy.example")
    broken = DkimKey.objects.of(world.owner.workspace.pk).filter(domain__name="shop.example")
    before = broken.get().private_sealed
    broken.update(private_sealed="garbage")
    with SmtpSink() as server:
        post.goes_to(server)
        theirs = post.send(api=world.stranger.api, **{"from": "shop@stranger.example"})
        waiting = post.send()
        neighbour = str(make_message(world.owner.workspace, f"ada@{INBOX}", sender=Mailbox("a@healthy.example")).pk)
        post.deliver()

        assert post.story(waiting).wait["code"] == "configuration"
        assert post.story(waiting).attempts == []
        assert post.story(neighbour).status == story_of(world.stranger.api, theirs).status == "sent"
        assert set(Recipient.objects.across_workspaces().values_list("fence", "crashes")) == {(1, 0)}

        broken.update(private_sealed=before)
        post.deliver_later()
        assert post.story(waiting).status == "sent"


def test_mail_that_was_queued_before_its_domain_came_back_with_a_bad_key_waits_too(post: Post, world: World) -> None:
    """The look for the domain's new id opens keys as well."""
    workspace = world.owner.workspace
    with SmtpSink() as server:
        post.goes_to(server)
        waiting = post.send()
        Message.objects.of(workspace.pk).update(domain_id=make_domain(world.stranger.workspace, "gone.example").pk)
        DkimKey.objects.across_workspaces().update(private_sealed="garbage")
        post.deliver()

        assert server.messages == []
        assert post.story(waiting).wait["code"] == "configuration"


@pytest.mark.parametrize("length", [LONGEST_DOMAIN + 1, 253])
def test_a_domain_too_long_for_a_return_path_is_refused_at_acceptance(world: World, length: int) -> None:
    _row, key = make_key(world.owner.workspace, is_test=True)

    answer = Api(key).post(SEND, mail(**{"from": f"x@{domain_of(length)}"}))

    assert (answer.status, list(answer.fields)) == (400, ["from"])
    assert not Message.objects.across_workspaces().exists()


def test_the_longest_domain_that_is_accepted_is_delivered(post: Post, world: World) -> None:
    _row, key = make_key(world.owner.workspace, is_test=True)
    api = Api(key)
    message_id = post.send(api=api, **{"from": f"x@{domain_of(LONGEST_DOMAIN)}"})
    post.deliver()

    assert story_of(api, message_id).status == "sent"


def test_a_return_path_that_cannot_be_one_waits_alone(post: Post, world: World) -> None:
    """As if it had been accepted before acceptance refused it."""
    workspace = world.owner.workspace
    with SmtpSink() as server:
        post.goes_to(server)
        bad, good = make_message(workspace, f"bad@{INBOX}"), post.send()
        Message.objects.of(workspace.pk).filter(pk=bad.pk).update(from_email=f"x@{domain_of(253)}")
        post.deliver()

        assert post.story(str(bad.pk)).wait["code"] == "configuration"
        assert post.story(good).status == "sent"


def test_a_stop_beside_a_hanging_server_gives_the_claim_back_and_is_no_crash(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(deliver, "BREATHER", timedelta(0))
    message_id = post.send()
    with RawSmtpServer({"rcpt": Hang()}) as server:
        post.goes_to(server)
        for stops in range(1, MAX_CRASHES + 2):
            deliver_until(lambda stops=stops: len(rcpts(server)) >= stops, monkeypatch)  # type: ignore[misc]

            row = Recipient.objects.across_workspaces().get()
            assert (row.status, row.crashes, row.lease_until, row.fence) == (Status.QUEUED, 0, None, stops)
    assert recover() == 0
    assert not Attempt.objects.across_workspaces().exists()
    monkeypatch.undo()
    with SmtpSink() as sink:
        post.goes_to(sink)
        post.deliver_later()
        assert len(sink.messages) == 1
        assert post.story(message_id).tries == ["sent"]


def rcpts(server: RawSmtpServer) -> list[str]:
    return [command for command in server.commands if command.startswith("RCPT")]


def domain_of(length: int) -> str:
    """A domain of exactly so many octets."""
    rest, labels = length - len(".com"), []
    while rest > 63:
        labels.append("a" * 60)
        rest -= 61
    return ".".join([*labels, "a" * rest, "com"])
