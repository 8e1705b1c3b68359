"""Five guesses and no more, one success and no second, however many ask at once."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.conf import LazySettings

from apps.messages.models import Message
from apps.otp.models import Challenge
from tests import stored
from tests.client import Answer, Api
from tests.conftest import World, make_world
from tests.otp.conftest import (
    CHALLENGES,
    OTP_SEND,
    OTP_VERIFY,
    code_of,
    expire,
    issued,
    last_event,
    made_ago,
    request,
    stored_challenge,
    told,
    wrong,
)
from tests.parallel import at_once, threads


def guess(api: Api, challenge: dict[str, Any], code: str) -> Answer:
    return api.post(OTP_VERIFY, {"challengeId": challenge["id"], "code": code})


class TestTheRightCode:
    @pytest.mark.parametrize("by", ["id", "address"])
    def test_is_taken_once(self, api: Api, by: str) -> None:
        challenge = issued(api, to="Ada@Example.com")
        code = code_of(challenge)
        which = {"id": {"challengeId": challenge["id"]}, "address": {"to": "ada@EXAMPLE.com", "purpose": "login"}}[by]

        answer, again = (api.post(OTP_VERIFY, {**which, "code": code}) for _ in range(2))

        row = stored_challenge(challenge)
        assert answer.status == 200
        assert answer.data == {
            "id": challenge["id"],
            "challengeId": challenge["id"],
            "verified": True,
            "status": "verified",
            "verifiedAt": api.get(f"{CHALLENGES}/{challenge['id']}").data["verifiedAt"],
        }
        assert (again.status, again.code) == (409, "invalid_state")
        assert (row.status, row.attempts, row.code_hash) == ("verified", 1, "")
        assert told(challenge) == ["created", "verified"]

    def test_withdraws_what_is_not_sent_yet(self, api: Api) -> None:
        challenge = issued(api)

        assert guess(api, challenge, code_of(challenge)).status == 200

        assert Message.objects.across_workspaces().get(pk=challenge["messageId"]).status == "failed"

    def test_wins_as_the_last_guess(self, api: Api) -> None:
        challenge = issued(api)
        code = code_of(challenge)
        for _ in range(4):
            guess(api, challenge, wrong(code))

        assert guess(api, challenge, code).status == 200

    def test_is_right_under_an_older_key_too(self, api: Api, settings: LazySettings) -> None:
        challenge = issued(api)
        code = code_of(challenge)
        settings.FIELD_KEYS = ["bmV3LWZvci10ZXN0cy0wMDAwMDAwMDAwMDAwMDAwMDA=", *settings.FIELD_KEYS]

        assert guess(api, challenge, wrong(code)).code == "otp_invalid_code"
        assert guess(api, challenge, code).status == 200

    def test_is_not_right_elsewhere(self, api: Api, world: World) -> None:
        mine = issued(api)
        code = code_of(mine)
        other = issued(api, purpose="reset")
        while code_of(other) == code:
            made_ago(other, timedelta(seconds=31))
            other = issued(api, purpose="reset")

        assert guess(api, other, code).code == "otp_invalid_code"
        assert guess(world.stranger.api, mine, code).status == 404
        for which in ({"to": "ada@example.com", "purpose": "reset"}, {"to": "bea@example.com", "purpose": "login"}):
            assert api.post(OTP_VERIFY, {**which, "code": code}).code == "otp_invalid_code"
        assert stored_challenge(mine).attempts == 0


class TestAWrongCode:
    def test_counts_to_five_and_locks(self, api: Api) -> None:
        challenge = issued(api)
        code = code_of(challenge)

        answers = [guess(api, challenge, wrong(code)) for _ in range(6)]

        assert [(a.status, a.code) for a in answers] == [(400, "otp_invalid_code")] * 5 + [(409, "otp_locked")]
        details = [answer.body["error"]["details"] for answer in answers[:5]]
        assert details == [{"attemptsRemaining": left, "challengeId": challenge["id"]} for left in (4, 3, 2, 1, 0)]
        right = guess(api, challenge, code)
        assert (right.status, right.code) == (409, "otp_locked")
        row = stored_challenge(challenge)
        assert (row.status, row.attempts, row.code_hash, row.verified_at) == ("failed", 5, "", None)
        assert told(challenge) == ["created", *["failed_attempt"] * 5, "failed"]

    def test_is_not_repeated_in_any_answer_or_row(self, api: Api) -> None:
        challenge = issued(api, codeLength=10)
        code = wrong(code_of(challenge))

        answer = guess(api, challenge, code)

        assert code not in str(answer.body)
        assert code not in str(stored.everything())

    def test_for_an_address_without_a_challenge_looks_like_any_other(self, api: Api) -> None:
        issued(api)
        before = stored.everything()

        known = api.post(OTP_VERIFY, {"to": "ada@example.com", "purpose": "login", "code": "1234"})
        unknown = api.post(OTP_VERIFY, {"to": "bea@example.com", "purpose": "login", "code": "1234"})
        assert (known.status, known.fields) == (unknown.status, unknown.fields)
        guessed = api.post(OTP_VERIFY, {"to": "bea@example.com", "purpose": "login", "code": "123456"})

        assert (guessed.status, guessed.code) == (400, "otp_invalid_code")
        assert guessed.body["error"]["details"] == {"attemptsRemaining": 0, "challengeId": None}
        assert stored.everything() == before


class TestWhatIsNotOpen:
    def test_expired_by_the_databases_clock(self, api: Api) -> None:
        challenge = issued(api)
        code = code_of(challenge)
        expire(challenge)

        answer = guess(api, challenge, code)

        assert (answer.status, answer.code) == (410, "otp_expired")
        assert stored_challenge(challenge).attempts == 0

    def test_canceled(self, api: Api) -> None:
        challenge = issued(api)
        code = code_of(challenge)
        api.post(f"{CHALLENGES}/{challenge['id']}/cancel")

        answer = guess(api, challenge, code)

        assert (answer.status, answer.code) == (409, "invalid_state")
        assert answer.body["error"]["details"] == {"challengeId": challenge["id"], "status": "canceled"}

    @pytest.mark.parametrize("challenge_id", ["0197a3c4-0000-7000-8000-000000000000", "x", "1", "../otp"])
    def test_unknown(self, api: Api, challenge_id: str) -> None:
        answer = guess(api, {"id": challenge_id}, "123456")

        assert (answer.status, answer.code) == (404, "not_found")

    def test_an_ended_one_is_found_by_address_as_long_as_no_newer_is_there(self, api: Api) -> None:
        challenge = issued(api)
        code = code_of(challenge)
        guess(api, challenge, code)

        answer = api.post(OTP_VERIFY, {"to": "ada@example.com", "purpose": "login", "code": code})

        assert (answer.status, answer.code) == (409, "invalid_state")


SHAPES: list[Any] = [
    *(None, 123456, 123456.0, True, "", "123", "12345678901", "12345", "1234567"),
    *("٠١٢٣٤٥", "１２３４５６", " 123456 ", "123 456", "12345a", "-12345", "+12345", "1e5000", "123456\n", "12345\n"),
    *("1" * 1_000_000, ["123456"], ["123456", "123457"], {"$ne": 1}, {"code": "123456"}),
]


@pytest.mark.parametrize("code", SHAPES, ids=lambda code: str(code)[:20])
def test_what_cannot_be_a_code_is_no_guess(api: Api, code: Any) -> None:
    challenge = issued(api)
    before = stored.everything()

    for which in ({"challengeId": challenge["id"]}, {"to": "ada@example.com", "purpose": "login"}):
        answer = api.post(OTP_VERIFY, {**which, "code": code})
        assert (answer.status, answer.code, list(answer.fields)) == (400, "validation_error", ["code"])
        assert "\n" not in answer.body["message"]
        assert len(answer.body["message"]) < 100

    assert stored.everything() == before


@pytest.mark.parametrize(
    ("which", "field"),
    [
        ({}, "challengeId"),
        ({"to": "ada@example.com"}, "purpose"),
        ({"purpose": "login"}, "to"),
        ({"challengeId": "x", "to": "ada@example.com"}, "challengeId"),
        ({"challengeId": "x", "to": "ada@example.com", "purpose": "login"}, "challengeId"),
        ({"challengeId": ["x"]}, "challengeId"),
        ({"challengeId": None}, "challengeId"),
        ({"challengeId": {"$ne": 1}}, "challengeId"),
        ({"to": "nobody", "purpose": "login"}, "to"),
        ({"to": ["ada@example.com"], "purpose": "login"}, "to"),
        ({"to": "ada@example.com", "purpose": "login", "attempts": 0}, "attempts"),
    ],
)
def test_one_challenge_is_named_in_one_way(api: Api, which: dict[str, Any], field: str) -> None:
    issued(api)
    before = stored.everything()

    answer = api.post(OTP_VERIFY, {**which, "code": "123456"})

    assert (answer.status, answer.code, list(answer.fields)) == (400, "validation_error", [field])
    assert stored.everything() == before


class TestAtOnce:
    @pytest.fixture
    def api(self, transactional_db: None) -> Api:
        """In a database that other threads see."""
        return make_world().owner.api

    def test_200_wrong_guesses_count_five(self, api: Api) -> None:
        challenge = issued(api)
        code = code_of(challenge)

        calls = [partial(guess, Api(api.key), challenge, wrong(code))] * 200
        answers = at_once(calls, workers=threads(16))

        codes = [answer.code for answer in answers]
        assert {name: codes.count(name) for name in set(codes)} == {"otp_invalid_code": 5, "otp_locked": 195}
        left = sorted(a.body["error"]["details"]["attemptsRemaining"] for a in answers if a.status == 400)
        assert left == [0, 1, 2, 3, 4]
        assert stored_challenge(challenge).attempts == 5
        assert guess(api, challenge, code).code == "otp_locked"
        assert told(challenge) == ["created", *["failed_attempt"] * 5, "failed"]

    def test_200_right_guesses_succeed_once(self, api: Api) -> None:
        challenge = issued(api)

        calls = [partial(guess, Api(api.key), challenge, code_of(challenge))] * 200
        answers = at_once(calls, workers=threads(16))

        assert sorted(answer.status for answer in answers) == [200, *[409] * 199]
        assert stored_challenge(challenge).attempts == 1
        assert told(challenge) == ["created", "verified"]

    def test_a_right_guess_among_the_first_five_wins_and_a_later_one_does_not(
        self, api: Api, settings: LazySettings
    ) -> None:
        settings.MAIL_OTP_HOURLY_LIMIT = settings.MAIL_OTP_DAILY_LIMIT = 1000
        settings.MAIL_OTP_COOLDOWN_SECONDS = 0
        for _ in range(8):
            challenge = issued(api)
            code = code_of(challenge)

            calls = [partial(guess, Api(api.key), challenge, given) for given in [wrong(code)] * 7 + [code]]
            answers = at_once(calls, workers=8)

            row = stored_challenge(challenge)
            wrong_ones = sum(answer.status == 400 for answer in answers)
            is_right = any(answer.status == 200 for answer in answers)
            assert (row.status, row.attempts) == (("verified", wrong_ones + 1) if is_right else ("failed", 5))
            assert wrong_ones <= 4 if is_right else wrong_ones == 5

    def test_a_newer_challenge_and_the_older_ones_code_do_not_both_win(self, api: Api, settings: LazySettings) -> None:
        settings.MAIL_OTP_HOURLY_LIMIT = settings.MAIL_OTP_DAILY_LIMIT = 1000
        settings.MAIL_OTP_COOLDOWN_SECONDS = 0
        for _ in range(8):
            older = issued(api)

            calls = [
                partial(guess, Api(api.key), older, code_of(older)),
                partial(Api(api.key).post, OTP_SEND, request()),
            ]
            verified, sent = at_once(calls, workers=2)

            assert sent.status == 202
            assert (verified.status, stored_challenge(older).status) in {(200, "verified"), (409, "canceled")}
            assert len(told(older)) == 2
            assert last_event(older).type == f"mail.otp.{stored_challenge(older).status}"
            open_now = Challenge.objects.across_workspaces().filter(status="pending")
            assert [str(pk) for pk in open_now.values_list("pk", flat=True)] == [sent.data["id"]]
