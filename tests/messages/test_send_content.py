"""Subjects, texts, headers and what else a message carries: stored as given, or refused by the field's name."""

import json
from typing import Any

import pytest

from apps.messages.models import Message, MessageContent
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import SEND, Api, mail
from tests.conftest import World
from tests.factories import make_key

SUBJECTS_KEPT = {
    "one character": "x",
    "998 characters": "x" * 998,
    "998 characters beyond ASCII": "ü" * 998,
    "an encoded word": "=?utf-8?q?x?=",
    "an emoji": "😀",
    "a lone combining mark": "\u0301",
    "1,000 bytes of marks": "a" + "\u0301" * 500,
    "not composed": "u\u0308ber",
    "spaces around": " Your order ",
    "braces": "{{ name }} {% x %} %s \\",
}
LINE_BREAKERS = {
    "CRLF": "a\r\nBcc: b@example.com",
    "CR": "a\rb",
    "LF": "a\nb",
    "VT": "a\x0bb",
    "FF": "a\x0cb",
    "tab": "a\tb",
    "ESC": "a\x1bb",
    "DEL": "a\x7fb",
    "NEL": "a\x85b",
    "LS": "a\u2028b",
    "PS": "a\u2029b",
}
BLANK = {
    "nothing": "",
    "spaces": "   ",
    "no-break spaces": "\u00a0\u00a0",
    "ideographic": "\u3000",
    "zero width": "\u200b\u200b",
}
BODIES_KEPT = {
    "a lone dot": "before\n.\nafter",
    "a dot at the start": ".x",
    "a bare CR": "a\rb",
    "CRLF": "a\r\nb\r\n",
    "a From line": "From here\n",
    "8-bit": "äöü ß 日本語",
    "a form feed": "a\x0cb",
    "U+2028": "a\u2028b",
    "a tab": "a\tb",
    "a line of 100,000 characters": "x" * 100_000,
    "a megabyte": "<p>" + "x" * 1_000_000 + "</p>",
    "tags that do things": "<base href=x><form><script>alert(1)</script><b>unclosed &nosuch;",
}
RESERVED_HEADERS = [
    *("From", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID", "Reply-To", "Sender", "Return-Path", "from", "BCC"),
    *("Received", "Received-SPF", "DKIM-Signature", "ARC-Seal", "Content-Type", "Content-Transfer-Encoding"),
    *("MIME-Version", "Resent-From", "Authentication-Results", "X-StackShift-Id", "x-stackshift-anything"),
]
BAD_HEADERS: dict[str, Any] = {
    "no object": "X-A: 1",
    "a list": ["X-A: 1"],
    "a number": 1,
    "a number as value": {"X-A": 1},
    "a list as value": {"X-A": ["1"]},
    "null as value": {"X-A": None},
    "no name": {"": "1"},
    "a name with a colon": {"X-A:": "1"},
    "a name with a space": {"X A": "1"},
    "a name with an underscore": {"X_A": "1"},
    "a name with a line end": {"X-A\r\nBcc": "1"},
    "a name beyond ASCII": {"X-Ä": "1"},
    "a name of 61 characters": {"X" * 61: "1"},
    "a value with a line end": {"X-A": "1\r\nBcc: b@example.com"},
    "a value with NEL": {"X-A": "1\x85"},
    "a value of 999 bytes": {"X-A": "x" * 999},
    "a value of 998 characters and more bytes": {"X-A": "ü" * 998},
    "51 headers": {f"X-{number}": "1" for number in range(51)},
    "16 KiB together": {f"X-{number}": "x" * 990 for number in range(20)},
    "one header twice": {"X-A": "1", "x-a": "2"},
}
BAD_TAGS: dict[str, Any] = {
    "no object": ["a"],
    "51 tags": {str(number): "x" for number in range(51)},
    "an empty name": {"": "x"},
    "a name of 129 characters": {"x" * 129: "x"},
    "a text of 513 characters": {"a": "x" * 513},
    "a number": {"a": 1},
    "null": {"a": None},
    "an object": {"a": {}},
}


def content(workspace: Workspace) -> MessageContent:
    return MessageContent.objects.get(message__workspace=workspace)


def assert_refused(api: Api, field: str, **changes: Any) -> None:
    before = stored.everything()

    answer = api.post(SEND, mail() | changes)

    assert (answer.status, answer.code) == (400, "validation_error")
    assert [name for name in answer.fields if name.partition(".")[0] != field] == []
    assert stored.everything() == before


class TestSubject:
    @pytest.mark.parametrize("subject", SUBJECTS_KEPT.values(), ids=SUBJECTS_KEPT)
    def test_is_kept_as_given(self, api: Api, workspace: Workspace, subject: str) -> None:
        assert api.post(SEND, mail(subject=subject)).status == 202
        assert Message.objects.of(workspace.pk).get().subject == subject

    @pytest.mark.parametrize("subject", [*LINE_BREAKERS.values(), "x" * 999, "x" * 100_000], ids=lambda s: repr(s[:12]))
    def test_is_refused(self, api: Api, subject: str) -> None:
        assert_refused(api, "subject", subject=subject)

    @pytest.mark.parametrize("subject", BLANK.values(), ids=BLANK)
    def test_is_not_blank(self, api: Api, subject: str) -> None:
        assert_refused(api, "subject", subject=subject)


class TestTexts:
    @pytest.mark.parametrize("body", BODIES_KEPT.values(), ids=BODIES_KEPT)
    @pytest.mark.parametrize("part", ["html", "text"])
    def test_are_kept_as_given(self, api: Api, workspace: Workspace, part: str, body: str) -> None:
        assert api.post(SEND, mail(text=None) | {part: body}).status == 202
        assert getattr(content(workspace), part) == body

    @pytest.mark.parametrize("char", ["\x01", "\x08", "\x0b", "\x1b", "\x7f"])
    @pytest.mark.parametrize("part", ["html", "text"])
    def test_hold_no_control_characters(self, api: Api, part: str, char: str) -> None:
        assert_refused(api, part, **{part: f"a{char}b"})

    @pytest.mark.parametrize("changes", [{}, {"html": ""}, {"text": "", "html": ""}, {"text": None, "html": None}])
    def test_are_needed(self, api: Api, changes: dict[str, Any]) -> None:
        before = stored.everything()

        answer = api.post(SEND, mail(text=None) | changes)

        assert (answer.status, answer.fields) == (400, {"text": ["give text, html or both"]})
        assert stored.everything() == before

    def test_are_absent_where_they_are_empty(self, api: Api, workspace: Workspace) -> None:
        api.post(SEND, mail(text="", html="<p>x</p>"))

        assert (content(workspace).text, content(workspace).html) == (None, "<p>x</p>")

    def test_have_at_most_ten_million_bytes_together(self, api: Api) -> None:
        before = stored.everything()

        answer = api.post(SEND, _as_utf_8(mail(text="x" * 5_000_000, html="ü" * 2_500_001)))

        assert (answer.status, answer.code) == (413, "payload_too_large")
        assert set(answer.fields) == {"html", "text"}
        assert stored.everything() == before

    def test_may_have_ten_million_bytes_together(self, api: Api) -> None:
        body = _as_utf_8(mail(text="x" * 5_000_000, html="ü" * 2_500_000))

        assert api.post(SEND, body).status == 202


class TestHeaders:
    def test_are_kept_as_given(self, api: Api, workspace: Workspace) -> None:
        headers = {"X-Order": "12", "List-Unsubscribe": "<https://shop.example/u>", "x-Name": "Zoë"}

        assert api.post(SEND, mail(headers=headers)).status == 202
        assert content(workspace).headers == headers

    @pytest.mark.parametrize("name", RESERVED_HEADERS)
    def test_of_the_platform_are_refused(self, api: Api, name: str) -> None:
        assert_refused(api, "headers", headers={name: "x"})

    @pytest.mark.parametrize("headers", BAD_HEADERS.values(), ids=BAD_HEADERS)
    def test_are_refused(self, api: Api, headers: Any) -> None:
        assert_refused(api, "headers", headers=headers)

    @pytest.mark.parametrize("value", LINE_BREAKERS.values(), ids=LINE_BREAKERS)
    def test_hold_one_line(self, api: Api, value: str) -> None:
        assert_refused(api, "headers", headers={"X-A": value})

    def test_may_be_fifty(self, api: Api) -> None:
        assert api.post(SEND, mail(headers={f"X-{number}": "x" * 100 for number in range(50)})).status == 202


class TestTags:
    def test_keep_names_that_are_the_callers(self, api: Api, workspace: Workspace) -> None:
        tags = {"orderID": "1", "snake_case": "2", "__proto__": "3", "ä 😀": "", "a.b": "x" * 512}

        assert api.post(SEND, mail(tags=tags)).status == 202
        assert Message.objects.of(workspace.pk).get().tags == tags

    @pytest.mark.parametrize("tags", BAD_TAGS.values(), ids=BAD_TAGS)
    def test_are_refused(self, api: Api, tags: Any) -> None:
        assert_refused(api, "tags", tags=tags)


class TestStream:
    @pytest.mark.parametrize("stream", ["marketing", "a_b-1", "x" * 80])
    def test_is_kept(self, api: Api, workspace: Workspace, stream: str) -> None:
        api.post(SEND, mail(stream=stream))

        assert Message.objects.of(workspace.pk).get().stream == stream

    @pytest.mark.parametrize("stream", ["", "a b", "a/b", "ä", "x" * 81, " a", "a\n", 1, 1.5, True, [], {}, None])
    def test_is_refused(self, api: Api, stream: Any) -> None:
        assert_refused(api, "stream", stream=stream)


class TestTracking:
    @pytest.mark.parametrize("tracking", [{}, {"opens": True}, {"clicks": False}, {"opens": False, "clicks": True}])
    def test_is_taken(self, api: Api, tracking: dict[str, bool]) -> None:
        assert api.post(SEND, mail(tracking=tracking)).status == 202

    @pytest.mark.parametrize("value", ["yes", "true", 1, 0, [], {}, None])
    @pytest.mark.parametrize("name", ["opens", "clicks"])
    def test_takes_true_and_false_only(self, api: Api, name: str, value: Any) -> None:
        assert_refused(api, "tracking", tracking={name: value})


class TestSimulation:
    @pytest.mark.parametrize("scenario", ["delivered", "delayed", "bounced", "complained"])
    def test_works_with_a_test_key(self, world: World, scenario: str) -> None:
        api = Api(make_key(world.owner.workspace, is_test=True)[1])

        answer = api.post(SEND, mail(simulation={"scenario": scenario}))

        assert answer.status == 202
        assert MessageContent.objects.get(message_id=answer.data["id"]).scenario == scenario

    def test_needs_a_test_key(self, api: Api) -> None:
        assert_refused(api, "simulation", simulation={"scenario": "bounced"})

    @pytest.mark.parametrize(
        "simulation", [{}, {"scenario": "Bounced"}, {"scenario": "bounced "}, {"scenario": 1}, [], "bounced", None]
    )
    def test_is_refused(self, api: Api, simulation: Any) -> None:
        assert_refused(api, "simulation", simulation=simulation)


class TestAttachments:
    def test_may_be_an_empty_list(self, api: Api) -> None:
        assert api.post(SEND, mail(attachments=[])).status == 202

    def test_name_an_asset_of_the_workspace(self, api: Api) -> None:
        before = stored.everything()

        answer = api.post(SEND, mail(attachments=[{"assetId": "x", "filename": "a.pdf"}]))

        assert (answer.status, answer.code) == (400, "attachment_not_found")
        assert list(answer.fields) == ["attachments.0.assetId"]
        assert stored.everything() == before

    @pytest.mark.parametrize(
        "attachments",
        [
            [{}],
            [1],
            "a.pdf",
            {"assetId": "x", "filename": "a.pdf"},
            [{"assetId": "x"}],
            [{"assetId": 1, "filename": "a.pdf"}],
            [{"assetId": "x", "filename": "a\r\n.pdf"}],
            [{"assetId": "x", "filename": "x" * 256}],
            [{"assetId": "x", "filename": "a.pdf", "content": "aGk="}],
            [{"assetId": "x", "filename": "a.pdf", "contentType": "text/html\r\nX: y"}],
        ],
        ids=lambda attachments: str(attachments)[:60],
    )
    def test_are_refused(self, api: Api, attachments: Any) -> None:
        assert_refused(api, "attachments", attachments=attachments)


def _as_utf_8(body: dict[str, Any]) -> bytes:
    """Without the escapes that would make the body larger than a request may be."""
    return json.dumps(body, ensure_ascii=False).encode()
