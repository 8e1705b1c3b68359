"""What cannot be scheduled is refused with its field named, and nothing of it is stored."""

from datetime import timedelta
from typing import Any

import pytest

from tests import stored
from tests.client import Api, mail
from tests.conftest import World
from tests.scheduled.making import SCHEDULED, at, later, make_scheduled
from tests.templates.making import make_template

DAY = timedelta(days=1)
NO_TIME: list[Any] = [
    *("", " ", "tomorrow", "now", "in 5 minutes", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "0" * 1_000),
    *("2026-05-12", "2026-05-12T09:00:00", "2026-05-12 09:00:00Z", "2026-05-12T09:00Z", "20260512T090000Z"),
    *("2026-05-12T25:00:00Z", "2026-05-12T09:00:00+25:00", "2026-05-12T09:00:00z\n", "٢٠٢٦-05-12T09:00:00Z"),
    *(0, 1_800_000_000, 1.5, -1, True, False, None, [], ["x"], {}, {"x": 1}),
]
OUT_OF_BOUNDS = [
    *(timedelta(seconds=-30), timedelta(hours=-1), -DAY, -365 * DAY),
    *(30 * DAY + timedelta(minutes=1), 31 * DAY, 365 * DAY),
]
FAR = ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"]
PAST = "2001-01-01T00:00:00Z"
TEMPLATE_SEND = {"template": "welcome", "from": "a@shop.example", "to": "ada@example.com", "data": {}}


def assert_refused(api: Api, body: Any, *fields: str) -> None:
    before = stored.everything()

    answer = api.post(SCHEDULED, body)

    assert (answer.status, answer.code) == (400, "validation_error"), body
    assert sorted(answer.fields) == sorted(fields)
    assert stored.everything() == before


def test_refuses_what_is_no_time(api: Api) -> None:
    for value in NO_TIME:
        assert_refused(api, later() | {"sendAt": value}, "sendAt")
    assert_refused(api, {"message": mail()}, "sendAt")


@pytest.mark.parametrize("moment", OUT_OF_BOUNDS, ids=str)
def test_refuses_times_out_of_bounds(api: Api, moment: timedelta) -> None:
    assert_refused(api, later(at(moment)), "sendAt")


@pytest.mark.parametrize("text", FAR)
def test_refuses_the_ends_of_time(api: Api, text: str) -> None:
    assert_refused(api, later(text), "sendAt")


@pytest.mark.parametrize("moment", [timedelta(0), timedelta(seconds=-2), timedelta(seconds=1), 30 * DAY], ids=str)
def test_takes_now_and_the_furthest_time(api: Api, moment: timedelta) -> None:
    assert api.post(SCHEDULED, later(at(moment))).status == 201


def test_takes_any_zone_and_tells_utc(api: Api) -> None:
    send_at = at(DAY)
    elsewhere = at(DAY + timedelta(hours=5, minutes=30)).replace("Z", "+05:30")

    assert api.post(SCHEDULED, later(elsewhere)).data["sendAt"][:19] == send_at[:19]


@pytest.mark.parametrize("value", [*NO_TIME, *FAR, PAST], ids=repr)
def test_refuses_to_move_to_no_time(world: World, value: Any) -> None:
    row = make_scheduled(world.owner.workspace)
    before = stored.everything()

    answer = world.owner.api.call("PATCH", f"{SCHEDULED}/{row.pk}", {"sendAt": value})

    assert (answer.status, list(answer.fields)) == (400, ["sendAt"])
    assert stored.everything() == before


@pytest.mark.parametrize("body", [{}, {"sendAt": PAST, "status": "sent"}, {"message": {}}, {"id": "x"}])
def test_moves_by_a_time_alone(world: World, body: dict[str, Any]) -> None:
    row = make_scheduled(world.owner.workspace)
    before = stored.everything()

    answer = world.owner.api.call("PATCH", f"{SCHEDULED}/{row.pk}", body)

    assert (answer.status, answer.code) == (400, "validation_error")
    assert stored.everything() == before


def test_takes_exactly_one_payload(api: Api) -> None:
    assert_refused(api, {"sendAt": at()}, "message")
    assert_refused(api, {"sendAt": at(), "message": None}, "message")
    assert_refused(api, {"sendAt": at(), "to": "ada@example.com", "data": {}}, "message")
    both = later() | {"template": TEMPLATE_SEND}
    assert_refused(api, both, "message", "template")
    assert_refused(api, {"sendAt": at(), "template": "a", "sendTemplate": {}}, "template", "sendTemplate")


@pytest.mark.parametrize("place", ["message", "template", "templateMessage", "sendTemplate"])
@pytest.mark.parametrize("value", [1, 1.5, True, [], ["x"], [[]]], ids=repr)
def test_refuses_payloads_of_other_types(api: Api, place: str, value: Any) -> None:
    assert_refused(api, {"sendAt": at(), place: value}, place)


@pytest.mark.parametrize("place", ["message", "templateMessage", "sendTemplate"])
def test_refuses_a_text_where_an_object_belongs(api: Api, place: str) -> None:
    assert_refused(api, {"sendAt": at(), place: "welcome"}, place)


def test_refuses_unknown_fields_by_name(api: Api) -> None:
    assert_refused(api, later() | {"sendat": "x"}, "sendat")
    assert_refused(api, later() | {"to": "ada@example.com"}, "to")
    assert_refused(api, later(sendAt=at()), "message.sendAt")
    assert_refused(api, {"sendAt": at(), "template": TEMPLATE_SEND, "data": {}}, "data")
    assert_refused(api, {"sendAt": at(), **TEMPLATE_SEND, "subject": "S"}, "subject")


def test_names_what_is_wrong_inside_by_its_path(api: Api) -> None:
    assert_refused(api, later(to="nobody"), "message.to")
    assert_refused(api, later(to=["ada@example.com", "nobody"]), "message.to.1")
    assert_refused(api, later(subject=None, text=None), "message.subject")
    assert_refused(api, later(text=""), "message.text")
    assert_refused(api, later(idempotencyKey="x" * 256), "message.idempotencyKey")
    assert_refused(api, later() | {"idempotencyKey": "x" * 256}, "idempotencyKey")
    assert_refused(api, later() | {"idempotencyKey": 12}, "idempotencyKey")
    assert_refused(api, later(simulation={"scenario": "bounced"}), "message.simulation")
    assert_refused(api, {"sendAt": at(), "sendTemplate": TEMPLATE_SEND | {"data": []}}, "sendTemplate.data")
    assert_refused(api, {"sendAt": at(), **TEMPLATE_SEND, "data": []}, "data")


def test_a_template_needs_a_sender_from_somewhere(api: Api, world: World) -> None:
    make_template(world.owner.workspace)
    wanted = {name: value for name, value in TEMPLATE_SEND.items() if name != "from"}

    assert_refused(api, {"sendAt": at(), "template": wanted}, "template.from")
    assert_refused(api, {"sendAt": at(), **wanted}, "from")


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b'"x"', b"{", b'{"sendAt": NaN}'])
def test_refuses_bodies_that_are_no_object(api: Api, raw: bytes) -> None:
    before = stored.everything()

    answer = api.post(SCHEDULED, raw)

    assert answer.status == 400
    assert stored.everything() == before


def test_an_id_that_is_none_is_not_found(api: Api) -> None:
    for text in (
        "x",
        "0",
        "%00",
        "a" * 1_000,
        "01890a5d-ac96-774b-bcce-b302099a8057",
        "01890A5D-AC96-774B-BCCE-B302099A8057",
    ):
        assert api.get(f"{SCHEDULED}/{text}").status == 404
        assert api.post(f"{SCHEDULED}/{text}/cancel").status == 404
        assert api.call("PATCH", f"{SCHEDULED}/{text}", {"sendAt": "x"}).status == 404
