"""The sample reports of this project (written for it), and the shared corpus where it lies beside it."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from apps.protocols.reports.reader import read_report
from apps.protocols.reports.types import Report

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "tests/data/reports"
# Real mail, not part of the project: its tests exist only where it does.
CORPORA = next((up / "shared/corpora" for up in ROOT.parents[:2] if (up / "shared/corpora").exists()), None)


@dataclass(frozen=True)
class Sample:
    name: str
    kind: str
    recipients: list[dict[str, Any]]

    @property
    def raw(self) -> bytes:
        return (SAMPLES / self.name).read_bytes()


@cache
def samples() -> list[Sample]:
    lines = (SAMPLES / "expected.jsonl").read_text().splitlines()
    return [Sample(row["file"], row["kind"], row["recipients"]) for row in map(json.loads, lines)]


def read(name: str) -> Report:
    return read_report((SAMPLES / f"{name}.eml").read_bytes())
