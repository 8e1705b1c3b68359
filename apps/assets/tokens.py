"""Tokens in addresses that work without an API key: a row's id and a signature, of which nothing is stored."""

import base64
import hashlib
import hmac
import re
from typing import Literal
from uuid import UUID

from apps.core.crypto import derived_keys

Purpose = Literal["asset upload", "asset download"]
_TOKEN = re.compile(r"([A-Za-z0-9_-]{22})([A-Za-z0-9_-]{43})")


def write(purpose: Purpose, row_id: UUID) -> str:
    return _encode(row_id.bytes) + _encode(_sign(derived_keys(purpose)[0], row_id))


def read(purpose: Purpose, token: str) -> UUID | None:
    """The row that a token of ours names, or None."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    row_id = UUID(bytes=base64.urlsafe_b64decode(f"{match[1]}=="))
    # Compared as text, because the last character of Base64 can be written in several ways.
    given = [hmac.compare_digest(match[2], _encode(_sign(key, row_id))) for key in derived_keys(purpose)]
    return row_id if any(given) and _encode(row_id.bytes) == match[1] else None


def _sign(key: bytes, row_id: UUID) -> bytes:
    return hmac.digest(key, row_id.bytes, hashlib.sha256)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
