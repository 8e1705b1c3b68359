"""Verifies DKIM signatures (RFC 6376; RFC 8301 for what is too weak, RFC 8463 for Ed25519)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import time
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from apps.protocols.authentication.types import Signature, Verdict
from apps.protocols.dkim import relaxed_body, relaxed_value
from apps.protocols.dns import Outcome
from apps.protocols.doctor.findings import Look
from apps.protocols.tags import parse_tags

# A mail has one or two; each costs a look-up and a hash of the whole body.
MAX_SIGNATURES = 5
MAX_FIELDS = 2_000
_MIN_BITS = 1024
_LINE_END = re.compile(rb"\r?\n")
_B = re.compile(rb"(^|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*")
_NEEDED = ("v", "a", "b", "bh", "d", "h", "s")

Field = tuple[bytes, bytes]  # lower-case name, the field as it stands, without its last CRLF


class _Bad(Exception):
    """The signature is not one that vouches for anything."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict, self.reason = verdict, reason


def verify(raw: bytes, look: Look) -> tuple[Signature, ...]:
    """The verdict about each of the first signatures."""
    # Pipes hand over mail with the line ends of the system; it was signed with those of the wire.
    message = raw if raw.count(b"\n") == raw.count(b"\r\n") else _LINE_END.sub(b"\r\n", raw)
    head, _, body = message.partition(b"\r\n\r\n")
    fields = _fields(head)
    signatures = [field for field in fields if field[0] == b"dkim-signature"][:MAX_SIGNATURES]
    return tuple(_verdict(field, fields, body, look) for field in signatures)


def _fields(head: bytes) -> list[Field]:
    unfolded: list[list[bytes]] = []
    for line in head.split(b"\r\n"):
        if line[:1] in (b" ", b"\t") and unfolded:
            unfolded[-1].append(line)
        elif len(unfolded) < MAX_FIELDS:
            unfolded.append([line])
    whole = (b"\r\n".join(lines) for lines in unfolded)
    return [(field.partition(b":")[0].rstrip(b" \t").lower(), field) for field in whole]


def _verdict(field: Field, fields: Sequence[Field], body: bytes, look: Look) -> Signature:
    tags = _tags(field)
    domain, selector = (tags or {}).get("d", "").lower()[:253], (tags or {}).get("s", "").lower()[:253]
    try:
        if tags is None or any(not tags.get(name) for name in _NEEDED):
            raise _Bad(Verdict.PERMERROR, "the signature cannot be read")
        _check(tags, domain)
        _check_body(tags, body)
        signed = _signed(tags, field, fields)
        _check_signature(tags, signed, _key(tags, domain, selector, look))
    except _Bad as bad:
        return Signature(bad.verdict, domain, bad.reason, selector)
    return Signature(Verdict.PASS, domain, "", selector)


def _tags(field: Field) -> dict[str, str] | None:
    value = field[1].partition(b":")[2].decode("ascii", "replace")
    # White space may stand between tags and inside of b=, bh= and h= (section 3.2).
    return parse_tags("".join(value.split())) if len(value) < 16_384 else None


def _check(tags: dict[str, str], domain: str) -> None:
    if tags["v"] != "1" or "." not in domain:
        raise _Bad(Verdict.PERMERROR, "the signature cannot be read")
    if tags["a"] not in {"rsa-sha256", "ed25519-sha256"}:
        # RFC 8301 section 3.1: SHA-1 proves nothing any more.
        raise _Bad(Verdict.POLICY, f"{tags['a'][:40]} is not accepted")
    identity = tags.get("i", f"@{domain}").rpartition("@")[2].lower()
    if identity != domain and not identity.endswith(f".{domain}"):
        raise _Bad(Verdict.PERMERROR, "i= is outside of d=")
    if "from" not in tags["h"].lower().split(":"):
        raise _Bad(Verdict.PERMERROR, "From is not signed")
    if (expires := tags.get("x", "")).isdigit() and int(expires[:15]) < time.time():
        raise _Bad(Verdict.FAIL, "the signature has expired")
    if "l" in tags:
        # Whatever was added behind is not signed, and would be shown all the same (section 8.2).
        raise _Bad(Verdict.POLICY, "it covers only a part of the body")


def _canonical(tags: dict[str, str]) -> tuple[bool, bool]:
    """Whether header and body are relaxed."""
    header, _, body = tags.get("c", "simple/simple").lower().partition("/")
    ways = {"simple": False, "relaxed": True}
    if header not in ways or (body or "simple") not in ways:
        raise _Bad(Verdict.PERMERROR, "c= cannot be read")
    return ways[header], ways[body or "simple"]


def _check_body(tags: dict[str, str], body: bytes) -> None:
    is_relaxed = _canonical(tags)[1]
    canonical = relaxed_body(body) if is_relaxed else body.rstrip(b"\r\n") + b"\r\n"
    if hashlib.sha256(canonical).digest() != _octets(tags["bh"]):
        raise _Bad(Verdict.FAIL, "the body was changed")


def _signed(tags: dict[str, str], own: Field, fields: Sequence[Field]) -> bytes:
    is_relaxed = _canonical(tags)[0]
    left: dict[bytes, list[bytes]] = {}
    for name, field in fields:
        left.setdefault(name, []).append(field)
    lines = []
    for name in tags["h"].lower().encode("ascii", "replace").split(b":")[:MAX_FIELDS]:
        # Section 5.4.2: from the last one up; one that is not there counts as nothing.
        if left.get(name):
            lines.append(_line(left[name].pop(), is_relaxed=is_relaxed) + b"\r\n")
    name, _, value = own[1].partition(b":")
    bare = name + b":" + _B.sub(rb"\1\2", value, count=1)
    return b"".join(lines) + _line(bare, is_relaxed=is_relaxed)


def _line(field: bytes, *, is_relaxed: bool) -> bytes:
    if not is_relaxed:
        return field
    name, _, value = field.partition(b":")
    return name.rstrip(b" \t").lower() + b":" + relaxed_value(value)


def _key(tags: dict[str, str], domain: str, selector: str, look: Look) -> rsa.RSAPublicKey | ed25519.Ed25519PublicKey:
    answer = look.txt(f"{selector}._domainkey.{domain}")
    if answer.status is Outcome.FAILED:
        raise _Bad(Verdict.TEMPERROR, f"the key could not be looked up: {answer.reason}")
    if not answer.values:
        raise _Bad(Verdict.PERMERROR, "there is no key")
    record = parse_tags(answer.values[0])
    if record is None or record.get("v", "DKIM1") != "DKIM1" or "p" not in record:
        raise _Bad(Verdict.PERMERROR, "the key's record cannot be read")
    if not record["p"]:
        raise _Bad(Verdict.FAIL, "the key was revoked")
    kind = tags["a"].partition("-")[0]
    if record.get("k", "rsa").lower() != kind or "sha256" not in record.get("h", "sha256").lower().split(":"):
        raise _Bad(Verdict.PERMERROR, "the key is for something else")
    if "s" in record.get("t", "").split(":") and tags.get("i", f"@{domain}").rpartition("@")[2].lower() != domain:
        raise _Bad(Verdict.PERMERROR, "the key is not for subdomains")
    return _loaded(kind, _octets(record["p"]))


def _loaded(kind: str, octets: bytes) -> rsa.RSAPublicKey | ed25519.Ed25519PublicKey:
    try:
        if kind == "ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(octets)
        key = serialization.load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        raise _Bad(Verdict.PERMERROR, "the key cannot be read") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise _Bad(Verdict.PERMERROR, "the key is for something else")
    if not _MIN_BITS <= key.key_size <= 8192:
        raise _Bad(Verdict.POLICY, f"a key of {key.key_size} bits is not accepted")
    return key


def _check_signature(tags: dict[str, str], signed: bytes, key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey) -> None:
    signature = _octets(tags["b"])
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            # RFC 8463 section 3: PureEdDSA over the hash.
            key.verify(signature, hashlib.sha256(signed).digest())
        else:
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise _Bad(Verdict.FAIL, "a signed header field was changed") from None


def _octets(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _Bad(Verdict.PERMERROR, "the signature cannot be read") from None
