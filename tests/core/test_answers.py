"""Every answer is JSON in the contract's envelope, also those that Django gives before a view is reached."""

import re
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.test import Client, override_settings

from tests.client import DOMAINS, LIMITS, MESSAGES, SEND, Answer, Api, mail
from tests.conftest import World

CANONICAL_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def assert_refused(answer: Answer, status: int, code: str) -> None:
    """The whole error envelope, as each of the published clients reads it."""
    body = answer.body
    assert answer.headers["Content-Type"] == "application/json"
    assert (answer.status, body["status_code"], body["success"]) == (status, status, False)
    assert body["error"]["code"] == code
    assert body["message"] == body["error"]["message"] != ""
    assert isinstance(body["error"]["details"], dict)
    assert body["requestId"] == answer.headers["X-Request-Id"]
    assert set(body) == {"success", "status", "status_code", "message", "error", "requestId"}


def test_a_success_has_the_envelope(api: Api) -> None:
    answer = api.get(LIMITS)

    assert answer.headers["Content-Type"] == "application/json"
    assert set(answer.body) == {"success", "status", "status_code", "message", "data"}
    assert {name: answer.body[name] for name in ("success", "status", "status_code")} == {
        "success": True,
        "status": "OK",
        "status_code": 200,
    }


def test_a_list_is_an_object_inside_the_envelope(api: Api) -> None:
    assert api.get(MESSAGES).data == {"data": [], "nextCursor": None, "hasMore": False}


def test_a_deletion_has_no_body(api: Api) -> None:
    domain = api.get(DOMAINS).rows[0]

    answer = api.delete(f"{DOMAINS}/{domain['id']}")

    assert (answer.status, answer.body) == (204, None)


def test_limits_have_every_documented_key(api: Api) -> None:
    api.post(SEND, mail(to=["a@example.com", "b@example.com"]))

    data = api.get(LIMITS).data

    assert data.pop("resetsAt").endswith("T00:00:00.000Z")
    assert data == {
        "tier": "business",
        "dailyUsed": 2,
        "dailyLimit": 1_000_000,
        "hourlyUsed": None,
        "hourlyLimit": None,
        "maxRecipientsPerMessage": 50,
    }


@pytest.mark.parametrize("path", [LIMITS, MESSAGES, DOMAINS, "/v1/mail/events"])
def test_both_mounts_answer_alike(api: Api, path: str) -> None:
    assert api.get(path).data == api.get(f"/api{path}").data


class TestWhatDjangoRefusesItself:
    @pytest.mark.parametrize(
        "path",
        [
            "/v1/mail/nothing",
            "/v1/mail//messages",
            "/v1/mail/messages/",
            "/v1/mail/send/",
            "/v1/MAIL/messages",
            "/v1/mail/%2e%2e/messages",
            "/v1/mail/messages;a=b",
            "/v1/mail/messages/%00",
            "/v1/mail/messages/" + "x" * 8_000,
            "/nothing",
        ],
    )
    def test_an_unknown_address(self, api: Api, path: str) -> None:
        assert_refused(api.get(path), 404, "not_found")

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("GET", SEND, "POST"),
            ("DELETE", SEND, "POST"),
            ("PATCH", DOMAINS, "GET, POST"),
            ("POST", LIMITS, "GET"),
            ("TRACE", LIMITS, "GET"),
            ("FOO", LIMITS, "GET"),
        ],
    )
    def test_a_method_that_is_not_there(self, api: Api, method: str, path: str, allowed: str) -> None:
        answer = api.call(method, path)

        assert_refused(answer, 405, "method_not_allowed")
        named = set(answer.headers["Allow"].split(", "))
        assert named >= set(allowed.split(", "))
        assert method not in named

    def test_a_method_override_is_not_followed(self, api: Api) -> None:
        domain = api.get(DOMAINS).rows[0]

        answer = api.get(f"{DOMAINS}/{domain['id']}", X_HTTP_Method_Override="DELETE")

        assert answer.status == 200
        assert api.get(f"{DOMAINS}/{domain['id']}").status == 200

    def test_a_host_that_is_not_ours(self, db: None) -> None:
        response = Client().get(LIMITS, headers={"Host": "evil.example"})

        assert response.status_code == 400
        assert response.json()["error"]["code"] == "validation_error"

    def test_no_redirect_turns_a_post_into_a_get(self, api: Api) -> None:
        assert api.post(SEND + "/", mail()).status == 404

    @pytest.mark.parametrize("path", ["/v1/broken"])
    @override_settings(ROOT_URLCONF="tests.core.faulty_urls")
    def test_a_view_that_breaks_tells_nothing(self, api: Api, path: str) -> None:
        answer = api.get(path)

        assert_refused(answer, 500, "internal_error")
        assert "hunter2" not in str(answer.body)

    def test_a_browser_elsewhere_gets_no_leave(self, db: None) -> None:
        response = Client().options(
            SEND, headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        )

        assert not response.has_header("Access-Control-Allow-Origin")


class TestDatabaseDown:
    @pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("closed")])
    def test_asks_to_come_back(self, api: Api, monkeypatch: pytest.MonkeyPatch, error: DatabaseError) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(connection, "cursor", _raising(error))
            answer = api.post(SEND, mail())

        assert_refused(answer, 503, "temporarily_unavailable")
        assert answer.headers["Retry-After"] == "5"


def _raising(error: Exception) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        raise error

    return call


class TestRequestId:
    def test_is_made_where_none_is_given(self, api: Api) -> None:
        assert CANONICAL_ID.fullmatch(api.get(LIMITS).headers["X-Request-Id"])

    def test_is_the_callers_where_it_is_harmless(self, api: Api) -> None:
        assert api.get(LIMITS, X_Request_Id="order-12.a_B").headers["X-Request-Id"] == "order-12.a_B"

    @pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", "é"])
    def test_is_ours_where_the_callers_is_not(self, api: Api, given: str) -> None:
        assert CANONICAL_ID.fullmatch(api.get(LIMITS, X_Request_Id=given).headers["X-Request-Id"])

    def test_stands_in_the_body_of_a_refusal(self, world: World) -> None:
        answer = Api(None).get(LIMITS, X_Request_Id="mine")

        assert answer.body["requestId"] == "mine"


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/png", "*/*", ""])
def test_answers_json_whatever_is_accepted(api: Api, accept: str) -> None:
    answer = api.get(LIMITS, Accept=accept)

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")


def test_answers_are_kept_out_of_caches(api: Api) -> None:
    assert api.get(LIMITS).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("headers", [{"Range": "bytes=0-1"}, {"If_None_Match": '"\\'}, {"Expect": "100-continue"}])
def test_headers_about_other_things_change_nothing(api: Api, headers: dict[str, str]) -> None:
    assert api.get(LIMITS, **headers).status == 200
