"""What becomes of scheduled mail at its time."""

from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from apps.assets.models import UploadSession
from apps.core import clock
from apps.domains.models import Domain
from apps.domains.services import registry
from apps.domains.states import Status as DomainStatus
from apps.events.models import Event
from apps.messages.models import Attachment, Message, Recipient
from apps.scheduled.models import Scheduled
from apps.scheduled.services import dispatch as dispatching
from apps.scheduled.tasks import dispatch
from apps.workspaces.models import UsageCount, Workspace
from apps.workspaces.services import set_limits, switch
from tests import stored
from tests.assets.calls import ASSETS, SESSIONS, put, sha256, upload
from tests.assets.test_assets import replace
from tests.client import Api
from tests.conftest import World
from tests.factories import make_domain
from tests.scheduled.making import at, bring_due, due_again, fresh, later, make_scheduled, statuses
from tests.templates.making import make_template

AN_HOUR = timedelta(hours=1)


def messages(workspace: Workspace) -> int:
    return Message.objects.of(workspace.pk).count()


def events(workspace: Workspace, kind: str) -> list[Any]:
    return list(Event.objects.of(workspace.pk).filter(type=f"mail.scheduled.{kind}"))


def assert_waits(row: Scheduled, code: str) -> Scheduled:
    """It is still scheduled, due later, says why, and nothing of it was sent."""
    now = fresh(row)
    assert (now.status, now.wait_code, now.message_id) == ("scheduled", code, None)
    assert now.wait_detail
    assert now.waiting_since is not None
    assert now.due_at is not None
    assert now.due_at > clock.database_now()
    assert messages(row.workspace) == 0
    assert dispatch() == 0
    return now


def assert_failed(row: Scheduled, code: str) -> None:
    now = fresh(row)
    assert (now.status, now.error_code, now.message_id, now.due_at) == ("failed", code, None, None)
    assert now.error
    assert messages(row.workspace) == 0
    (event,) = events(row.workspace, "failed")
    assert event.data["error"] == {"code": code, "message": now.error}


def test_what_is_due_becomes_a_message_and_what_is_not_stays(workspace: Workspace) -> None:
    due, not_due = make_scheduled(workspace), make_scheduled(workspace, later(subject="Another"))
    bring_due(workspace, due)

    assert dispatch() == 1
    assert dispatch() == 0

    message = Message.objects.of(workspace.pk).get()
    assert (message.subject, message.scheduled_id, message.status) == ("Your order", due.pk, "queued")
    row = fresh(due)
    assert (row.status, row.message_id, row.due_at, row.wait_code) == ("sent", message.pk, None, "")
    assert fresh(not_due).status == "scheduled"
    (event,) = events(workspace, "dispatched")
    assert (event.resource_id, event.message_id) == (due.pk, message.pk)
    assert event.data["messageId"] == str(message.pk)


def test_its_recipients_are_due_for_delivery_at_once(workspace: Workspace) -> None:
    make_scheduled(workspace)
    bring_due(workspace)
    dispatch()

    recipient = Recipient.objects.of(workspace.pk).get()
    assert recipient.next_attempt_at <= clock.database_now()


def test_many_are_dispatched_and_counted_once(workspace: Workspace) -> None:
    for _ in range(7):
        make_scheduled(workspace)
    bring_due(workspace)

    with patch.object(dispatching, "GROUP", 3):
        assert dispatch() == 7

    assert messages(workspace) == 7
    assert statuses(workspace) == ["sent"] * 7
    assert sum(UsageCount.objects.filter(workspace=workspace).values_list("recipients", flat=True)) == 7


def test_a_group_is_small_where_its_mails_are_big(workspace: Workspace) -> None:
    for _ in range(5):
        make_scheduled(workspace)
    bring_due(workspace)
    Scheduled.objects.of(workspace.pk).update(size=dispatching.GROUP_BYTES // 2)
    with patch.object(dispatching, "_settle", wraps=dispatching._settle) as settle:
        dispatch()

    assert [len(call.args[0]) for call in settle.call_args_list] == [2, 2, 1]
    assert messages(workspace) == 5


def test_workspaces_take_turns(world: World) -> None:
    ours, theirs = world.owner.workspace, world.stranger.workspace
    for _ in range(6):
        make_scheduled(ours)
    make_scheduled(theirs, later(**{"from": "a@stranger.example"}))
    bring_due(ours, ago=AN_HOUR)
    bring_due(theirs)
    with (
        patch.object(dispatching, "GROUP", 2),
        patch.object(dispatching, "_dispatch_group", wraps=dispatching._dispatch_group) as group,
    ):
        dispatch()

    assert {call.args[0] for call in group.call_args_list[:2]} == {ours.pk, theirs.pk}
    assert (messages(ours), messages(theirs)) == (6, 1)


def test_a_tick_without_work_asks_twice_and_writes_nothing(workspace: Workspace) -> None:
    make_scheduled(workspace)
    with CaptureQueriesContext(connection) as queries:
        assert dispatch() == 0
    asked = [query["sql"] for query in queries]
    assert len(asked) <= 2
    assert all(sql.startswith("SELECT") for sql in asked)


# --- What waits -------------------------------------------------------------------------------------------------


def test_a_limit_is_waited_for_until_its_period_ends(workspace: Workspace) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(daily_limit=1)
    first, second = make_scheduled(workspace), make_scheduled(workspace)
    bring_due(workspace, first, ago=2 * AN_HOUR)
    bring_due(workspace, second, ago=AN_HOUR)

    assert dispatch() == 2

    assert (fresh(first).status, fresh(second).status, messages(workspace)) == ("sent", "scheduled", 1)
    waiting = fresh(second)
    midnight = clock.database_now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert waiting.wait_code == "limit"
    assert waiting.due_at is not None
    assert abs(waiting.due_at - midnight) < timedelta(minutes=1)

    Workspace.objects.filter(pk=workspace.pk).update(daily_limit=2)
    due_again(second)
    assert dispatch() == 1
    assert (fresh(second).status, fresh(second).wait_code, messages(workspace)) == ("sent", "", 2)


def test_a_domain_that_is_verified_no_more_is_waited_for(workspace: Workspace) -> None:
    row = make_scheduled(workspace)
    domain = Domain.objects.of(workspace.pk).get()
    registry.disable(domain)
    bring_due(workspace)

    dispatch()
    since = assert_waits(row, "domain_not_verified").waiting_since
    due_again(row)
    dispatch()
    assert assert_waits(row, "domain_not_verified").waiting_since == since

    Domain.objects.of(workspace.pk).update(status=DomainStatus.VERIFIED)
    due_again(row)
    dispatch()
    assert (fresh(row).status, fresh(row).waiting_since) == ("sent", None)


def test_a_suspended_workspace_is_waited_for(workspace: Workspace) -> None:
    row = make_scheduled(workspace)
    switch(workspace, Workspace.Status.SUSPENDED)
    bring_due(workspace)

    dispatch()
    assert_waits(row, "workspace_suspended")

    switch(workspace, Workspace.Status.ACTIVE)
    due_again(row)
    dispatch()
    assert fresh(row).status == "sent"


def test_a_file_that_was_deleted_is_waited_for_and_it_is_not_sent_without(api: Api, workspace: Workspace) -> None:
    asset_id = upload(api).data["id"]
    row = make_scheduled(workspace, later(attachments=[{"assetId": asset_id, "filename": "bill.txt"}]))
    assert api.delete(f"{ASSETS}/{asset_id}", X_Asset_Revision="1").status in {200, 204}
    bring_due(workspace)

    dispatch()
    assert_waits(row, "attachment_missing")
    bring_due(workspace, ago=48 * AN_HOUR)
    dispatch()

    assert_failed(row, "expired")
    assert "There is no such asset" in fresh(row).error


def test_an_upload_is_sent_though_its_session_is_forgotten_by_then(api: Api, workspace: Workspace) -> None:
    promise = {"file_name": "a.txt", "mime_type": "text/plain", "file_size": 5}
    session = api.post(SESSIONS, promise).data
    put(session["url"], b"hello", content_type="text/plain")
    session_id = session["upload_session_id"]
    api.post(f"{SESSIONS}/{session_id}/complete")
    row = make_scheduled(workspace, later(attachments=[{"uploadId": session_id, "filename": "bill.txt"}]))
    (kept,) = row.payload["attachments"]
    UploadSession.objects.of(workspace.pk).delete()
    bring_due(workspace)

    dispatch()

    attachment = Attachment.objects.of(workspace.pk).get()
    assert kept == {"assetId": str(attachment.asset_id), "filename": "bill.txt", "contentType": "text/plain"}
    assert (fresh(row).status, attachment.filename, attachment.size) == ("sent", "bill.txt", 5)


def test_a_file_that_was_replaced_goes_out_as_it_was(api: Api, workspace: Workspace) -> None:
    asset_id = upload(api, b"first").data["id"]
    row = make_scheduled(workspace, later(attachments=[{"assetId": asset_id, "filename": "bill.txt"}]))
    replace(api, asset_id, b"the second")
    bring_due(workspace)

    dispatch()

    attachment = Attachment.objects.of(workspace.pk).get()
    assert fresh(row).status == "sent"
    assert (attachment.checksum, attachment.size) == (sha256(b"first"), 5)
    assert attachment.content_type == "text/plain"


def test_the_pause_grows_with_the_wait(workspace: Workspace) -> None:
    row = make_scheduled(workspace)
    switch(workspace, Workspace.Status.SUSPENDED)
    pauses = []
    for ago in (timedelta(seconds=1), AN_HOUR, 12 * AN_HOUR):
        bring_due(workspace, ago=ago)
        dispatch()
        now = fresh(row)
        assert now.due_at is not None
        pauses.append((now.due_at - now.updated_at) / timedelta(minutes=1))

    assert pauses == [pytest.approx(1), pytest.approx(6, abs=0.1), pytest.approx(15)]


@pytest.mark.parametrize("has_waited", [True, False])
def test_after_48_hours_it_is_given_up(workspace: Workspace, has_waited: bool) -> None:
    row = make_scheduled(workspace)
    if has_waited:
        registry.disable(Domain.objects.of(workspace.pk).get())
        bring_due(workspace, ago=47 * AN_HOUR)
        dispatch()
        assert_waits(row, "domain_not_verified")
    bring_due(workspace, ago=48 * AN_HOUR)

    dispatch()

    assert_failed(row, "expired")
    assert ("shop.example is disabled" in fresh(row).error) == has_waited


def test_the_last_look_is_when_its_time_ends(workspace: Workspace) -> None:
    row = make_scheduled(workspace)
    switch(workspace, Workspace.Status.SUSPENDED)
    bring_due(workspace, ago=48 * AN_HOUR - timedelta(minutes=2))

    dispatch()

    now = fresh(row)
    assert now.due_at == now.send_at + 48 * AN_HOUR


# --- What fails -------------------------------------------------------------------------------------------------


def test_what_can_never_be_sent_fails_with_its_reason(workspace: Workspace) -> None:
    row = make_scheduled(workspace)
    Scheduled.objects.of(workspace.pk).update(payload=row.payload | {"to": "nobody"})
    bring_due(workspace)

    dispatch()

    assert_failed(row, "validation_error")
    assert fresh(row).error.startswith("to: ")


def test_a_template_that_cannot_be_rendered_any_more_fails(workspace: Workspace) -> None:
    make_template(workspace, slug="welcome", subject="{{ name }}")
    wanted = {"template": "welcome", "from": "a@shop.example", "to": "ada@example.com", "data": {"name": "Ada"}}
    row = make_scheduled(workspace, {"sendAt": later()["sendAt"], "template": wanted})
    Scheduled.objects.of(workspace.pk).update(payload=wanted | {"data": {}})
    bring_due(workspace)

    dispatch()

    assert_failed(row, "missing_variables")


def test_a_bad_one_harms_no_other(workspace: Workspace) -> None:
    rows = [make_scheduled(workspace, later(subject=f"S{number}")) for number in range(3)]
    Scheduled.objects.of(workspace.pk).filter(pk=rows[1].pk).update(payload={"to": "nobody"})
    bring_due(workspace)

    assert dispatch() == 3

    assert statuses(workspace) == ["sent", "failed", "sent"]
    assert set(Message.objects.of(workspace.pk).values_list("subject", flat=True)) == {"S0", "S2"}


@pytest.mark.parametrize("error", [ZeroDivisionError("bug"), DatabaseError("bug")])
def test_one_that_breaks_our_code_waits_and_the_others_go(workspace: Workspace, error: Exception) -> None:
    rows = [make_scheduled(workspace, later(subject=f"S{number}")) for number in range(3)]
    bring_due(workspace)

    def order(reader: Any, row: Scheduled, original: Any = dispatching._Reader.order) -> Any:
        if row.pk == rows[1].pk:
            raise error
        return original(reader, row)

    with patch.object(dispatching._Reader, "order", order):
        assert dispatch() == 3
        assert dispatch() == 0

    assert statuses(workspace) == ["sent", "scheduled", "sent"]
    broken = fresh(rows[1])
    assert (broken.wait_code, type(error).__name__ in broken.wait_detail) == ("server_trouble", True)
    assert "bug" not in broken.wait_detail
    due_again(rows[1])
    assert dispatch() == 1
    assert (fresh(rows[1]).status, messages(workspace)) == ("sent", 3)


def test_one_that_breaks_our_code_for_48_hours_is_given_up(workspace: Workspace) -> None:
    row = make_scheduled(workspace)
    bring_due(workspace, ago=47 * AN_HOUR)
    with patch.object(dispatching._Reader, "order", side_effect=ZeroDivisionError):
        dispatch()
        bring_due(workspace, ago=49 * AN_HOUR)
        dispatch()
    assert_failed(row, "expired")


class Killed(BaseException):
    """Nobody catches it, as nobody catches a SIGKILL."""


STEPS = ("_few", "_load", "_accept", "accept_many", "_settle", "update", "record")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_whoever_dies_at_any_step_leaves_nothing_behind(workspace: Workspace, step: str, when: str) -> None:
    for _ in range(3):
        make_scheduled(workspace)
    bring_due(workspace)
    before = stored.everything()

    def die(original: Any, *arguments: Any, **more: Any) -> Any:
        if when == "after":
            original(*arguments, **more)
        raise Killed

    with patch.object(dispatching, step, partial(die, getattr(dispatching, step))), pytest.raises(Killed):
        dispatch()

    assert stored.everything() == before
    assert dispatch() == 3
    assert messages(workspace) == 3


def test_looking_for_what_is_due_reads_nothing_that_is_not(workspace: Workspace) -> None:
    make_scheduled(workspace)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # which reads a table of one row without any index
            cursor.execute("SET LOCAL enable_seqscan = off")

    with CaptureQueriesContext(connection) as asked:
        assert dispatch() == 0

    (question,) = [query["sql"] for query in asked if "scheduled_scheduled" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {'' if connection.vendor == 'postgresql' else 'QUERY PLAN '}{question}")
        plan = str(cursor.fetchall())
    assert "scheduled_any_due" in plan
    assert "due_at" in plan.partition("scheduled_any_due")[2]


def test_mail_of_a_workspace_is_sent_as_that_workspace(world: World) -> None:
    make_domain(world.stranger.workspace, "other.example")
    row = make_scheduled(world.stranger.workspace, later(**{"from": "a@other.example"}))
    bring_due(world.stranger.workspace)

    dispatch()

    assert Message.objects.of(world.stranger.workspace.pk).get().scheduled_id == row.pk
    assert messages(world.owner.workspace) == 0


def test_mail_of_a_sender_that_may_not_send_is_not_rendered_at_every_look(workspace: Workspace) -> None:
    rows = [make_scheduled(workspace) for _ in range(3)]
    Domain.objects.of(workspace.pk).update(status="failed")
    bring_due(workspace)

    with patch.object(dispatching._Reader, "order", side_effect=AssertionError("it was read")):
        assert dispatch() == 3

    for row in rows:
        assert_waits(row, "domain_not_verified")


def test_mail_beyond_a_limit_is_not_rendered_at_every_look(workspace: Workspace) -> None:
    row = make_scheduled(workspace)
    set_limits(workspace, daily=0)
    bring_due(workspace)

    with patch.object(dispatching._Reader, "order", side_effect=AssertionError("it was read")):
        assert dispatch() == 1

    assert_waits(row, "limit")


def test_slow_mail_is_dispatched_piece_by_piece(workspace: Workspace) -> None:
    for _ in range(4):
        make_scheduled(workspace)
    bring_due(workspace)

    with (
        patch.object(dispatching, "BUDGET_SECONDS", -1),
        patch.object(dispatching, "_settle", wraps=dispatching._settle) as settle,
    ):
        assert dispatch() == 1

    assert [len(call.args[0]) for call in settle.call_args_list] == [1]
    assert messages(workspace) == 1


def test_the_sender_that_was_checked_is_the_one_that_sends(api: Api, workspace: Workspace) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(default_sender="Shop <shop@shop.example>")
    make_template(workspace, text="Hi")
    body = {"sendAt": at(), "template": {"template": "welcome", "to": "ada@example.com", "data": {}}}
    row = make_scheduled(workspace, body)
    Workspace.objects.filter(pk=workspace.pk).update(default_sender="")
    bring_due(workspace)

    dispatch()

    message = Message.objects.of(workspace.pk).get()
    assert (message.from_email, message.from_name) == ("shop@shop.example", "Shop")
    assert fresh(row).status == "sent"


def test_values_are_sent_as_they_were_given(workspace: Workspace) -> None:
    make_template(workspace, subject="{% for pair in o %}{{ pair[0] }} {% endfor %}{{ n }}", text="Hi")
    data = {"o": {"zebra": 1, "b": 2}, "n": 1e20}
    sent_as = {"template": "welcome", "from": "shop@shop.example", "to": "ada@example.com", "data": data}
    row = make_scheduled(workspace, {"sendAt": at(), "template": sent_as})
    bring_due(workspace)

    dispatch()

    assert Message.objects.of(workspace.pk).get().subject == row.subject == "zebra b 1e+20"
