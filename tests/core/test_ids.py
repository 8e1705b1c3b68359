"""Identifiers sort by the time of their making and have one spelling."""

import pytest

from apps.core.ids import new_id, parse_id

CANONICAL = "01975c5e-8d4a-7b3c-9d2e-0123456789ab"


def test_later_ids_sort_after_earlier_ones() -> None:
    made = [new_id() for _ in range(10_000)]

    assert made == sorted(made)
    assert len(set(made)) == 10_000


def test_an_id_is_a_uuid_of_version_7() -> None:
    assert new_id().version == 7


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
