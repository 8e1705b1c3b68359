"""Signatures that an independent verifier accepts, and that every change to the mail breaks."""

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta

import dkim as referee
import pytest
import time_machine
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.protocols.address import Mailbox
from apps.protocols.dkim import (
    SigningKey,
    generate_ed25519,
    generate_rsa,
    load_key,
    public_record,
    sign,
)
from apps.protocols.mime import Mail, compose

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
EXPIRES = AT + timedelta(days=7)
RSA_PEM = generate_rsa()
ED25519_PEM = generate_ed25519()
RSA_KEY = SigningKey("ex.com", "s1", load_key(RSA_PEM))
ED25519_KEY = SigningKey("ex.com", "s2", load_key(ED25519_PEM))
RECORDS = {
    b"s1._domainkey.ex.com.": public_record(RSA_PEM).encode(),
    b"s2._domainkey.ex.com.": public_record(ED25519_PEM).encode(),
    b"s1._domainkey.xn--bcher-kva.de.": public_record(RSA_PEM).encode(),
}
OVERSIGNED = [
    *["From", "To", "Cc", "Subject", "Date", "Reply-To", "Message-ID", "MIME-Version", "Content-Type"],
    *["List-Unsubscribe", "List-Unsubscribe-Post"],
]
KEYS = pytest.mark.parametrize("key", [RSA_KEY, ED25519_KEY], ids=["rsa", "ed25519"])


def mail(**changes):
    fields = {
        "sender": Mailbox("a@ex.com", "Acme"),
        "to": (Mailbox("b@example.org", "Bob"),),
        "cc": (),
        "reply_to": None,
        "subject": "Your order",
        "text": "Hello  there \r\n\r\n.\r\nFrom me\t\r\n\r\n\r\n",
        "html": None,
        "headers": (
            ("List-Unsubscribe", "<https://u.ex.com/1>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ),
        "message_id": "1.2@ex.com",
        "date": AT,
    }
    return compose(Mail(**(fields | changes)))


def signed(message, *keys):
    return sign(message, keys or [RSA_KEY], signed_at=AT, expires_at=EXPIRES) + message


def verifies(message, *, index=0):
    with time_machine.travel(AT + timedelta(minutes=5), tick=False):
        try:
            return referee.DKIM(message).verify(idx=index, dnsfunc=lambda name, timeout=5: RECORDS.get(name))
        except referee.DKIMException:
            return False


def tags(message):
    block = re.match(rb"DKIM-Signature: ((?:.*\r\n)(?:[ \t].*\r\n)*)", message)[1].decode()
    return dict(part.strip().split("=", 1) for part in re.sub(r"\s+", "", block).split(";"))


MESSAGES = {
    "plain": mail(),
    "8-bit": mail(subject="Größe 🦊", text="Größe   über alles \n" * 50),
    "base64": mail(text="日本語\n" * 100),
    "alternative": mail(html="<p>Größe</p>\n" + "x" * 100_000),
    "empty": mail(text=""),
    "blank lines": mail(text="\n\n \n\t\n"),
    "raw 8-bit body": b"From: a@ex.com\r\nSubject:\tx   y \r\n\r\n\xff\xfe \t \xc3\xbc \r\n \r\n",
    "folded": b"From: a@ex.com\r\nSubject: x\r\n\ty\r\n   z\r\nTo: b@ex.com\r\n\r\nbody without end",
    "no body": b"From: a@ex.com\r\n\r\n",
    "dots": mail(text=".\n..\n...\n.\n" * 20),
    "long list": mail(to=tuple(Mailbox(f"user{n}@example.org") for n in range(300))),
}


@KEYS
@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
@pytest.mark.rfc("6376", "3.4")
def test_an_independent_verifier_accepts_the_signature(message, key):
    assert verifies(signed(message, key))


@pytest.mark.rfc("8463", "3")
def test_signs_with_several_keys_at_once():
    message = signed(MESSAGES["plain"], RSA_KEY, ED25519_KEY)

    assert verifies(message, index=0)
    assert verifies(message, index=1)
    assert message.count(b"DKIM-Signature:") == 2


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    text=st.text(st.one_of(st.sampled_from(" \t\n\r.ü="), st.characters(exclude_categories=["Cs"]))),
    subject=st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])),
)
def test_every_composed_mail_verifies(text, subject):
    assert verifies(signed(mail(text=text, subject=subject), ED25519_KEY))


@KEYS
@pytest.mark.parametrize("header", [f"{name}: x@evil.example" for name in OVERSIGNED])
@pytest.mark.rfc("6376", "8.15")
def test_adding_a_signed_header_breaks_it(header, key):
    message = signed(MESSAGES["plain"], key)
    head, _, body = message.partition(b"\r\n\r\n")

    assert verifies(message)
    assert not verifies(header.encode() + b"\r\n" + message)
    assert not verifies(head + b"\r\n" + header.encode() + b"\r\n\r\n" + body)


@KEYS
def test_changing_a_signed_header_or_a_byte_of_the_body_breaks_it(key):
    message = signed(MESSAGES["plain"], key)

    for old, new in [(b"Your order", b"Our order"), (b"Bob", b"Rob"), (b"there", b"These"), (b"me", b"mE")]:
        assert old in message
        assert not verifies(message.replace(old, new))
    assert not verifies(message + b"appended\r\n")
    assert not verifies(
        message.replace(b"Content-Transfer-Encoding: quoted-printable", b"Content-Transfer-Encoding: 7bit")
    )


def test_survives_what_relays_do_to_white_space():
    message = signed(MESSAGES["plain"])

    assert verifies(message.replace(b"Subject: Your order", b"SUBJECT:   Your\r\n\torder "))
    assert verifies(message + b"\r\n\r\n")
    assert verifies(b"Received: from x\r\n" + message)


def test_a_relay_may_add_a_transfer_encoding_to_multipart_mail():
    message = signed(MESSAGES["alternative"])

    assert verifies(message.replace(b"\r\nMIME-Version: ", b"\r\nContent-Transfer-Encoding: 7bit\r\nMIME-Version: "))


@pytest.mark.rfc("6376", "3.5")
def test_states_its_times_and_nothing_risky():
    found = tags(signed(MESSAGES["plain"]))

    assert set(found) == {"v", "a", "c", "d", "s", "t", "x", "h", "bh", "b"}
    assert (found["v"], found["a"], found["c"]) == ("1", "rsa-sha256", "relaxed/relaxed")
    assert (found["d"], found["s"]) == ("ex.com", "s1")
    assert (int(found["t"]), int(found["x"])) == (int(AT.timestamp()), int(EXPIRES.timestamp()))


@pytest.mark.rfc("6376", "5.4")
def test_lists_each_header_once_more_than_it_is_present():
    names = tags(signed(MESSAGES["plain"]))["h"].split(":")

    absent = {"Cc", "Reply-To"}
    assert {name: names.count(name) for name in OVERSIGNED} == {name: 1 if name in absent else 2 for name in OVERSIGNED}
    assert names.count("Content-Transfer-Encoding") == 2
    assert "Content-Transfer-Encoding" not in tags(signed(MESSAGES["alternative"]))["h"]


@pytest.mark.rfc("6376", "5.4.2")
def test_signs_headers_that_stand_twice_from_the_bottom_up():
    message = signed(b"From: a@ex.com\r\nSubject: one\r\nSubject: two\r\n\r\nx\r\n", ED25519_KEY)

    assert tags(message)["h"].split(":").count("Subject") == 3
    assert verifies(message)


@pytest.mark.rfc("6376", "3.4.4")
@pytest.mark.parametrize(
    ("body", "canonical"),
    [
        *[(b"", b""), (b"\r\n", b""), (b" \r\n\t\r\n", b""), (b"x", b"x\r\n")],
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),
        (b"a" + b" " * 9_999 + b"b \r\n", b"a b\r\n"),
    ],
)
def test_hashes_the_relaxed_body(body, canonical):
    found = tags(signed(b"From: a@ex.com\r\n\r\n" + body))

    assert base64.b64decode(found["bh"]) == hashlib.sha256(canonical).digest()


@pytest.mark.rfc("5322", "2.1.1")
def test_is_folded_and_the_same_each_time():
    header = sign(MESSAGES["plain"], [RSA_KEY, ED25519_KEY], signed_at=AT, expires_at=EXPIRES)

    assert header == sign(MESSAGES["plain"], [RSA_KEY, ED25519_KEY], signed_at=AT, expires_at=EXPIRES)
    assert header.endswith(b"\r\n")
    assert max(map(len, header.split(b"\r\n"))) <= 78
    assert header.count(b"\r\n") == header.count(b"\n") == header.count(b"\r")


@pytest.mark.rfc("8616", "4")
def test_names_an_internationalised_domain_by_its_a_label():
    key = SigningKey("Bücher.de", "s1", RSA_KEY.private_key)
    message = signed(MESSAGES["plain"], key)

    assert b" d=xn--bcher-kva.de;" in message
    assert verifies(message)


@pytest.mark.parametrize(
    "message",
    [
        b"From: a@ex.com\r\n",
        b"From: a@ex.com\n\nx",
        b"From: a@ex.com\r\n\r\nx\ny",
        b"From: a@ex.com\r\n\r\nx\ry",
        b"To: x\r\n\r\n",
    ],
)
def test_refuses_to_sign_what_must_not_go_on_the_wire(message):
    with pytest.raises(ValueError, match="signed"):
        signed(message)


def test_refuses_times_and_selectors_that_make_no_sense():
    for start, end in [
        (AT, AT),
        (EXPIRES, AT),
        (AT.replace(tzinfo=None), EXPIRES),
        (AT, EXPIRES.replace(tzinfo=None)),
    ]:
        with pytest.raises(ValueError, match="signature"):
            sign(MESSAGES["plain"], [RSA_KEY], signed_at=start, expires_at=end)
    for selector in ("", "a b", "../x", "s;d=evil.com", "a\r\nb", "S1", "-a", "a..b", "x" * 64):
        with pytest.raises(ValueError, match="selector"):
            SigningKey("ex.com", selector, RSA_KEY.private_key)


def test_loads_the_kinds_of_key_it_signs_with_and_no_other():
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for key in (short, ec.generate_private_key(ec.SECP256R1())):
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        with pytest.raises(ValueError, match="DKIM needs"):
            load_key(pem)
    assert load_key(RSA_PEM).key_size == 2048


@pytest.mark.rfc("6376", "3.6.1")
def test_publishes_the_public_half_only():
    record = public_record(RSA_PEM)
    octets = base64.b64decode(record.removeprefix("v=DKIM1; k=rsa; p="))

    assert serialization.load_der_public_key(octets) == RSA_KEY.private_key.public_key()
    assert (
        public_record(ED25519_PEM)
        == "v=DKIM1; k=ed25519; p=" + base64.b64encode(ED25519_KEY.private_key.public_key().public_bytes_raw()).decode()
    )
