"""Mail as it came: octets and envelope."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

MAX_RECIPIENTS = 100


@dataclass(frozen=True, slots=True)
class Arrival:
    raw: bytes
    recipients: Sequence[str] = ()
    sender: str = ""

    def fingerprint(self, door: str) -> str:
        """The same for the same mail to the same recipients, whoever hands it over and how often."""
        return fingerprint_of(json.dumps([door, sorted(self.recipients)]), self.raw)


def fingerprint_of(envelope: str, raw: bytes) -> str:
    """SHA-256 of an envelope, of any form without NUL, and a mail."""
    digest = hashlib.sha256(envelope.encode() + b"\0")
    digest.update(raw)
    return digest.hexdigest()
