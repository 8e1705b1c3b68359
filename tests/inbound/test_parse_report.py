"""`parse_report` prints what the reader of comparisons wants, and changes nothing."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.conftest import World

SAMPLES = Path(__file__).parents[1] / "data" / "reports"
EXPECTED = [json.loads(line) for line in (SAMPLES / "expected.jsonl").read_text().splitlines()]


def printed(*files: Path) -> list[dict]:
    out = StringIO()
    call_command("parse_report", *map(str, files), stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_each_report_is_a_line(world: World) -> None:
    lines = printed(*(SAMPLES / row["file"] for row in EXPECTED))

    assert [line["file"] for line in lines] == [row["file"] for row in EXPECTED]
    for line, row in zip(lines, EXPECTED, strict=True):
        assert line["kind"] == row["kind"], row["file"]
        assert {address.lower() for address in line["recipients"]} == {
            one["address"].lower() for one in row["recipients"]
        }


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "lines.eml").write_bytes(b"Subject: x\r\n\r\n" + b"\n" * 600_000)

    (line,) = printed(tmp_path / "lines.eml")

    assert (line["kind"], line["recipients"]) == ("not-a-bounce", [])
    assert "more than 500,000 lines" in line["note"]


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"missing\.eml cannot be read"):
        printed(tmp_path / "missing.eml")
