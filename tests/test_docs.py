"""The docs name what the code has."""

import re
import time
from pathlib import Path
from typing import Any

from apps.protocols.doctor import Diagnosis
from apps.protocols.signing import new_secret, signature
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


def test_every_error_of_a_webhook_is_explained() -> None:
    sources = [ROOT / "apps" / "core" / "http.py", *(ROOT / "apps" / "webhooks").rglob("*.py")]
    patterns = (r"NoReply\(\s*\"([a-z_]+)\"", r"return \"([a-z_]+)\", ", r"_failed\(parcel, \"([a-z_]+)\"")
    codes = {code for path in sources for pattern in patterns for code in re.findall(pattern, path.read_text())}
    text = (DOCS / "webhooks.md").read_text()

    assert len(codes) > 12
    assert {code for code in codes if f"`{code}`" not in text} == set()


def test_the_verification_that_is_shown_works() -> None:
    """As somebody would paste it."""
    text = (DOCS / "webhooks.md").read_text()
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0], names)
    secret, body, now = new_secret(), b'{"id":"1"}', int(time.time())
    headers = {"StackShift-Timestamp": str(now), "StackShift-Signature": signature(secret, now, body)}
    old = {"StackShift-Timestamp": str(now - 400), "StackShift-Signature": signature(secret, now - 400, body)}

    assert names["is_ours"](body, headers, secret) is True
    assert [
        names["is_ours"](body + b" ", headers, secret),
        names["is_ours"](body, headers, new_secret()),
        names["is_ours"](body, old, secret),
    ] == [False] * 3
