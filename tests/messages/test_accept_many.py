"""Many orders accepted at once: each with an answer of its own, all of them or none stored."""

import pytest

from apps.core.errors import Invalid, Problem
from apps.events.models import Event
from apps.keys.idempotency import Use
from apps.keys.models import IdempotencyKey
from apps.messages.models import Message, MessageContent, Recipient
from apps.messages.services.accept import Answer, accept_many
from apps.messages.services.draft import Accepted, Addressee, Draft, Order
from apps.messages.states import Kind
from apps.protocols.address import parse_mailbox
from apps.workspaces.limits import usage
from apps.workspaces.models import Workspace
from tests import stored
from tests.conftest import World, make_world
from tests.factories import make_caller, suppress
from tests.parallel import at_once, threads


def order(to: str = "ada@example.com", *, sender: str = "a@shop.example", key: str = "", text: str = "T") -> Order:
    recipients = [Addressee(Kind.TO, parse_mailbox(address)) for address in to.split()]
    draft = Draft(parse_mailbox(sender), recipients, "S", text=text)
    return Order(draft, use(key, text) if key else None)


def use(key: str, text: str) -> Use:
    return Use(Workspace.objects.get(slug="shop").pk, "send", key, text)


def codes(answers: list[Answer]) -> list[str]:
    return [answer.code if isinstance(answer, Problem) else answer.idempotency_status for answer in answers]


def limited(world: World, daily: int) -> None:
    Workspace.objects.filter(pk=world.owner.workspace.pk).update(daily_limit=daily)
    world.owner.workspace.refresh_from_db()


def test_each_is_stored_whole(world: World) -> None:
    workspace = world.owner.workspace
    suppress(workspace.pk, "gone@example.com")

    answers = accept_many(make_caller(workspace), [order(f"a{n}@example.com gone@example.com") for n in range(40)])

    assert codes(answers) == ["none"] * 40
    assert [a.suppressed for a in answers if isinstance(a, Accepted)] == [("gone@example.com",)] * 40
    messages = list(Message.objects.of(workspace.pk).order_by("pk"))
    assert [m.pk for m in messages] == [a.message_id for a in answers if isinstance(a, Accepted)]
    assert MessageContent.objects.count() == 40
    assert Recipient.objects.of(workspace.pk).filter(status="queued").count() == 40
    assert Event.objects.of(workspace.pk).filter(type="mail.message.queued").count() == 40
    assert usage(workspace).daily_used == 40


def test_a_refused_one_harms_no_other(world: World) -> None:
    orders = [
        order("a@example.com"),
        order(sender="a@unknown.example"),
        Order(Invalid({"to": ["is required"]})),
        order("b@example.com"),
    ]

    answers = accept_many(make_caller(world.owner.workspace), orders)

    assert codes(answers) == ["none", "domain_not_verified", "validation_error", "none"]
    assert Message.objects.of(world.owner.workspace.pk).count() == 2


def test_nothing_to_store_is_no_error(world: World) -> None:
    before = stored.everything()

    assert codes(accept_many(make_caller(world.owner.workspace), [Order(Invalid({"to": ["?"]}))])) == [
        "validation_error"
    ]
    assert accept_many(make_caller(world.owner.workspace), []) == []
    assert stored.everything() == before


def test_keys_are_recognised_across_and_within_calls(world: World) -> None:
    caller = make_caller(world.owner.workspace)
    (first,) = accept_many(caller, [order(key="k1")])

    answers = accept_many(
        caller,
        [order(key="k1"), order(key="k1", text="other"), order(key="k2"), order(key="k2"), order(key="k2", text="x")],
    )

    assert codes(answers) == ["replayed", "idempotency_conflict", "created", "replayed", "idempotency_conflict"]
    ids = [answer.message_id for answer in [first, *answers] if isinstance(answer, Accepted)]
    assert ids[0] == ids[1]
    assert ids[2] == ids[3]
    assert Message.objects.of(world.owner.workspace.pk).count() == 2


def test_a_repeat_is_recognised_also_when_its_draft_cannot_be_made_any_more(world: World) -> None:
    caller = make_caller(world.owner.workspace)
    (first,) = accept_many(caller, [order(key="k1", text="T")])
    gone = Invalid({"attachments.0": ["is gone"]})

    repeated, new = accept_many(caller, [Order(gone, use("k1", "T")), Order(gone, use("k2", "T"))])

    assert isinstance(first, Accepted)
    assert isinstance(repeated, Accepted)
    assert (repeated.message_id, repeated.is_replay) == (first.message_id, True)
    assert new is gone
    assert IdempotencyKey.objects.of(world.owner.workspace.pk).filter(key="k2").count() == 0


@pytest.mark.parametrize(
    ("daily", "recipients", "expected"),
    [
        (3, ["a", "b", "c", "d", "e"], ["none", "none", "none", "daily_limit_exceeded", "daily_limit_exceeded"]),
        (3, ["a b", "c d", "e"], ["none", "daily_limit_exceeded", "none"]),
        (0, ["a", "b"], ["daily_limit_exceeded"] * 2),
        (1, ["a b", "c d e"], ["daily_limit_exceeded"] * 2),
    ],
)
def test_a_limit_takes_the_first_that_fit(world: World, daily: int, recipients: list[str], expected: list[str]) -> None:
    workspace = world.owner.workspace
    limited(world, daily)
    orders = [order(" ".join(f"{name}@example.com" for name in names.split())) for names in recipients]

    answers = accept_many(make_caller(workspace), orders)

    assert codes(answers) == expected
    counted = Recipient.objects.of(workspace.pk).count()
    assert (
        usage(workspace).daily_used
        == counted
        == sum(len(names.split()) for names, code in zip(recipients, expected, strict=True) if code == "none")
    )


@pytest.mark.django_db(transaction=True)
def test_calls_that_race_for_a_limit_accept_exactly_what_it_allows() -> None:
    world = make_world()
    workspace = world.owner.workspace
    limited(world, 100)
    caller = make_caller(workspace)
    calls = [lambda: accept_many(caller, [order(f"a{n}@example.com") for n in range(15)])] * 20

    answers = [answer for found in at_once(calls, workers=threads(10)) for answer in found]

    assert (codes(answers).count("none"), codes(answers).count("daily_limit_exceeded")) == (100, 200)
    assert usage(workspace).daily_used == Message.objects.of(workspace.pk).count() == 100


@pytest.mark.django_db(transaction=True)
def test_calls_that_share_keys_in_any_order_make_each_message_once() -> None:
    world = make_world()
    caller = make_caller(world.owner.workspace)
    orders = [order(f"a{n}@example.com", key=f"k{n}") for n in range(20)]
    calls = [lambda: accept_many(caller, orders), lambda: accept_many(caller, orders[::-1])] * 6

    answers = [answer for found in at_once(calls, workers=threads(6)) for answer in found]

    assert codes(answers).count("created") == 20
    assert codes(answers).count("replayed") == 20 * 11
    assert Message.objects.of(world.owner.workspace.pk).count() == 20
