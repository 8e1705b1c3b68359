"""No spelling of a suppressed address gets through, and no other mailbox is held for it."""

import pytest

from apps.events.models import Event
from apps.messages.models import Recipient
from apps.protocols.address import canonical_email
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import EVENTS, MESSAGES, SEND, Api, mail
from tests.conftest import World
from tests.factories import suppress

SAME_MAILBOX = {
    "user@example.com": [
        "user@example.com",
        "USER@EXAMPLE.COM",
        "User@Example.com",
        " user@example.com ",
        "user@ＥＸＡＭＰＬＥ.com",
    ],
    "user@bücher.example": ["user@xn--bcher-kva.example", "user@BÜCHER.example", "user@bu\u0308cher.example"],
    "user@xn--bcher-kva.example": ["user@bücher.example"],
    "jörg@example.com": ["jo\u0308rg@example.com", "Jörg@example.com"],
    "USER@example.com": ["user@example.com"],
}
OTHER_MAILBOX = [
    "us\u0131er@example.com",  # dotless i
    "user@examp\u212ae.com",  # the Kelvin sign is a k, not an l
    "user+tag@example.com",
    "user@mail.example.com",
    "u.ser@example.com",
    "üser@example.com",
]
REFUSED = [
    "user@example.com.",
    '"user"@example.com',
    "user(comment)@example.com",
    "=?utf-8?q?user?=@example.com",
    "us\u200der@example.com",
    "us\u00ader@example.com",
    "ｕser＠example.com",
]
PAIRS = [(suppressed, written) for suppressed, spellings in SAME_MAILBOX.items() for written in spellings]


def states(workspace: Workspace) -> dict[str, str]:
    return dict(Recipient.objects.of(workspace.pk).values_list("email", "status"))


@pytest.mark.parametrize(("suppressed", "written"), PAIRS)
def test_every_spelling_is_suppressed(api: Api, workspace: Workspace, suppressed: str, written: str) -> None:
    suppress(workspace.pk, canonical_email(suppressed))

    answer = api.post(SEND, mail(to=written))

    assert (answer.status, answer.data["status"]) == (202, "suppressed")
    assert set(states(workspace).values()) == {"suppressed"}


@pytest.mark.parametrize("written", OTHER_MAILBOX)
def test_another_mailbox_is_not(api: Api, workspace: Workspace, written: str) -> None:
    suppress(workspace.pk, "user@example.com")

    answer = api.post(SEND, mail(to=written))

    assert (answer.status, answer.data["status"]) == (202, "queued")


@pytest.mark.parametrize("written", REFUSED)
def test_a_spelling_that_is_none_is_refused(api: Api, workspace: Workspace, written: str) -> None:
    suppress(workspace.pk, "user@example.com")
    before = stored.everything()

    assert list(api.post(SEND, mail(to=written)).fields) == ["to"]
    assert stored.everything() == before


@pytest.mark.parametrize("field", ["to", "cc", "bcc"])
def test_the_others_are_sent_to(api: Api, workspace: Workspace, field: str) -> None:
    suppress(workspace.pk, "bob@example.com")
    lists = {"to": ["ada@example.com"], field: ["Bob@Example.com", "eve@example.com"]}

    answer = api.post(SEND, mail(**lists))

    assert answer.data["status"] == "queued"
    assert answer.data["suppressedRecipients"] == ["Bob@example.com"]
    assert states(workspace)["Bob@example.com"] == "suppressed"
    assert states(workspace)["eve@example.com"] == "queued"


def test_a_suppressed_recipient_is_never_due(api: Api, workspace: Workspace) -> None:
    suppress(workspace.pk, "ada@example.com")

    api.post(SEND, mail())

    recipient = Recipient.objects.of(workspace.pk).get()
    assert (recipient.status, recipient.next_attempt_at, recipient.lease_until) == ("suppressed", None, None)
    assert recipient.finished_at is not None


def test_it_is_told_as_an_event(api: Api, workspace: Workspace) -> None:
    suppress(workspace.pk, "bob@example.com")

    message_id = api.post(SEND, mail(to=["ada@example.com", "bob@example.com"])).data["id"]

    events = api.get(EVENTS, {"messageId": message_id}).rows
    assert [(event["type"], event["data"]) for event in reversed(events)] == [
        (
            "mail.message.queued",
            {"from": "shop@shop.example", "subject": "Your order", "recipients": ["ada@example.com"]},
        ),
        ("mail.message.suppressed", {"recipient": "bob@example.com"}),
    ]


def test_where_nobody_is_left_nothing_is_queued(api: Api, workspace: Workspace) -> None:
    suppress(workspace.pk, "ada@example.com")

    message_id = api.post(SEND, mail()).data["id"]

    types = Event.objects.of(workspace.pk).filter(message_id=message_id).values_list("type", flat=True)
    assert list(types) == ["mail.message.suppressed"]
    assert api.get(f"{MESSAGES}/{message_id}").data["status"] == "suppressed"


def test_a_reply_address_may_be_suppressed(api: Api, workspace: Workspace) -> None:
    suppress(workspace.pk, "shop@shop.example")

    assert api.post(SEND, mail(replyTo="shop@shop.example")).data["status"] == "queued"


def test_another_workspaces_suppressions_do_not_hold(world: World) -> None:
    suppress(world.stranger.workspace.pk, "ada@example.com")

    assert world.owner.api.post(SEND, mail()).data["status"] == "queued"
