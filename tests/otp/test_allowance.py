"""How many codes a mailbox is sent, in whatever spelling and however simultaneously they are asked for."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from apps.otp.models import Challenge
from apps.otp.services.allowance import counted_as
from tests import stored
from tests.client import Answer, Api
from tests.conftest import World, make_world
from tests.otp.conftest import OTP_SEND, issued, made_ago, request, stored_challenge
from tests.parallel import at_once, threads

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def refused(answer: Answer, period: str, limit: int) -> int:
    """After how many seconds to ask again."""
    assert (answer.status, answer.code) == (429, "rate_limited")
    details = answer.body["error"]["details"]
    assert (details["period"], details["limit"]) == (period, limit)
    return int(answer.headers["Retry-After"])


def test_the_next_code_for_a_purpose_comes_after_half_a_minute(api: Api) -> None:
    first = issued(api)
    before = stored.everything()

    answer = api.post(OTP_SEND, request())

    assert 28 <= refused(answer, "cooldown", 1) <= 30
    assert stored.everything() == before
    issued(api, purpose="reset")
    made_ago(first, timedelta(seconds=29))
    assert refused(api.post(OTP_SEND, request()), "cooldown", 1) in {1, 2}
    made_ago(first, timedelta(seconds=2))
    issued(api)


def test_five_an_hour_whatever_for(api: Api) -> None:
    for number in range(5):
        made_ago(issued(api, purpose=f"p{number}"), (5 - number) * 10 * MINUTE)
    before = stored.everything()

    seconds = refused(api.post(OTP_SEND, request(purpose="p6")), "hour", 5)

    assert 9 * 60 < seconds <= 10 * 60
    assert stored.everything() == before
    issued(api, to="bea@example.com")


def test_ten_a_day(api: Api) -> None:
    for number in range(10):
        made_ago(issued(api), (20 - number) * HOUR)

    seconds = refused(api.post(OTP_SEND, request()), "day", 10)

    assert 3 * 3600 < seconds <= 4 * 3600
    oldest = Challenge.objects.across_workspaces().order_by("created_at").first()
    made_ago({"id": oldest.pk}, 5 * HOUR)
    issued(api)


def test_canceled_and_verified_ones_count_too(api: Api) -> None:
    challenge = issued(api)
    api.post(f"/v1/mail/otp/challenges/{challenge['id']}/cancel")

    refused(api.post(OTP_SEND, request()), "cooldown", 1)


def test_another_workspace_has_limits_of_its_own(api: Api, world: World) -> None:
    issued(api)

    issued(world.stranger.api, **{"from": "a@stranger.example"})


VARIANTS = ["ADA@example.com", "ada+1@example.com", "a.d.a@example.com", "A.da+x+y@EXAMPLE.com"]


@pytest.mark.parametrize("address", VARIANTS)
def test_variants_of_an_address_share_its_limits(api: Api, address: str) -> None:
    issued(api)

    refused(api.post(OTP_SEND, request(to=address)), "cooldown", 1)


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("ada@gmail.com", "a.d.a+x@googlemail.com", True),
        ("+x@example.com", "+y@example.com", False),
        ("ada-x@example.com", "ada@example.com", False),
        ("ada@example.com", "ada@mail.example.com", False),
        ("ada@example.com", "ada@example.org", False),
        ("ä.b@example.com", "äb@example.com", True),
    ],
)
def test_which_spellings_count_as_one(one: str, other: str, are_one: bool) -> None:
    assert (counted_as(one) == counted_as(other)) is are_one


def test_a_variant_has_a_challenge_of_its_own(api: Api) -> None:
    """They are counted together; whether they are one mailbox is not known, so neither voids the other."""
    first = issued(api)
    made_ago(first, MINUTE)

    issued(api, to="ada+1@example.com")

    assert stored_challenge(first).status == "pending"


@pytest.fixture
def live(transactional_db: None) -> Api:
    return make_world().owner.api


def codes_of(answers: list[Answer]) -> dict[Any, int]:
    statuses = [answer.status for answer in answers]
    return {status: statuses.count(status) for status in set(statuses)}


def test_of_200_requests_at_once_one_sends(live: Api) -> None:
    calls = [
        partial(Api(live.key).post, OTP_SEND, request(to=address))
        for address in ("ada@example.com", "a.da+x@example.com") * 100
    ]

    answers = at_once(calls, workers=threads(16))

    assert codes_of(answers) == {202: 1, 429: 199}
    assert Challenge.objects.across_workspaces().count() == 1


def test_of_50_purposes_at_once_five_send(live: Api) -> None:
    calls = [partial(Api(live.key).post, OTP_SEND, request(purpose=f"p{number}")) for number in range(50)]

    answers = at_once(calls, workers=threads(16))

    assert codes_of(answers) == {202: 5, 429: 45}
    assert Challenge.objects.across_workspaces().count() == 5


def test_of_50_repeats_at_once_one_is_new(live: Api) -> None:
    calls = [partial(Api(live.key).post, OTP_SEND, request(idempotencyKey="k-1"))] * 50

    answers = at_once(calls, workers=threads(16))

    assert codes_of(answers) == {202: 1, 200: 49}
    assert len({answer.data["id"] for answer in answers}) == 1
