"""The docs name what the code has."""

from pathlib import Path

from apps.protocols.doctor import Diagnosis

DOCS = Path(__file__).parent.parent / "docs"


def test_every_diagnosis_is_explained() -> None:
    text = (DOCS / "domains.md").read_text()

    assert [word.value for word in Diagnosis if f"`{word.value}`" not in text] == []
