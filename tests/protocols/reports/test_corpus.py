"""The reader against real mail, to the figures of the corpus; without the corpus there are no such tests."""

import json
from importlib import util
from pathlib import Path
from typing import Any

from apps.protocols.reports.prediction import prediction
from apps.protocols.reports.reader import read_report
from tests.protocols.reports.samples import CORPORA

# What is promised for each figure of the scorer, in per cent.
PROMISED = {
    "kind": 97.0,
    "recipients (exact set)": 97.0,
    "class": 95.0,
    "status": 95.0,
    "disposition": 95.0,
    "no recipient on a non-bounce": 100.0,
}

if CORPORA is not None:
    BOUNCES, COMPLAINTS, OTHERS = CORPORA / "bounces", CORPORA / "arf", CORPORA / "mime"
    # Bounces that CPython has among its samples of MIME.
    BOUNCES_AMONG_OTHERS = {"cpython__msg_25.eml", "cpython__msg_43.eml"}

    def rows(folder: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]

    def shown(path: Path) -> dict[str, Any]:
        return prediction(read_report(path.read_bytes()))

    def test_bounces_are_read_as_well_as_promised() -> None:
        spec = util.spec_from_file_location("score_bounces", BOUNCES.parent / "score_bounces.py")
        assert spec is not None
        assert spec.loader is not None
        scorer = util.module_from_spec(spec)
        spec.loader.exec_module(scorer)
        manifest = rows(BOUNCES)

        tallies, _ = scorer.score(manifest, {row["file"]: shown(BOUNCES / row["file"]) for row in manifest})

        found = {name: tallies[name].pct() for name in PROMISED}
        assert {name: value for name, value in found.items() if value < PROMISED[name]} == {}

    def test_complaints_are_read_field_by_field() -> None:
        for row in rows(COMPLAINTS):
            told = shown(COMPLAINTS / row["file"])

            assert told["kind"] == "arf", row["file"]
            complaint = json.loads(json.dumps(told["arf"]))
            assert {name: complaint[name] for name in row["arf"]} == row["arf"], row["file"]

    def test_nobody_is_named_in_ordinary_mail() -> None:
        told = {path.name: shown(path) for path in sorted(OTHERS.glob("*.eml"))}

        assert {name for name, one in told.items() if one["recipients"]} <= BOUNCES_AMONG_OTHERS
