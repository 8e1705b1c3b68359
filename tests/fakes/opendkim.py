"""Debian's OpenDKIM as a referee: it verifies messages as files, with keys from a file in the DNS's place."""

import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

OPENDKIM = Path("/usr/sbin/opendkim")
needs_opendkim = pytest.mark.skipif(not OPENDKIM.exists(), reason=f"there is no OpenDKIM at {OPENDKIM}")

_RESULT = re.compile(rb"dkim=(\w+)[^;]*?header\.s=([\w.-]+)")


def opendkim(messages: Sequence[bytes], published: Mapping[str, str]) -> list[dict[str, str]]:
    """For each message what became of its signatures, by selector. `published`: TXT values by name."""
    with tempfile.TemporaryDirectory(prefix="opendkim-") as name:
        folder = Path(name)
        keys = folder / "keys"
        keys.write_text("".join(f"{record} {value}\n" for record, value in published.items()))
        (folder / "conf").write_text(f"Mode v\nSyslog no\nAlwaysAddARHeader yes\nTestPublicKeys {keys}\n")
        return [_verdict(folder, message) for message in messages]


def _verdict(folder: Path, message: bytes) -> dict[str, str]:
    letter = folder / "letter.eml"
    letter.write_bytes(message)
    command = [str(OPENDKIM), "-f", "-x", str(folder / "conf"), "-vvvv", "-t", str(letter)]
    told = subprocess.run(command, capture_output=True, timeout=30, check=False).stdout
    return {selector.decode(): result.decode() for result, selector in _RESULT.findall(told)}
