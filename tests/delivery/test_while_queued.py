"""What happens between acceptance and delivery still counts: suppressions, domains, the workspace's standing."""

from datetime import timedelta

import pytest

from apps.core import clock
from apps.domains.models import Domain
from apps.domains.services.registry import delete
from apps.messages.models import Recipient
from apps.messages.services import interventions
from apps.messages.states import Lane, Status
from apps.workspaces.models import Workspace
from tests.conftest import World
from tests.delivery.conftest import Post
from tests.factories import make_domain, suppress
from tests.fakes.smtp_sink import SmtpSink
from tests.journeys.rig import INBOX

ADA = f"ada@{INBOX}"


def test_a_suppression_stops_what_is_queued_already(post: Post, world: World) -> None:
    with SmtpSink() as server:
        post.goes_to(server)
        for _ in range(200):
            post.send(ADA)
        to_two = post.send([ADA, f"grace@{INBOX}"])
        suppress(world.owner.workspace.pk, "ADA@inbox.EXAMPLE")
        post.deliver()

        assert [message.rcpt_tos for message in server.messages] == [(f"grace@{INBOX}",)]
        assert post.story(to_two).ends == {ADA: "suppressed", f"grace@{INBOX}": "sent"}
        rows = Recipient.objects.across_workspaces().filter(email=ADA)
        assert set(rows.values_list("status", flat=True)) == {Status.SUPPRESSED}


def test_a_suppression_of_another_workspace_stops_nothing(post: Post, world: World) -> None:
    with SmtpSink() as server:
        post.goes_to(server)
        message_id = post.send(ADA)
        suppress(world.stranger.workspace.pk, ADA)
        post.deliver()

        assert post.story(message_id).status == "sent"


def test_mail_of_a_deleted_domain_waits_and_goes_on_when_it_is_back(post: Post, world: World) -> None:
    workspace = world.owner.workspace
    with SmtpSink() as server:
        post.goes_to(server)
        message_id = post.send(ADA)
        delete(Domain.objects.of(workspace.pk).get(name="shop.example"))
        post.deliver()

        waiting = post.story(message_id)
        assert waiting.status == "deferred"
        assert waiting.wait["code"] == "domain_not_verified"
        assert waiting.attempts == []

        make_domain(workspace, "shop.example")
        post.deliver_later()
        assert post.story(message_id).status == "sent"


def test_mail_of_a_domain_that_lost_its_records_waits(post: Post, world: World) -> None:
    domain = Domain.objects.of(world.owner.workspace.pk).filter(name="shop.example")
    with SmtpSink() as server:
        post.goes_to(server)
        message_id = post.send(ADA)
        domain.update(status="failed")
        post.deliver()
        assert post.story(message_id).wait["code"] == "domain_not_verified"

        domain.update(status="verified")
        post.deliver_later()
        assert post.story(message_id).status == "sent"


def test_mail_of_a_suspended_workspace_waits_until_it_may_send_again(post: Post, world: World) -> None:
    workspace = Workspace.objects.filter(pk=world.owner.workspace.pk)
    with SmtpSink() as server:
        post.goes_to(server)
        message_id = post.send(ADA)
        workspace.update(status=Workspace.Status.SUSPENDED)
        post.deliver()

        waiting = post.story(message_id)
        assert waiting.wait["code"] == "workspace_suspended"
        assert waiting.happened == ["queued", "deferred"]
        post.deliver_later()
        assert post.story(message_id).happened == ["queued", "deferred"]
        assert server.messages == []

        workspace.update(status=Workspace.Status.ACTIVE)
        post.deliver_later()
        assert post.story(message_id).status == "sent"


@pytest.mark.parametrize("name", ["bounce", "bounce+550-5.7.1", "defer+1"])
def test_scripted_local_parts_mean_nothing_outside_of_the_capture_transport(post: Post, name: str) -> None:
    with SmtpSink() as server:
        post.goes_to(server)
        message_id = post.send(f"{name}@{INBOX}")
        post.deliver()

        assert post.story(message_id).status == "sent"


@pytest.mark.parametrize(
    ("lane", "still_sent", "too_old"),
    [
        (Lane.OTP, timedelta(seconds=630), timedelta(hours=5)),
        (Lane.TRANSACTIONAL, timedelta(hours=50), timedelta(hours=53)),
        (Lane.BULK, timedelta(hours=78), timedelta(days=8)),
    ],
)
def test_what_was_held_beyond_its_lanes_lifetime_is_given_up_when_it_is_released(
    lane: Lane, still_sent: timedelta, too_old: timedelta, post: Post, world: World
) -> None:
    rows = Recipient.objects.of(world.owner.workspace.pk)
    accepted_at = clock.now() - too_old
    with SmtpSink() as server:
        post.goes_to(server)
        late, old = post.send(ADA), post.send(ADA)
        interventions.hold(rows.values_list("pk", flat=True))
        rows.filter(message=late).update(lane=lane, queued_at=clock.now() - still_sent)
        rows.filter(message=old).update(lane=lane, queued_at=accepted_at)
        interventions.release(rows.values_list("pk", flat=True))
        post.deliver()

        assert len(server.messages) == 1
    assert post.story(late).status == "sent"
    assert (post.story(old).status, post.story(old).attempts) == ("failed", [])
    assert rows.get(message=old).last_error == (
        f"Too old to be sent: it was accepted on {accepted_at:%Y-%m-%d at %H:%M} UTC, "
        f"and {lane.name.lower()} mail is given up long before this."
    )
