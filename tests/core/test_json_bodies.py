"""What two parsers could read differently is refused, and so is what no parser should be given."""

import codecs
import gzip
import json
from typing import Any

import pytest
from django.test import override_settings

from apps.core.api.parsers import InvalidJSON, read
from apps.core.errors import Invalid
from apps.messages.models import Message
from apps.workspaces.models import Workspace
from tests.client import SEND, Api, mail
from tests.stored import everything

GOOD = json.dumps(mail()).encode()
NOT_JSON = {
    "a piece": b'{"a":',
    "two values": b"{} x",
    "single quotes": b"{'a':1}",
    "a comma too many": b'{"a":1,}',
    "a comment": b"{} // c",
    "a byte order mark": codecs.BOM_UTF8 + GOOD,
    "NaN": b'{"to":NaN}',
    "Infinity": b'{"to":Infinity}',
    "minus Infinity": b'{"to":-Infinity}',
    "a number beyond floats": b'{"to":1e999}',
    "5,000 digits": b'{"to":' + b"9" * 5_000 + b"}",
    "bytes that are not UTF-8": b'{"to":"\xff\xfe"}',
    "an overlong encoding": b'{"to":"\xc0\xaf"}',
    "UTF-16": json.dumps(mail()).encode("utf-16"),
    "100,000 arrays": b'{"to":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "100,000 objects": b'{"to":' * 100_000 + b"1" + b"}" * 100_000,
    "33 levels": b'{"to":' + b"[" * 33 + b"]" * 33 + b"}",
    "a key twice": b'{"to":"a@b.example","to":"c@b.example"}',
    "a key twice, further in": b'{"to":{"email":"a@b.example","email":"c@b.example"}}',
    "a control character": b'{"to":"a\nb"}',
}
NOT_AN_OBJECT = [b"null", b"[]", b'"x"', b"1", b"true", b"[{}]"]


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_refuses_what_is_not_json(api: Api, workspace: Workspace, body: bytes) -> None:
    answer = api.post(SEND, body)

    assert (answer.status, answer.code) == (400, "invalid_json")
    assert len(answer.body["message"]) < 200
    assert Message.objects.of(workspace.pk).count() == 0


def test_takes_no_body_for_an_empty_object(api: Api) -> None:
    answer = api.post(SEND, b"")

    assert (answer.status, set(answer.fields)) == (400, {"from", "to", "subject"})


@pytest.mark.parametrize("body", NOT_AN_OBJECT)
def test_refuses_what_is_not_an_object(api: Api, body: bytes) -> None:
    answer = api.post(SEND, body)

    assert (answer.status, answer.fields) == (400, {"body": ["must be a JSON object"]})


@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800", "\\udc00 and more", "\\udc00\\ud800"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"subject":"%s"}', "subject"),
        ('{"%s":"x"}', "body"),
        ('{"tags":{"a":"%s"}}', "tags.a"),
        ('{"tags":{"%s":"a"}}', "tags"),
        ('{"to":["a@b.example",{"email":"%s"}]}', "to.1.email"),
    ],
)
def test_refuses_text_that_cannot_be_stored(api: Api, body: str, field: str, escape: str) -> None:
    answer = api.post(SEND, (body % escape).encode())

    assert answer.status == 400
    assert list(answer.fields) == [field]


def test_reads_escaped_pairs_and_plain_letters_alike() -> None:
    assert read(b'{"a":"\\ud83d\\ude00"}') == read('{"a":"😀"}'.encode()) == {"a": "😀"}


def test_reads_32_levels() -> None:
    assert read(b'{"a":' + b"[" * 32 + b"]" * 32 + b"}")["a"]


def test_raises_what_callers_can_be_told() -> None:
    with pytest.raises(InvalidJSON):
        read(b"{")
    with pytest.raises(Invalid):
        read(b"[]")


@pytest.mark.parametrize("name", ["tooo", "__proto__", "constructor", "__class__", "sendat", "Subject", "reply_to"])
def test_refuses_an_unknown_field_by_name(api: Api, workspace: Workspace, name: str) -> None:
    answer = api.post(SEND, mail(**{name: 1}))

    assert (answer.status, answer.fields) == (400, {name: ["unknown field"]})
    assert Message.objects.of(workspace.pk).count() == 0


def test_names_no_more_than_twenty_unknown_fields(api: Api) -> None:
    answer = api.post(SEND, mail(**{f"x{number}": 1 for number in range(10_000)}))

    assert (answer.status, len(answer.fields)) == (400, 20)


def test_repeats_no_more_than_a_hundred_characters(api: Api) -> None:
    answer = api.post(SEND, mail(**{"x" * 5_000: 1}))

    assert list(answer.fields) == ["x" * 100]


def test_refuses_a_list_of_100_000(api: Api) -> None:
    answer = api.post(SEND, mail(to=["a@example.com"] * 100_000))

    assert (answer.status, answer.fields) == (400, {"to": ["must name at most 100 addresses"]})


class TestMediaType:
    @pytest.mark.parametrize(
        "content_type",
        [
            "",
            "text/plain",
            "text/json",
            "application/xml",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "application/json; charset=rot13",
            "application/json; charset=zlib",
            "application/json; charset=utf-16",
            "application/json; charset=unicode_escape",
            "application/json; charset=nope",
        ],
    )
    def test_refuses_others(self, api: Api, workspace: Workspace, content_type: str) -> None:
        answer = api.call("POST", SEND, GOOD, content_type=content_type)

        assert (answer.status, answer.code) == (415, "unsupported_media_type")
        assert Message.objects.of(workspace.pk).count() == 0

    @pytest.mark.parametrize(
        "content_type",
        ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
    )
    def test_takes_json_in_utf_8(self, api: Api, content_type: str) -> None:
        assert api.call("POST", SEND, GOOD, content_type=content_type).status == 202

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity"])
    def test_refuses_compressed_bodies(self, api: Api, encoding: str) -> None:
        answer = api.post(SEND, gzip.compress(GOOD), Content_Encoding=encoding)

        assert (answer.status, answer.code) == (415, "unsupported_media_type")


class TestSize:
    @override_settings(API_MAX_BODY_BYTES=1_000)
    @pytest.mark.parametrize(("size", "status"), [(1_000, 202), (1_001, 413)])
    def test_of_the_body_is_limited(self, api: Api, size: int, status: int) -> None:
        body = _padded(size)

        answer = api.post(SEND, body)

        assert answer.status == status

    @override_settings(API_MAX_BODY_BYTES=1_000)
    def test_is_counted_and_not_believed(self, api: Api, workspace: Workspace) -> None:
        answer = api.call("POST", SEND, _padded(5_000), headers={"Content-Length": "10"})

        assert answer.status in {400, 413}
        assert Message.objects.of(workspace.pk).count() == 0

    def test_over_the_limit_is_told_as_json(self, api: Api) -> None:
        answer = api.post(SEND, b" " * (12 * 1024 * 1024 + 1))

        assert (answer.status, answer.code) == (413, "payload_too_large")


def _padded(size: int) -> bytes:
    body: dict[str, Any] = mail(text="")
    body["text"] = "x" * (size - len(json.dumps(body)))
    return json.dumps(body).encode()


@pytest.mark.parametrize("item", [b"0", b"[]", b'{"a":{}}'], ids=["numbers", "lists", "objects"])
def test_refuses_more_values_than_any_request_has_before_it_looks_at_them(api: Api, item: bytes) -> None:
    before = everything()

    answer = api.post(SEND, b'{"to":[' + b",".join([item] * 200_001) + b"]}")

    assert (answer.status, answer.fields) == (400, {"body": ["has more than 200,000 values"]})
    assert everything() == before
