"""Seals secrets at rest and derives the keys of signed tokens, both from FIELD_KEYS (never from SECRET_KEY)."""

import hashlib
import hmac
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class SealBroken(Exception):
    """A sealed value does not open: wrong FIELD_KEYS, or it was moved from another row."""


def seal(secret: str, *, bound_to: str) -> str:
    """Encrypts a secret for storage. `bound_to` names its row, so that it cannot be swapped with another's."""
    return _box(tuple(settings.FIELD_KEYS)).encrypt(f"{bound_to}\0{secret}".encode()).decode()


def unseal(sealed: str, *, bound_to: str) -> str:
    """Opens what `seal` closed. Raises SealBroken."""
    try:
        owner, _, secret = _box(tuple(settings.FIELD_KEYS)).decrypt(sealed.encode()).decode().partition("\0")
    except InvalidToken as error:
        raise SealBroken("none of FIELD_KEYS opens this value") from error
    if owner != bound_to:
        raise SealBroken(f"this value belongs to {owner}, not to {bound_to}")
    return secret


def derived_keys(purpose: str) -> list[bytes]:
    """One 32-byte key per entry of FIELD_KEYS, the current one first: sign with the first, accept any."""
    return [hmac.digest(key.encode(), purpose.encode(), hashlib.sha256) for key in settings.FIELD_KEYS]


@cache
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
