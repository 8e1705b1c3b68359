"""The reader against real mail, to the figures of the corpus; without the corpus there is no such test."""

import json
from typing import Any

from apps.protocols.letters.reader import read_letter
from tests.protocols.reports.samples import CORPORA

# Of the rows whose value several other readers agree about, in per cent.
PROMISED = {"subject": 97.0, "attachment_count": 97.0, "from_address": 97.0, "attachment_names": 96.0}

if CORPORA is not None:
    FOLDER = CORPORA / "mime"
    ROWS: list[dict[str, Any]] = [json.loads(line) for line in (FOLDER / "manifest.jsonl").read_text().splitlines()]

    def squeezed(text: str | None) -> str:
        return " ".join((text or "").split())

    def test_mail_is_read_as_well_as_promised() -> None:
        right: dict[str, list[bool]] = {name: [] for name in PROMISED}
        for row in ROWS:
            letter = read_letter((FOLDER / row["file"]).read_bytes())
            assert not letter.fault, row["file"]
            if row["subject_scored"]:
                right["subject"].append(letter.subject == squeezed(row["subject"]))
            if row["attachment_count"] is not None:
                right["attachment_count"].append(len(letter.files) == row["attachment_count"])
            if row["attachment_names_scored"] and row["attachments"] is not None:
                names = [attachment["name"] or "" for attachment in row["attachments"]]
                right["attachment_names"].append([file.name for file in letter.files] == names)
            if row["from_address_scored"]:
                found = [one.email.lower() for one in letter.from_]
                right["from_address"].append(found == [address.lower() for address in row["from_address"]])

        figures = {name: 100 * sum(each) / len(each) for name, each in right.items()}
        assert {name: figure for name, figure in figures.items() if figure < PROMISED[name]} == {}
