"""What happens between acceptance and delivery still counts: suppressions, domains, the workspace's standing."""

import pytest

from apps.domains.models import Domain
from apps.domains.services.registry import delete
from apps.messages.models import Recipient
from apps.messages.states import Status
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
