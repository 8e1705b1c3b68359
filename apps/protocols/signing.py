"""Signatures of webhook requests: the product's own scheme, and that of Standard Webhooks beside it."""

import base64
import hashlib
import hmac
import secrets
import string

PREFIX = "whsec_"
# Letters and digits alone are valid in both alphabets of base64, so that a verifier of Standard Webhooks, which decodes
# what stands behind the prefix, reads the same key whichever alphabet it knows. 44 of them are 33 bytes, 262 bits.
ALPHABET, LENGTH = string.ascii_letters + string.digits, 44


def new_secret() -> str:
    return PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """`v1=<hex>`: HMAC-SHA256 over timestamp, dot and body, with the whole secret as it was given as its key.

    The published verifiers look at the first `v1` part alone and know lower case only.
    """
    digest = hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256).hexdigest()
    return f"v1={digest}"


def standard_signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,<base64>` as Standard Webhooks wants it: over id, timestamp and body; the key is the decoded secret."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"
