"""Requests for codes that cannot be meant, each refused with its field named and nothing stored."""

from typing import Any

import pytest

from tests import stored
from tests.client import Api
from tests.otp.conftest import OTP_SEND, request

BAD: list[tuple[str, list[Any]]] = [
    ("to", ["", "nobody", "a@b@c.example", "a@localhost", "a@127.0.0.1", "ada@example.com, eve@example.com", None]),
    ("to", [["ada@example.com"], [], {}, {"email": 1}, 7, True, "ada@example.com\r\nBcc: eve@evil.example"]),
    ("purpose", [None, "", " ", "\u200b", 7, [], {}, "x" * 65, "lo\ngin", "lo\x01gin", "x\u2028y", "\u202eabc"]),
    ("from", ["nobody", 7, [], ["a@shop.example"], {"name": "x"}]),
    ("expiresIn", ["0", "0m", "59s", "61m", "2h", "3601s", "600", "", " 10m", "10m ", "10 m", "10M", "1h30m", "-10m"]),
    ("expiresIn", [0, -1, 59, 3601, 10**9, 10**18, 600.0, 1e300, True, [], {}, "٦٠m", "1d", "10m\n", "9" * 1000 + "s"]),
    ("codeLength", [0, 3, 11, 100, -6, "6", 6.0, True, [], {}, [6], 10**18]),
    ("metadata", ["x", 7, True, [], [{}], {"x": "y" * 16_000}, {str(n): n for n in range(5_000)}]),
    ("idempotencyKey", ["", "   ", " x", "x" * 256, "ä", "a\tb", 7, [], {}]),
    ("subject", ["", " ", "x" * 201, "a\nb", "a\r\nBcc: eve@evil.example", 7, [], {}]),
    ("subject", ["{{code}} is your code", "{% code %}", "${code}", "See https://evil.example", "evil.example/x"]),
    ("subject", ["write to eve@evil.example", "www.evil", "go to evil．example", "=?utf-8?q?evil?=", "x\u202ey"]),
    (
        "subject",
        ["visit evil\u3002com", "evil\u200b.com", "evil\u00ad.com", "evil.\u200ccom", "go to 1.2.3.4/x", "//evil/x"],
    ),
    ("subject", ["Call +1 900 555 1234 now", "0900-123-4567", "evil\uff61com"]),
    ("brandName", ["", " ", "x" * 65, "a\nb", 7, [], {}, "https://evil.example", "evil.example", "eve@evil.example"]),
    ("brandName", ["You won! evil.example/win", "//evil.example", "Win: xn--evl-xyz.example", "shop.example.evil.com"]),
    ("simulation", ["delivered", {}, {"scenario": "nothing"}, {"scenario": ["bounced"]}, {"scenario": "bounced"}]),
    ("maxAttempts", [0, 1000]),
    ("code", ["123456"]),
    ("template", ["x"]),
]


@pytest.mark.parametrize(("name", "values"), BAD, ids=[f"{n}-{name}" for n, (name, _) in enumerate(BAD)])
def test_is_refused_with_its_field_and_stores_nothing(api: Api, name: str, values: list[Any]) -> None:
    before = stored.everything()

    for value in values:
        body = request() | {name: value}
        answer = api.post(OTP_SEND, body)
        assert (answer.status, answer.code) == (400, "validation_error"), value
        assert {field.partition(".")[0] for field in answer.fields} == {name}, value

    assert stored.everything() == before


@pytest.mark.parametrize("body", [None, b"", b"[]", b'"x"', b"{", b"null", b'{"to": "\\u0000"}', b'{"to": "\\ud800"}'])
def test_a_body_that_is_no_object_is_refused(api: Api, body: bytes | None) -> None:
    before = stored.everything()

    assert api.post(OTP_SEND, body).status == 400
    assert stored.everything() == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subject", "Your shop.example code"),
        ("subject", "Ihr Code für Größe 3.5 – heute um 12.30 Uhr"),
        ("subject", "Order 123456: your code"),
        ("brandName", "shop.example"),
        ("brandName", "St. John & Sons, Ltd."),
        ("brandName", "AT&T <3 {you}"),
        ("brandName", "x" * 64),
        ("purpose", "x" * 64),
        ("purpose", "Änderung: E-Mail-Adresse"),
        ("metadata", {}),
        ("metadata", {"a": [None, 1.5, {"b": "ü\n"}]}),
        ("codeLength", 4),
        ("codeLength", 10),
    ],
)
def test_what_can_be_meant_is_taken(api: Api, name: str, value: Any) -> None:
    assert api.post(OTP_SEND, request(**{name: value})).status == 202
