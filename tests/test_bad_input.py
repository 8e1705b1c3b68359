"""Wrong types and texts in every field of every request, found in the serializers themselves.

A field that is new is tested from its first day; a kind of field that is new fails here until it is described.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from rest_framework import serializers

from apps.batches.api.requests import BatchRequest, ItemsField, TemplateBatchRequest
from apps.core import clock
from apps.core.api.serializers import (
    DurationField,
    StrictBooleanField,
    StrictCharField,
    TimeField,
    WholeNumberField,
)
from apps.domains.api.serializers import DomainRequest
from apps.keys.api.fields import BodyField, ObjectField
from apps.messages.api.fields import AddressField, AddressListField, TextMapField
from apps.messages.api.requests import SendRequest, TemplateSendRequest
from apps.otp.api.requests import CodeField, OtpSendRequest, OtpVerifyRequest
from apps.scheduled.api.requests import AroundRequest
from apps.templates.api.serializers import TemplateRequest
from tests import stored
from tests.batches.making import BATCH, TEMPLATE_BATCH, batch, item, template_batch
from tests.client import DOMAINS, SEND, SEND_TEMPLATE, TEMPLATES, Api, mail
from tests.conftest import World
from tests.factories import make_key
from tests.otp.conftest import OTP_SEND, OTP_VERIFY
from tests.otp.conftest import request as otp_request
from tests.scheduled.making import SCHEDULED

NOT_TEXT: list[Any] = [0, 12, -1, 1.5, 2**63, 2**64, True, [], ["x"], {}, {"x": "y"}]
NOT_AN_OBJECT: list[Any] = ["x", "", 1, True, [], ["x"]]
NOT_A_LIST: list[Any] = ["x", "", 1, True, {}, {"0": {}}]
WRONG: dict[type[serializers.Field], list[Any]] = {
    CodeField: [*NOT_TEXT, "", "x", "123", "12345678901"],
    ItemsField: [*NOT_A_LIST, []],
    StrictCharField: NOT_TEXT,
    StrictBooleanField: ["yes", "true", "false", "", 0, 1, 1.0, [], {}],
    serializers.ChoiceField: ["", "nothing of ours", 0, 1, True, [], {}],
    AddressField: [0, 1, True, [], ["a@example.com"], {}],
    AddressListField: [0, 1, True, {}, [None], [1], [True], [[]]],
    TextMapField: [*NOT_AN_OBJECT, {"a": 1}, {"a": None}, {"a": True}, {"a": []}, {"a": {}}],
    ObjectField: NOT_AN_OBJECT,
    TimeField: ["", "now", "2026-05-12", "2026-05-12T09:00:00", 0, 1_800_000_000, 1.5, True, [], {}],
    DurationField: [0, 1, 1.5, 2**63, True, [], {}, "x", "", "10"],
    WholeNumberField: [0, 1.5, 2**63, True, [], {}, "x", "", "6"],
    serializers.ListField: [*NOT_A_LIST, [None], ["x"], [1], [[]]],
    serializers.ListSerializer: [*NOT_A_LIST, [None], ["x"], [1], [[]]],
    serializers.Serializer: NOT_AN_OBJECT,
}
# In any text: what ends a line for somebody, what reorders it, what cannot be stored.
BAD_IN_A_LINE = ["\0", "\x01", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x7f", "\x85", "\u2028", "\u2029"]
BAD_IN_A_BODY = ["\x01", "\x08", "\x0b", "\x0e", "\x1f", "\x7f"]
WHOLE: dict[str, Callable[[], dict[str, Any]]] = {
    SEND: mail,
    SEND_TEMPLATE: lambda: {"template": "welcome", "from": "shop@shop.example", "to": "ada@example.com"},
    SCHEDULED: lambda: {"sendAt": clock.wire_time(clock.now() + timedelta(days=1)), "message": mail()},
    BATCH: lambda: batch(item()),
    TEMPLATE_BATCH: lambda: template_batch({"to": "ada@example.com", "data": {}}),
    OTP_SEND: otp_request,
    OTP_VERIFY: lambda: {"to": "ada@example.com", "purpose": "login", "code": "123456"},
    TEMPLATES: lambda: {"name": "Welcome", "slug": "welcome", "subject": "Hi", "text": "Hi"},
    DOMAINS: lambda: {"domain": "ex.example"},
}
# Enough of the rest that only the tested field is wrong.
AROUND = {
    "attachments": lambda inner: {"attachments": [{"assetId": "x", "filename": "a.pdf"} | inner]},
    "tracking": lambda inner: {"tracking": inner},
    "simulation": lambda inner: {"simulation": inner},
}
NO_LINE = {
    "attachments.assetId",
    "attachments.uploadId",
    "template",
    "versionId",
    "challengeId",
}  # names that are looked up and never written anywhere


class Place(NamedTuple):
    """A field of a request, where it stands, and how a body with a value in it is made."""

    address: str
    path: str
    field: serializers.Field

    def body(self, value: Any) -> dict[str, Any]:
        whole = WHOLE[self.address]()
        outer, dot, inner = self.path.partition(".")
        return whole | (AROUND[outer]({inner: value}) if dot else {self.path: value})


def places(address: str, fields: dict[str, serializers.Field], above: str = "") -> Iterator[Place]:
    for name, field in fields.items():
        yield Place(address, f"{above}{name}", field)
        inner = getattr(field, "child", field)
        # What is wrong with an item of a batch refuses that item alone, and is tested with batches.
        if isinstance(inner, serializers.Serializer) and not isinstance(field, ItemsField):
            yield from places(address, inner.fields, f"{above}{name}.")


PLACES = [
    *places(SEND, SendRequest().fields),
    *places(SEND_TEMPLATE, TemplateSendRequest().fields),
    # What is in the message is read as every request to send is; tests/scheduled has its paths.
    *places(SCHEDULED, AroundRequest().fields),
    Place(SCHEDULED, "message", SendRequest()),
    *places(BATCH, BatchRequest().fields),
    *places(TEMPLATE_BATCH, TemplateBatchRequest().fields),
    *places(OTP_SEND, OtpSendRequest().fields),
    *places(OTP_VERIFY, OtpVerifyRequest().fields),
    *places(TEMPLATES, TemplateRequest().fields),
    *places(DOMAINS, DomainRequest().fields),
]
# An object of any shape, with tests of its own in tests/otp/.
PLACES = [place for place in PLACES if place.path != "metadata"]
TEXTS = [place for place in PLACES if isinstance(place.field, StrictCharField)]


@pytest.fixture
def api(world: World) -> Api:
    """With a test key, so that the fields for test keys are refused for their values alone."""
    return Api(make_key(world.owner.workspace, is_test=True)[1])


def wrong_values(field: serializers.Field) -> list[Any]:
    kind = next(kind for kind in WRONG if isinstance(field, kind))
    return WRONG[kind] if field.allow_null else [*WRONG[kind], None]


def assert_refused(api: Api, place: Place, value: Any) -> None:
    before = stored.everything()

    answer = api.post(place.address, place.body(value))

    assert (answer.status, answer.code) == (400, "validation_error"), (place.path, value)
    assert [name for name in answer.fields if name.partition(".")[0] != place.path.partition(".")[0]] == []
    assert stored.everything() == before


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place.address} {place.path}")
def test_refuses_other_types(api: Api, place: Place) -> None:
    for value in wrong_values(place.field):
        assert_refused(api, place, value)


@pytest.mark.parametrize("place", TEXTS, ids=lambda place: f"{place.address} {place.path}")
def test_refuses_characters_that_are_no_text(api: Api, place: Place) -> None:
    for char in BAD_IN_A_BODY if isinstance(place.field, BodyField) else BAD_IN_A_LINE:
        if place.path not in NO_LINE or char == "\0":
            assert_refused(api, place, f"a{char}b")


@pytest.mark.parametrize("place", TEXTS, ids=lambda place: f"{place.address} {place.path}")
def test_refuses_what_nobody_can_see(api: Api, place: Place) -> None:
    if isinstance(place.field, BodyField) or place.path == "idempotencyKey":
        return  # an empty text is no content, and a key has rules of its own
    for text in ("", " ", "\u00a0", "\u3000", "\u200b", " \u2060 "):
        assert_refused(api, place, text)


@pytest.mark.parametrize("place", TEXTS, ids=lambda place: f"{place.address} {place.path}")
def test_refuses_texts_beyond_their_length(api: Api, place: Place) -> None:
    if isinstance(place.field, BodyField):
        return  # the limit of the two together is tested with them
    limit = place.field.max_length or 255
    assert_refused(api, place, "x" * (limit + 1))
    assert_refused(api, place, "x" * 1_000_000)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place.address} {place.path}")
def test_refuses_deep_and_long_structures(api: Api, place: Place) -> None:
    deep: Any = "x"
    for _ in range(30):
        deep = [deep]
    if not isinstance(place.field, ItemsField):  # of a batch it is one bad item
        assert_refused(api, place, deep)
    if not isinstance(place.field, ObjectField):  # an object is what it takes
        assert_refused(api, place, {str(number): "x" for number in range(1_001)})


@pytest.mark.parametrize("name", ["__proto__", "constructor", "__class__", "id", "workspaceId", "status", "domainId"])
@pytest.mark.parametrize("address", WHOLE)
def test_refuses_fields_that_are_not_the_callers(api: Api, address: str, name: str) -> None:
    assert_refused(api, Place(address, name, StrictCharField()), "x")


@pytest.mark.parametrize("outer", ["tracking", "simulation", "attachments"])
def test_refuses_unknown_fields_further_in(api: Api, outer: str) -> None:
    assert_refused(api, Place(SEND, f"{outer}.unknown", StrictCharField()), "x")
