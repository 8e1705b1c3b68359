"""The story of a message: who may see and do what, what is noted of it, and that it costs the same for any message."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models import Case, Value, When
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.console.story import reading, sent
from apps.core import clock
from apps.core.ids import new_id
from apps.events.services import NewEvent, record
from apps.events.types import EventType, ResourceType
from apps.messages.models import Attempt, Message, MessageContent, Recipient
from apps.messages.services import interventions
from apps.messages.states import AttemptStatus, Status
from apps.messages.waits import WaitCode
from apps.workspaces.models import User, Workspace
from tests import stored
from tests.console.conftest import HOSTILE
from tests.factories import make_domain, make_message, make_workspace

QUERIES_OF_A_STORY = 12


@pytest.fixture
def shop(db: None) -> Workspace:
    workspace = make_workspace("shop")
    make_domain(workspace)
    return workspace


@pytest.fixture
def message(shop: Workspace) -> Message:
    return make_message(shop, ["ada@example.com", "bob@example.com"], html="<p>Hello</p>", subject="Your order")


def url(message: Message, page: str = "change") -> str:
    return f"/admin/mail_messages/message/{message.pk}/{page}/"


def rows(message: Message) -> list[Recipient]:
    return list(Recipient.objects.of(message.workspace_id).filter(message=message).order_by("position"))


def shown(response: Any) -> str:
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def operate(console: Client, message: Message, verb: str, **fields: Any) -> Any:
    return console.post(url(message, "operate"), {"verb": verb, **fields}, follow=True)


def notes() -> list[str]:
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


def person(*codenames: str) -> Client:
    user = User.objects.create_user("reader@example.com", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def try_often(recipient: Recipient, times: int) -> None:
    now = clock.now()
    for number in range(1, times + 1):
        Attempt(
            workspace_id=recipient.workspace_id,
            message_id=recipient.message_id,
            recipient=recipient,
            email=recipient.email,
            number=number,
            status=AttemptStatus.DEFERRED,
            response="451 4.7.1 later",
            rule="greylisted",
            fault="temporary",
            conversation=[["EHLO us", "250 them", 3]],
            started_at=now,
            finished_at=now,
        ).save(force_insert=True)


# --- What it tells ---


def test_a_deferred_message_says_why_until_when_and_whose_turn_it_is(console: Client, message: Message) -> None:
    with time_machine.travel(message.created_at, tick=False):
        due = clock.now() + timedelta(minutes=4)
        Recipient.objects.of(message.workspace_id).filter(message=message).update(
            status=Status.DEFERRED, wait_code=WaitCode.RETRY, wait_detail="451 4.7.1 later", next_attempt_at=due
        )
        page = shown(console.get(url(message)))
    assert "Waiting for example.com: the receiving server asked us to try again later (451 4.7.1 later)." in page
    assert "Nobody needs to do anything." in page
    assert f"at {due:%H:%M:%S} UTC" in page


def headline_of(console: Client, message: Message, **changes: Any) -> str:
    """The headline, with all recipients changed in this way and the clock standing still at the message's making."""
    with time_machine.travel(message.created_at, tick=False):
        Recipient.objects.of(message.workspace_id).update(**changes)
        return str(console.get(url(message)).context["story"].headline)


@pytest.mark.parametrize(
    ("ago", "in_doubt", "told"),
    [
        (-1, True, "It is being handed to the receiving server at this moment."),
        (1, True, "A worker died while handing it to the receiving server; that is settled as soon as a worker runs."),
        (-1, False, "A worker has it in hand at this moment."),
        (1, False, "The worker that had it in hand died; it is due again as soon as a worker runs."),
    ],
)
def test_a_claim_that_ran_out_is_told_as_a_worker_that_died(
    ago: int, in_doubt: bool, told: str, console: Client, message: Message
) -> None:
    lease = message.created_at - timedelta(minutes=ago)
    assert headline_of(console, message, status=Status.SENDING, in_doubt=in_doubt, lease_until=lease) == told


def test_a_try_beyond_a_day_is_told_with_its_date(console: Client, message: Message) -> None:
    due = message.created_at + timedelta(hours=30)
    told = headline_of(console, message, wait_code=WaitCode.RETRY, next_attempt_at=due)
    assert f"Next try in 30 h 0 min, at {due:%Y-%m-%d %H:%M:%S} UTC. Nobody needs to do anything." in told


@pytest.mark.parametrize("code", ["", WaitCode.RETRY, WaitCode.DESTINATION_BUSY])
def test_what_no_worker_looks_for_is_told_as_overdue(code: str, console: Client, message: Message) -> None:
    due = message.created_at - timedelta(hours=1)
    told = headline_of(console, message, wait_code=code, next_attempt_at=due)
    assert told.endswith(
        "It is overdue by 1 h 0 min. "
        "Who can change it: nobody needs to, while workers run; else the operator of this server."
    )


def test_of_the_equally_urgent_the_one_due_soonest_is_told(console: Client, message: Message) -> None:
    _, bob = rows(message)
    Recipient.objects.of(message.workspace_id).filter(pk=bob.pk).update(email="bob@soon.example")
    later, soon = message.created_at + timedelta(hours=2), message.created_at + timedelta(hours=1)
    due = Case(When(pk=bob.pk, then=Value(soon)), default=Value(later))
    told = headline_of(console, message, wait_code=WaitCode.RETRY, next_attempt_at=due)
    assert told.startswith("Waiting for soon.example: ")


def test_an_attempt_tells_class_rule_and_conversation(console: Client, message: Message) -> None:
    try_often(rows(message)[0], 1)
    page = shown(console.get(url(message)))
    assert "<code>greylisted</code>" in page
    assert "The server asks unknown senders to come again; it usually accepts the next try." in page
    assert "about nothing in particular: come again" in page
    assert "<td>EHLO us</td><td>250 them</td><td>3</td>" in page


def test_the_number_of_queries_is_the_same_for_any_message(console: Client, shop: Workspace, message: Message) -> None:
    many = make_message(shop, [f"user{number}@example.com" for number in range(50)])
    for recipient in rows(many):
        try_often(recipient, 10)
    counts = []
    for one in (message, many):
        console.get(url(one))
        with CaptureQueriesContext(connection) as queries:
            page = shown(console.get(url(one)))
        counts.append(len(queries))
    assert counts[0] == counts[1] <= QUERIES_OF_A_STORY
    assert page.count('<details class="try"') == 25
    assert f"?message_id={many.pk}" in page


def test_of_many_events_the_newest_are_told(console: Client, message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_MOMENTS", 3)
    ada, _ = rows(message)
    for number in range(1, 6):
        about = {"recipient": ada.email, "attemptNumber": number}
        told = NewEvent(message.workspace_id, EventType.MESSAGE_SENT, ResourceType.MESSAGE, message.pk, message.pk)
        record([replace(told, data=about | {"response": f"250 taken {number}"})])
    page = shown(console.get(url(message)))
    assert [f"250 taken {number}" in page for number in range(1, 6)] == [False, False, True, True, True]
    assert page.index("250 taken 3") < page.index("250 taken 5")
    assert "The newest events are shown" in page


@pytest.mark.parametrize(
    ("status", "level"), [("sent", "info"), ("deferred", "warning"), ("ambiguous", "warning"), ("failed", "error")]
)
def test_a_try_without_an_event_is_told_as_what_it_was(
    status: str, level: str, console: Client, message: Message
) -> None:
    try_often(rows(message)[0], 1)
    Attempt.objects.of(message.workspace_id).update(status=status, response="what it said")
    page = shown(console.get(url(message)))
    assert (
        page.partition("Try 1 for ada@example.com: what it said")[0]
        .rpartition("<li class=")[2]
        .startswith(f'"{level}"')
    )


# --- What it does ---


def test_one_recipient_is_held_and_released_with_the_operators_name(console: Client, message: Message) -> None:
    ada, bob = rows(message)
    page = shown(operate(console, message, "hold", recipient=ada.pk, reason="wrong  prices"))
    assert "Held: 1 recipient." in page
    assert "Held for ada@example.com: wrong prices <em>by ops@example.com</em>" in page
    assert "Held by an operator, for ada@example.com: wrong prices" in page
    assert [row.wait_code for row in rows(message)] == [WaitCode.HOLD, ""]

    operate(console, message, "release", recipient=ada.pk)
    assert [row.wait_code for row in rows(message)] == ["", ""]
    assert notes() == ["Held for ada@example.com: wrong prices", "Released for ada@example.com."]
    assert bob.fence == rows(message)[1].fence


def test_the_whole_message_is_canceled(console: Client, message: Message) -> None:
    operate(console, message, "cancel")
    assert {row.status for row in rows(message)} == {Status.FAILED}
    assert notes() == ["Canceled for ada@example.com, bob@example.com."]


def test_what_could_not_be_done_is_told_and_not_noted(console: Client, message: Message) -> None:
    ada, _ = rows(message)
    Recipient.objects.of(message.workspace_id).filter(pk=ada.pk).update(
        in_doubt=True, lease_until=clock.now() + timedelta(minutes=1)
    )
    before = stored.everything()
    page = shown(operate(console, message, "cancel", recipient=ada.pk))
    assert "Unchanged: 1. It is being handed to the receiving server at this moment; nobody can stop that." in page
    assert notes() == []
    assert stored.everything() == before


def test_what_cannot_be_noted_is_not_done(console: Client, message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(LogEntry.objects, "bulk_create", fail)
    before = stored.everything()
    assert operate(console, message, "cancel").status_code == 500
    assert stored.everything() == before


def test_what_was_done_before_an_error_is_noted(
    console: Client, message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, bob = rows(message)
    settle = interventions._settle

    def without_bob(chosen: Any, *args: Any, may_wait: bool) -> Any:
        if may_wait:
            raise RuntimeError("killed")
        return settle([pk for pk in chosen if pk != bob.pk], *args, may_wait=False)

    monkeypatch.setattr(interventions, "_settle", without_bob)
    assert operate(console, message, "cancel").status_code == 500
    assert [row.status for row in rows(message)] == [Status.FAILED, Status.QUEUED]
    assert notes() == ["Canceled for ada@example.com."]


@pytest.mark.parametrize("fields", [{"verb": "delete"}, {}, {"verb": "hold", "recipient": "nobody"}])
def test_nonsense_changes_nothing(fields: dict[str, str], console: Client, message: Message) -> None:
    before = stored.everything()
    assert console.post(url(message, "operate"), fields).status_code in {302, 404}
    assert stored.everything() == before


def test_a_recipient_of_another_message_is_out_of_reach(console: Client, shop: Workspace, message: Message) -> None:
    other = rows(make_message(shop))[0]
    before = stored.everything()
    operate(console, message, "cancel", recipient=other.pk)
    assert stored.everything() == before


def test_who_may_only_look_sees_no_button_and_can_use_none(message: Message) -> None:
    reader = person("view_message")
    before = stored.everything()
    assert 'name="verb"' not in shown(reader.get(url(message)))
    assert reader.post(url(message, "operate"), {"verb": "cancel"}).status_code == 403
    assert reader.post(url(message)).status_code == 403
    assert stored.everything() == before


def test_the_verbs_need_the_right_to_change_recipients(message: Message) -> None:
    editor = person("view_message", "change_message")
    before = stored.everything()
    assert 'name="verb"' not in shown(editor.get(url(message)))
    assert editor.post(url(message, "operate"), {"verb": "cancel"}).status_code == 403
    assert stored.everything() == before

    User.objects.filter(email="reader@example.com").delete()
    operator = person("view_message", "change_recipient")
    assert 'name="verb"' in shown(operator.get(url(message)))
    assert operator.post(url(message, "operate"), {"verb": "cancel"}).status_code == 302
    assert {row.status for row in rows(message)} == {Status.FAILED}


def test_no_refusal_tells_which_messages_exist(message: Message) -> None:
    stranger = person()
    nowhere = Message(pk=new_id())
    for one in (message, nowhere):
        answers = [
            stranger.get(url(one)),
            stranger.get(url(one), {"sent": "text"}),
            stranger.get(url(one, "html")),
            stranger.get(url(one, "source")),
            stranger.post(url(one, "operate"), {"verb": "cancel"}),
        ]
        assert [answer.status_code for answer in answers] == [403] * 5
    assert notes() == [sent.REFUSED]


def test_the_form_says_who_sees_the_reason(console: Client, message: Message) -> None:
    assert "Reason (optional; the workspace sees it)" in shown(console.get(url(message)))


def test_a_button_needs_its_token_and_a_post(console: Client, staff: User, message: Message) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff)
    before = stored.everything()
    assert client.post(url(message, "operate"), {"verb": "cancel"}).status_code == 403
    assert console.get(url(message, "operate"), {"verb": "cancel"}).status_code == 405
    assert stored.everything() == before


# --- What was sent ---


def test_what_was_sent_is_composed_only_where_it_is_shown_and_parsed_once(
    console: Client, message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed, parsed = Mock(wraps=sent.letter_of), Mock(wraps=sent.read)
    monkeypatch.setattr(sent, "letter_of", composed)
    monkeypatch.setattr(sent, "read", parsed)
    assert console.get(url(message, "html")).content == b"<p>Hello</p>"
    assert (composed.call_count, parsed.call_count) == (0, 0)
    shown(console.get(url(message), {"sent": "attachments"}))
    assert (composed.call_count, parsed.call_count) == (1, 1)


@pytest.mark.parametrize("tab", sent.TABS)
def test_a_look_at_what_was_sent_is_noted_once_an_hour(tab: str, console: Client, message: Message) -> None:
    for _ in range(3):
        shown(console.get(url(message), {"sent": tab}))
    assert notes() == [sent.LOOKED]
    with time_machine.travel(clock.now() + timedelta(minutes=61)):
        LogEntry.objects.update(action_time=clock.now() - timedelta(minutes=61))
        shown(console.get(url(message), {"sent": tab}))
    assert notes() == [sent.LOOKED] * 2


def test_who_may_not_see_content_is_refused_and_that_is_noted(message: Message) -> None:
    reader = person("view_message")
    assert "What was sent" not in shown(reader.get(url(message)))
    for page, query in (("change", {"sent": "text"}), ("html", {}), ("source", {})):
        assert reader.get(url(message, page), query).status_code == 403
    assert notes() == [sent.REFUSED]


def test_the_source_is_signed_as_it_goes_out(console: Client, message: Message) -> None:
    answer = console.get(url(message, "source"))
    assert answer["Content-Disposition"] == f'attachment; filename="{message.pk}.eml"'
    assert answer.content.startswith(b"DKIM-Signature:")
    assert b"Subject: Your order\r\n" in answer.content


def test_it_is_said_where_the_signature_cannot_be_made_again(console: Client, message: Message) -> None:
    Message.objects.of(message.workspace_id).update(domain_id=message.pk, from_email="shop@gone.example")
    assert sent.UNSIGNED_NOW in console.get(url(message), {"sent": "source"}).content.decode().replace("&#x27;", "'")


def test_content_that_is_gone_is_not_found(console: Client, message: Message) -> None:
    MessageContent.objects.filter(pk=message.pk).delete()
    shown(console.get(url(message)))
    assert console.get(url(message), {"sent": "text"}).status_code == 404
    assert notes() == []


def test_the_html_has_a_policy_of_its_own_and_images_only_when_asked_for(console: Client, message: Message) -> None:
    policy = console.get(url(message, "html"))["Content-Security-Policy"]
    asked = console.get(url(message, "html"), {"images": "1"})["Content-Security-Policy"]
    assert policy == "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
    assert (
        asked
        == "sandbox; default-src 'none'; img-src data: https: http:; style-src 'unsafe-inline'; frame-ancestors 'self'"
    )
    assert console.get(url(message, "html"))["X-Frame-Options"] == "SAMEORIGIN"


@pytest.mark.parametrize("tab", ["", "html", "text", "headers", "source"])
def test_hostile_text_is_escaped(tab: str, console: Client, everything: Workspace) -> None:
    message = Message.objects.of(everything.pk).order_by("pk").first()
    page = shown(console.get(url(message), {"sent": tab} if tab else {}))
    assert HOSTILE not in page
    assert "<img src=x" not in page
