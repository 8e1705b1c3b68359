"""The docs name what the code has."""

from pathlib import Path

from apps.protocols.doctor import Diagnosis
from apps.scheduled.waits import WaitCode

DOCS = Path(__file__).parent.parent / "docs"


def test_every_diagnosis_is_explained() -> None:
    text = (DOCS / "domains.md").read_text()

    assert [word.value for word in Diagnosis if f"`{word.value}`" not in text] == []


def test_every_wait_of_scheduled_mail_is_explained() -> None:
    text = (DOCS / "scheduled.md").read_text()

    assert [code.value for code in WaitCode if f"`{code.value}`" not in text] == []
