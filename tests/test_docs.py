"""The docs name what the code has."""

import re
from pathlib import Path

from apps.protocols.doctor import Diagnosis
from apps.scheduled.waits import WaitCode

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
INTERNAL = {"STACKSHIFT_ROLE"}  # one process of ours tells another


def test_every_diagnosis_is_explained() -> None:
    text = (DOCS / "domains.md").read_text()

    assert [word.value for word in Diagnosis if f"`{word.value}`" not in text] == []


def test_every_variable_is_explained() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "stackshift_mail").glob("*.py"))
    text = (DOCS / "configuration.md").read_text()

    names = set(re.findall(r"\benv_[a-z]+\(\"([A-Z_]+)\"", sources))

    assert len(names) > 20
    assert {name for name in names - INTERNAL if f"`{name}`" not in text} == set()


def test_every_wait_of_scheduled_mail_is_explained() -> None:
    text = (DOCS / "scheduled.md").read_text()

    assert [code.value for code in WaitCode if f"`{code.value}`" not in text] == []
