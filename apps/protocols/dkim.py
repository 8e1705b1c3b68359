"""Sign mail with DKIM (RFC 6376), by RSA or by Ed25519 (RFC 8463), and make the keys and their DNS records.

Always relaxed/relaxed, never with `l=` or `z=`: a body length would let anyone append to a signed mail.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from apps.protocols.address import canonical_domain

PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

RSA_BITS = 2048  # RFC 8301, 3.2

# Each is listed once more than it is present, so that adding another breaks the signature (RFC 6376, 8.15).
_OVERSIGNED = (
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Reply-To",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
)
# Only where we wrote one: a relay adds the first to multipart mail, where it says nothing, and lists and forwarders add
# the others; that must not cost the signature.
_SIGNED_IF_PRESENT = ("Content-Transfer-Encoding", "Sender", "In-Reply-To", "References", "List-Id", "Auto-Submitted")

_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_LINE = 72


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A loaded key and where its public half is published: `<selector>._domainkey.<domain>`."""

    domain: str
    selector: str
    private_key: PrivateKey

    def __post_init__(self) -> None:
        # RFC 8616, 4: the tags of a signature hold A-labels.
        object.__setattr__(self, "domain", canonical_domain(self.domain))
        if not _SELECTOR.fullmatch(self.selector):
            raise ValueError("a selector is made of lower-case letters, digits, inner hyphens and inner dots")


def generate_rsa() -> str:
    """Return a new private key as PKCS #8 PEM."""
    return _pem(rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS))


def generate_ed25519() -> str:
    """Return a new private key as PKCS #8 PEM."""
    return _pem(ed25519.Ed25519PrivateKey.generate())


def load_key(pem: str) -> PrivateKey:
    """Load a private key that we made. Raises ValueError for a kind or size that we do not sign with."""
    # The check of an RSA key's numbers takes 50 ms; these are our own keys, stored by us.
    key = serialization.load_pem_private_key(pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= RSA_BITS:
        return key
    raise ValueError(f"DKIM needs an Ed25519 key or an RSA key of at least {RSA_BITS} bits")


def public_record(pem: str) -> str:
    """Return the TXT record that publishes the public half of a private key (RFC 6376, 3.6.1)."""
    key = load_key(pem)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        # RFC 8463, 4: the bare 32 octets, not wrapped in ASN.1.
        return f"v=DKIM1; k=ed25519; p={_text64(key.public_key().public_bytes_raw())}"
    # RFC 6376 erratum 3017: the SubjectPublicKeyInfo that everybody publishes.
    wrapped = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={_text64(wrapped)}"


def sign(message: bytes, keys: Sequence[SigningKey], *, signed_at: datetime, expires_at: datetime) -> bytes:
    """Return one DKIM-Signature header per key, to be put before the message exactly as it is.

    Raises ValueError when the message is not in the form that goes on the wire, or the times make no sense.
    """
    head, separator, body = message.partition(b"\r\n\r\n")
    if not separator or _has_bare_line_end(message):
        raise ValueError("only a complete message with CRLF line ends can be signed")
    times = _times(signed_at, expires_at)
    fields = _relaxed_fields(head)
    if b"from" not in fields:
        raise ValueError("a message without From cannot be signed")  # RFC 6376, 5.4
    names = _signed_names(fields)
    signed_fields = _signed_fields(fields, names)
    body_hash = _text64(hashlib.sha256(relaxed_body(body)).digest())
    return b"".join(
        _signature(key, signed_fields, f"{times}\r\n\th={_folded_names(names)};\r\n\tbh={body_hash};") for key in keys
    )


def _signature(key: SigningKey, signed_fields: bytes, tags: str) -> bytes:
    kind = "ed25519" if isinstance(key.private_key, ed25519.Ed25519PrivateKey) else "rsa"
    own = f"v=1; a={kind}-sha256; c=relaxed/relaxed; d={key.domain}; s={key.selector};\r\n\t{tags}\r\n\tb="
    # RFC 6376, 3.7: the signature field itself comes last, with an empty b= and without its CRLF.
    signed = b"%sdkim-signature:%s" % (signed_fields, relaxed_value(own.encode()))
    value = _text64(_sign_octets(key.private_key, signed))
    folded = "\r\n\t".join(value[at : at + _LINE] for at in range(0, len(value), _LINE))
    return f"DKIM-Signature: {own}{folded}\r\n".encode()


def _sign_octets(key: PrivateKey, octets: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        # RFC 8463, 3: PureEdDSA over the hash, not over the octets themselves.
        return key.sign(hashlib.sha256(octets).digest())
    return key.sign(octets, padding.PKCS1v15(), hashes.SHA256())


def _times(signed_at: datetime, expires_at: datetime) -> str:
    if signed_at.tzinfo is None or expires_at.tzinfo is None:
        raise ValueError("the times of a signature must be aware")
    start, end = int(signed_at.timestamp()), int(expires_at.timestamp())
    # RFC 6376, 3.5: x= must be greater than t=.
    if end <= start:
        raise ValueError("a signature must expire after it is made")
    return f"t={start}; x={end};"


def _signed_names(fields: Mapping[bytes, Sequence[bytes]]) -> list[str]:
    names: list[str] = []
    for name in _OVERSIGNED:
        names += [name] * (len(fields.get(name.lower().encode(), ())) + 1)
    for name in _SIGNED_IF_PRESENT:
        present = len(fields.get(name.lower().encode(), ()))
        names += [name] * (present + 1 if present else 0)
    return names


def _signed_fields(fields: Mapping[bytes, Sequence[bytes]], names: Sequence[str]) -> bytes:
    lines: list[bytes] = []
    for name in dict.fromkeys(name.lower().encode() for name in names):
        # RFC 6376, 5.4.2: of several with one name the last is signed first; one too many counts as nothing.
        lines += [b"%s:%s\r\n" % (name, value) for value in reversed(fields.get(name, ()))]
    return b"".join(lines)


def _folded_names(names: Sequence[str]) -> str:
    lines = [names[0]]
    for name in names[1:]:
        if len(lines[-1]) + 1 + len(name) > _LINE:
            # RFC 6376, 3.5: white space may stand on either side of the colons of h=.
            lines[-1] += ":"
            lines.append(name)
        else:
            lines[-1] += f":{name}"
    return "\r\n\t".join(lines)


def _relaxed_fields(head: bytes) -> dict[bytes, list[bytes]]:
    """RFC 6376, 3.4.2: the values of each field, by lower-case name."""
    fields: dict[bytes, list[bytes]] = {}
    for line in head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
        name, _, value = line.partition(b":")
        fields.setdefault(name.rstrip(b" \t").lower(), []).append(relaxed_value(value))
    return fields


def relaxed_value(value: bytes) -> bytes:
    """RFC 6376, 3.4.2: the value of one field, without its last CRLF."""
    return _one_space(value.replace(b"\r\n", b"")).strip(b" ")


def relaxed_body(body: bytes) -> bytes:
    """RFC 6376, 3.4.4."""
    lines = _one_space(body if body.endswith(b"\r\n") else body + b"\r\n").replace(b" \r\n", b"\r\n")
    trimmed = lines.rstrip(b"\r\n")
    return trimmed + b"\r\n" if trimmed else b""


def _one_space(octets: bytes) -> bytes:
    """Make one space of each run of white space; halving keeps long runs cheap, where a pattern may not."""
    spaced = octets.replace(b"\t", b" ")
    while b"  " in spaced:
        spaced = spaced.replace(b"  ", b" ")
    return spaced


def _has_bare_line_end(message: bytes) -> bool:
    pairs = message.count(b"\r\n")
    return message.count(b"\r") != pairs or message.count(b"\n") != pairs


def _pem(key: PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")


def _text64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
