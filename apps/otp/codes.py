"""Codes, and the only form in which one is kept (ASVS 5.0, 6.5.2 - 6.5.4)."""

import hashlib
import hmac
import secrets
from uuid import UUID

from apps.core.crypto import derived_keys

PEPPER = "otp"
DEFAULT_LENGTH = 6


def new_code(length: int) -> str:
    """Decimal digits, each code as likely as any other; leading zeros belong to it."""
    return f"{secrets.randbelow(10**length):0{length}d}"


def hash_of(code: str, challenge_id: UUID) -> str:
    """Bound to its challenge, so that equal codes have different hashes and a copied hash is worth nothing."""
    return _hashed(derived_keys(PEPPER)[0], code, challenge_id)


def is_code(code: str, challenge_id: UUID, stored: str) -> bool:
    """Whether this is the code, in a time that tells nothing. An older key of FIELD_KEYS is as good as the current."""
    found = False
    for key in derived_keys(PEPPER):
        found |= hmac.compare_digest(_hashed(key, code, challenge_id), stored)
    return found


def _hashed(key: bytes, code: str, challenge_id: UUID) -> str:
    return hmac.digest(key, f"{challenge_id}\0{code}".encode(), hashlib.sha256).hex()
