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
        envelope = json.dumps([door, sorted(self.recipients)]).encode()
        return hashlib.sha256(envelope + b"\0" + self.raw).hexdigest()
