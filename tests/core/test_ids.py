"""Identifiers sort by the time of their making and have one spelling."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.core import clock
from apps.core.ids import first_id_at, new_id, parse_id

CANONICAL = "01975c5e-8d4a-7b3c-9d2e-0123456789ab"


def test_later_ids_sort_after_earlier_ones() -> None:
    made = [new_id() for _ in range(10_000)]

    assert made == sorted(made)
    assert len(set(made)) == 10_000


def test_an_id_is_a_uuid_of_version_7() -> None:
    assert new_id().version == 7


def test_the_first_id_of_a_time_divides_earlier_ids_from_later_ones() -> None:
    earlier, now, later = new_id(), clock.now(), new_id()

    assert first_id_at(now - timedelta(milliseconds=2)) < earlier
    assert later < first_id_at(now + timedelta(seconds=60))
    assert first_id_at(now) <= later


def test_the_first_id_of_a_time_is_the_smallest_with_its_milliseconds() -> None:
    # RFC 9562, appendix A.6: the same time with other random bits is 017f22e2-79b0-7cc3-98c4-dc0c0c07398f.
    moment = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    assert str(first_id_at(moment)) == "017f22e2-79b0-7000-8000-000000000000"
    assert str(first_id_at(datetime(1960, 1, 1, tzinfo=UTC))) == "00000000-0000-7000-8000-000000000000"


def test_the_canonical_form_is_read() -> None:
    assert str(parse_id(CANONICAL)) == CANONICAL


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "../x",
        CANONICAL.upper(),
        CANONICAL.replace("-", ""),
        f"{{{CANONICAL}}}",
        f"urn:uuid:{CANONICAL}",
        f"{CANONICAL} ",
        f"{CANONICAL}0",
        "x" * 1_000_000,
        "\0",
        "٣" * 36,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_other_forms_are_not(text: str) -> None:
    assert parse_id(text) is None
