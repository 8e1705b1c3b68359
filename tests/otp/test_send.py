"""A challenge is made with its mail, and the answer tells everything but the code."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from apps.core.crypto import unseal
from apps.events.models import Event
from apps.messages.models import Message, MessageContent, Recipient
from apps.messages.services.new_rows import sealed_name
from apps.messages.states import Lane
from apps.otp.codes import new_code
from apps.otp.models import Challenge
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import Api
from tests.conftest import World
from tests.factories import make_key, suppress
from tests.otp.conftest import (
    CHALLENGES,
    OTP_SEND,
    OTP_VERIFY,
    code_of,
    issued,
    last_event,
    made_ago,
    request,
    stored_challenge,
    told,
)


def letter_of(challenge: dict[str, Any]) -> tuple[str, str, str]:
    """Subject, text and HTML of its mail."""
    message = Message.objects.across_workspaces().select_related("content").get(pk=challenge["messageId"])
    text, html = (
        unseal(part, bound_to=sealed_name(message.pk)) for part in (message.content.text, message.content.html)
    )
    return message.subject, text, html


def test_answers_with_the_challenge_and_without_the_code(api: Api) -> None:
    answer = api.post(OTP_SEND, request(metadata={"user_ID": 7}))

    assert answer.status == 202
    challenge, row = answer.data, stored_challenge(answer.data)
    assert challenge == {
        "id": str(row.pk),
        "to": "ada@example.com",
        "purpose": "login",
        "status": "pending",
        "codeLength": 6,
        "attempts": 0,
        "maxAttempts": 5,
        "expiresAt": challenge["expiresAt"],
        "messageId": str(row.message_id),
        "metadata": {"user_ID": 7},
        "createdAt": challenge["createdAt"],
        "verifiedAt": None,
        "canceledAt": None,
        "idempotencyStatus": "none",
    }
    assert row.expires_at - row.created_at == timedelta(minutes=10)
    assert len(row.code_hash) == 64
    assert told(challenge) == ["created"]
    event = last_event(challenge)
    assert str(event.message_id) == challenge["messageId"]
    assert event.data == {"recipient": "ada@example.com", "purpose": "login", "expiresAt": challenge["expiresAt"]}


def test_the_mail_is_sealed_in_its_own_lane_and_ends_with_the_challenge(api: Api) -> None:
    challenge = issued(api)

    message = Message.objects.across_workspaces().get(pk=challenge["messageId"])
    (recipient,) = Recipient.objects.across_workspaces().filter(message=message)
    assert message.content.is_sealed
    assert (recipient.lane, recipient.status) == (Lane.OTP, "queued")
    assert message.expires_at == stored_challenge(challenge).expires_at
    shown = api.get(f"/v1/mail/messages/{message.pk}").data
    assert (shown["text"], shown["html"]) == (None, None)
    assert shown["headers"] == {"Auto-Submitted": "auto-generated"}


def test_the_letter_says_what_its_reader_needs_and_keeps_the_code_out_of_the_beginning(api: Api) -> None:
    challenge = issued(api, brandName="Ada & <Söhne>", expiresIn="90s", codeLength=8)

    subject, text, html = letter_of(challenge)
    code = code_of(challenge)
    assert (subject, len(code)) == ("Your code for Ada & <Söhne>", 8)
    assert "valid for 90 seconds" in text
    assert "Nobody from Ada & <Söhne> will ever ask you" in text
    assert text.index(code) > 120
    assert f">{code}</p>" in html
    assert "Ada &amp; &lt;Söhne&gt;" in html
    assert "<Söhne>" not in html
    assert code not in subject


@pytest.mark.parametrize(
    ("sender", "brand"),
    [
        ("Shop <shop@shop.example>", "Shop"),
        ("shop@shop.example", "shop.example"),
        ("Win at evil.example now <shop@shop.example>", "shop.example"),
        ("shop.example <shop@shop.example>", "shop.example"),
    ],
)
def test_without_a_brand_the_sender_names_itself(api: Api, sender: str, brand: str) -> None:
    assert letter_of(issued(api, **{"from": sender}))[0] == f"Your code for {brand}"


@pytest.mark.parametrize(
    ("given", "seconds"), [("1m", 60), ("90s", 90), ("10m", 600), ("1h", 3600), (60, 60), (3600, 3600)]
)
def test_takes_durations(api: Api, given: Any, seconds: int) -> None:
    row = stored_challenge(issued(api, expiresIn=given))

    assert (row.expires_at - row.created_at).total_seconds() == seconds


def test_the_default_sender_sends_where_nobody_is_named(api: Api, workspace: Workspace) -> None:
    before = stored.everything()
    refused = api.post(OTP_SEND, request(**{"from": None}))
    assert (refused.status, list(refused.fields)) == (400, ["from"])
    assert stored.everything() == before

    Workspace.objects.filter(pk=workspace.pk).update(default_sender="Default <hello@shop.example>")
    challenge = issued(api, **{"from": None})

    assert Message.objects.across_workspaces().get(pk=challenge["messageId"]).from_email == "hello@shop.example"


def test_codes_are_evenly_spread_and_keep_their_zeros() -> None:
    codes = [new_code(4) for _ in range(100_000)]

    assert {len(code) for code in codes} == {4}
    for place in range(4):
        counts = [sum(code[place] == digit for code in codes) for digit in "0123456789"]
        # Nine degrees of freedom: by chance beyond 45 once in a million times.
        assert sum((count - 10_000) ** 2 / 10_000 for count in counts) < 45


class TestReplay:
    def test_gives_the_same_challenge_and_sends_nothing(self, api: Api) -> None:
        first = issued(api, idempotencyKey="k-1")
        assert first["idempotencyStatus"] == "created"
        before = stored.everything()

        answer = api.post(OTP_SEND, request(idempotencyKey="k-1"))

        assert answer.status == 200
        assert answer.data == first | {"idempotencyStatus": "replayed"}
        assert stored.everything() == before

    def test_tells_what_has_become_of_it(self, api: Api) -> None:
        first = issued(api, idempotencyKey="k-1")
        api.post(OTP_VERIFY, {"challengeId": first["id"], "code": code_of(first)})

        again = api.post(OTP_SEND, request(), Idempotency_Key="k-1")

        assert (again.status, again.data["status"], again.data["attempts"]) == (200, "verified", 1)

    def test_another_request_with_the_key_is_refused(self, api: Api) -> None:
        first = issued(api, idempotencyKey="k-1")
        before = stored.everything()

        answer = api.post(OTP_SEND, request(idempotencyKey="k-1", to="grace@example.com"))

        assert (answer.status, answer.code) == (409, "idempotency_conflict")
        assert answer.body["error"]["details"] == {"messageId": first["messageId"]}
        assert stored.everything() == before

    def test_works_when_the_default_sender_is_gone(self, api: Api, workspace: Workspace) -> None:
        Workspace.objects.filter(pk=workspace.pk).update(default_sender="hello@shop.example")
        first = issued(api, **{"from": None}, idempotencyKey="k-1")
        Workspace.objects.filter(pk=workspace.pk).update(default_sender="")

        assert api.post(OTP_SEND, request(**{"from": None}, idempotencyKey="k-1")).data["id"] == first["id"]

    def test_the_key_is_the_otp_familys_own(self, api: Api) -> None:
        body = {"from": "shop@shop.example", "to": "ada@example.com", "subject": "S", "text": "T"}
        api.post("/v1/mail/send", body | {"idempotencyKey": "k-1"})

        assert issued(api, idempotencyKey="k-1")["idempotencyStatus"] == "created"


class TestANewerOne:
    def test_voids_the_older_and_withdraws_its_mail(self, api: Api) -> None:
        older = issued(api)
        code = code_of(older)
        made_ago(older, timedelta(seconds=31))

        newer = issued(api)

        shown = api.get(f"{CHALLENGES}/{older['id']}").data
        assert (shown["status"], shown["deliveryStatus"]) == ("canceled", "failed")
        assert shown["canceledAt"] is not None
        assert told(older) == ["created", "canceled"]
        assert last_event(older).data["reason"] == "superseded"
        content = MessageContent.objects.get(pk=older["messageId"])
        assert (content.text, content.html) == (None, None)
        assert stored_challenge(older).code_hash == ""
        # The old code is nobody's any more, whichever way it is given.
        refused = api.post(OTP_VERIFY, {"challengeId": older["id"], "code": code})
        assert (refused.status, refused.code) == (409, "invalid_state")
        if code != code_of(newer):
            by_address = api.post(OTP_VERIFY, {"to": "ada@example.com", "purpose": "login", "code": code})
            assert (by_address.status, by_address.code) == (400, "otp_invalid_code")
        assert api.post(OTP_VERIFY, {"challengeId": newer["id"], "code": code_of(newer)}).status == 200

    def test_leaves_other_purposes_addresses_and_workspaces_alone(self, api: Api, world: World) -> None:
        first = issued(api)
        others = [issued(api, purpose="reset"), issued(api, to="ada+1@example.com", purpose="other")]
        others.append(issued(world.stranger.api, **{"from": "a@stranger.example"}))

        assert stored_challenge(first).status == "pending"
        assert {stored_challenge(other).status for other in others} == {"pending"}

    def test_that_is_refused_leaves_the_older_as_it_was(self, api: Api, workspace: Workspace) -> None:
        older = issued(api)
        made_ago(older, timedelta(seconds=31))
        Workspace.objects.filter(pk=workspace.pk).update(daily_limit=1)
        before = stored.everything()

        answer = api.post(OTP_SEND, request())

        assert (answer.status, answer.code) == (429, "daily_limit_exceeded")
        assert stored.everything() == before

    def test_the_database_has_room_for_one_open_challenge_only(self, api: Api) -> None:
        older = issued(api)
        made_ago(older, timedelta(seconds=31))
        issued(api)

        with pytest.raises(IntegrityError), transaction.atomic():
            Challenge.objects.across_workspaces().filter(pk=older["id"]).update(status="pending")


def test_a_suppressed_address_gets_the_same_answer_and_an_event(api: Api, workspace: Workspace) -> None:
    suppress(workspace.pk, "ada@example.com")

    suppressed, other = api.post(OTP_SEND, request()), api.post(OTP_SEND, request(to="bea@example.com"))

    varying = ("id", "messageId", "createdAt", "expiresAt", "to")
    same = [{name: value for name, value in a.data.items() if name not in varying} for a in (suppressed, other)]
    assert (suppressed.status, same[0]) == (other.status, same[1])
    events = Event.objects.of(workspace.pk).filter(message_id=suppressed.data["messageId"])
    assert sorted(events.values_list("type", flat=True)) == ["mail.message.suppressed", "mail.otp.created"]
    assert MessageContent.objects.get(pk=suppressed.data["messageId"]).text is None
    guess = {"to": "ada@example.com", "purpose": "login", "code": "000000"}
    assert api.post(OTP_VERIFY, guess).code == "otp_invalid_code"


def test_simulations_are_for_test_keys(api: Api, workspace: Workspace) -> None:
    refused = api.post(OTP_SEND, request(simulation={"scenario": "bounced"}))
    assert (refused.status, list(refused.fields)) == (400, ["simulation"])
    test_api = Api(make_key(workspace, is_test=True)[1])

    challenge = issued(test_api, simulation={"scenario": "bounced"})

    assert MessageContent.objects.get(pk=challenge["messageId"]).scenario == "bounced"


def test_a_domain_that_is_not_verified_sends_no_codes(api: Api) -> None:
    before = stored.everything()

    answer = api.post(OTP_SEND, request(**{"from": "a@other.example"}))

    assert (answer.status, answer.code) == (403, "domain_not_verified")
    assert stored.everything() == before


class TestReading:
    def test_filters_and_pages(self, api: Api) -> None:
        rows = [issued(api, to=f"r{n}@example.com", purpose=f"p{n % 2}")["id"] for n in range(3)]

        assert [row["id"] for row in api.get(CHALLENGES).rows] == rows[::-1]
        assert [row["id"] for row in api.get(CHALLENGES, {"purpose": "p0"}).rows] == [rows[2], rows[0]]
        assert [row["id"] for row in api.get(CHALLENGES, {"to": "R1@Example.com"}).rows] == [rows[1]]
        assert api.get(CHALLENGES, {"status": "sent"}).rows == []
        page = api.get(CHALLENGES, {"limit": 2})
        rest = api.get(CHALLENGES, {"limit": 2, "cursor": page.data["nextCursor"]})
        assert [row["id"] for row in page.rows + rest.rows] == rows[::-1]

    @pytest.mark.parametrize(
        "query", [{"to": "nobody"}, {"status": "open"}, {"code": "123456"}, {"purpose": "x" * 400}]
    )
    def test_refuses_filters_that_mean_nothing(self, api: Api, query: dict[str, str]) -> None:
        answer = api.get(CHALLENGES, query)

        assert (answer.status, list(answer.fields)) == (400, list(query))
