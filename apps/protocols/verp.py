"""Return paths that name the recipient and prove that we made them (VERP, with a MAC as in BATV).

Anyone may write to a bounce address; only one that we signed may touch a recipient.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from uuid import UUID

from apps.protocols.address import canonical_domain

_PREFIX = "b-"
_ID_OCTETS = 16
# 112 bits, so that id and MAC are 30 octets and base32 needs no padding: 48 characters, one spelling each.
_MAC_OCTETS = 14
# Base32 survives hosts that fold the case of the local part. ASCII is spelt out here because `lower` and
# IGNORECASE would let the Kelvin sign pass as a k.
_LOCAL = re.compile(r"[Bb]-([A-Za-z2-7]{48})")


def make(recipient_id: UUID, *, secret: bytes, host: str) -> str:
    """Return the envelope sender for one recipient; 50 octets before the @."""
    token = base64.b32encode(recipient_id.bytes + _mac(recipient_id.bytes, secret)).decode("ascii").lower()
    return f"{_PREFIX}{token}@{canonical_domain(host)}"


def is_in_form(address: str) -> bool:
    """Whether it looks like a return path of ours, so that one that we did not sign is a forgery and no mistake."""
    return _LOCAL.fullmatch(address.partition("@")[0]) is not None


def read(address: str, *, secrets: Sequence[bytes]) -> UUID | None:
    """Return the recipient that a return path names, or None when none of our secrets signed it."""
    local, at, _ = address.partition("@")
    found = _LOCAL.fullmatch(local)
    if not at or not found:
        return None
    octets = base64.b32decode(found[1].upper())
    recipient, mac = octets[:_ID_OCTETS], octets[_ID_OCTETS:]
    if any(hmac.compare_digest(mac, _mac(recipient, secret)) for secret in secrets):
        return UUID(bytes=recipient)
    return None


def _mac(recipient: bytes, secret: bytes) -> bytes:
    if not secret:
        raise ValueError("a return path needs a secret")
    # The label keeps this MAC apart from every other use of the same secret.
    return hmac.digest(secret, b"return-path\0" + recipient, hashlib.sha256)[:_MAC_OCTETS]
