"""Scripted outcomes are what the inbox says they are."""

import pytest
from django.conf import LazySettings

from apps.delivery.scripts import ACCEPTED, DROPPED, LATER, SCENARIOS, SCRIPTS, UNKNOWN_USER, examples, scripted
from apps.messages.api import requests
from apps.messages.models import Recipient
from apps.messages.states import Status
from apps.protocols.smtp import Answer, Phase, Reply
from apps.suppressions.models import Suppression
from tests.client import Api
from tests.conftest import World
from tests.delivery.conftest import Post
from tests.delivery.held import holding
from tests.factories import make_key


def played(local: str, *, times: int = 3, scenario: str = "") -> list[Answer]:
    """What the server says at the first attempts."""
    return [scripted(holding(f"{local}@example.com", attempts=count), scenario) for count in range(times)]


def refused(code: int, enhanced: str | None) -> Reply:
    return Reply(code, enhanced, "refused (scripted)", Phase.RCPT, 0)


@pytest.mark.parametrize(
    ("local", "answers"),
    [
        ("ada", [ACCEPTED] * 3),
        ("bounce", [UNKNOWN_USER] * 3),
        ("BOUNCE", [UNKNOWN_USER] * 3),
        ("bounce+550-5.1.1", [refused(550, "5.1.1")] * 3),
        ("bounce+550-5.7.1", [refused(550, "5.7.1")] * 3),
        ("bounce+452-4.2.2", [refused(452, "4.2.2")] * 3),
        ("bounce+554", [refused(554, None)] * 3),
        ("bounce+250", [ACCEPTED] * 3),
        ("defer", [LATER] * 3),
        ("defer+2", [LATER, LATER, ACCEPTED]),
        ("drop", [DROPPED, ACCEPTED, ACCEPTED]),
        ("drop+2", [DROPPED, DROPPED, ACCEPTED]),
        ("drop+x", [ACCEPTED] * 3),
    ],
)
def test_a_local_part_is_played(local: str, answers: list[Answer]) -> None:
    assert played(local) == answers


def test_a_scenario_says_more_than_the_address() -> None:
    assert played("bounce", scenario="delivered") == [ACCEPTED] * 3
    assert played("ada", scenario="delayed") == [LATER, ACCEPTED, ACCEPTED]
    assert played("ada", scenario="bounced") == [UNKNOWN_USER] * 3
    assert played("ada", scenario="complained") == [ACCEPTED] * 3


def test_every_example_is_of_the_form_beside_it_and_shows_its_first_answer() -> None:
    for script in SCRIPTS:
        assert script.examples
        for local, _ in script.examples:
            assert script.form.fullmatch(local)
    assert {example.asked: example.first_answer for example in examples()} == {
        "bounce@": "550 5.1.1",
        "bounce+550-5.1.1@": "550 5.1.1",
        "bounce+550-5.7.1@": "550 5.7.1",
        "bounce+452-4.2.2@": "452 4.2.2",
        "defer@": "451 4.7.1",
        "defer+2@": "451 4.7.1",
        "drop@": "none: the line is cut",
        "drop+2@": "none: the line is cut",
    }


def test_every_scenario_of_the_api_is_explained() -> None:
    assert tuple(SCENARIOS) == requests.SCENARIOS


# What the sentences in the inbox promise, through the whole platform.
@pytest.mark.parametrize(
    ("local", "status", "is_suppressed"),
    [
        ("bounce", Status.BOUNCED, True),
        ("bounce+550-5.1.1", Status.BOUNCED, True),
        ("bounce+550-5.7.1", Status.FAILED, False),
        ("bounce+452-4.2.2", Status.DEFERRED, False),
        ("defer", Status.DEFERRED, False),
        ("defer+2", Status.SENT, False),
        ("drop", Status.SENT, False),
        ("drop+2", Status.SENT, False),
    ],
)
def test_an_example_ends_as_it_is_described(
    local: str, status: Status, is_suppressed: bool, post: Post, world: World, settings: LazySettings
) -> None:
    settings.MAIL_TRANSPORT = "capture"
    post.send(f"{local}@example.com")
    post.deliver()
    for _ in range(2):
        post.deliver_later()
    workspace = world.owner.workspace.pk
    assert Recipient.objects.of(workspace).get().status == status
    assert Suppression.objects.of(workspace).exists() == is_suppressed


@pytest.mark.parametrize(
    ("scenario", "status", "is_suppressed"),
    [
        ("delivered", Status.SENT, False),
        ("delayed", Status.SENT, False),
        ("bounced", Status.BOUNCED, True),
        ("complained", Status.SENT, True),
    ],
)
def test_a_scenario_ends_as_it_is_described(
    scenario: str, status: Status, is_suppressed: bool, post: Post, world: World
) -> None:
    row, key = make_key(world.owner.workspace, is_test=True)
    post.send("ada@example.com", api=Api(key), simulation={"scenario": scenario})
    post.deliver()
    post.deliver_later()
    assert Recipient.objects.of(row.workspace_id).get().status == status
    assert Suppression.objects.of(row.workspace_id).exists() == is_suppressed
