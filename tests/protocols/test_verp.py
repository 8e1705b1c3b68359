"""A bounce address names the recipient only when one of our secrets signed it."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.protocols.address import AddressError, canonical_email
from apps.protocols.verp import make, read

RECIPIENT = UUID("0192f0c1-2d3e-7a4b-8c5d-6e7f80911a2b")
SECRET = b"s" * 32
ADDRESS = make(RECIPIENT, secret=SECRET, host="rp.example.com")
LOCAL = ADDRESS.partition("@")[0]


@given(st.uuids(), st.binary(min_size=1, max_size=64))
def test_reads_back_what_it_made_in_any_case(recipient, secret):
    address = make(recipient, secret=secret, host="rp.example.com")

    for spelling in (address, address.upper(), address.title()):
        assert read(spelling, secrets=[secret]) == recipient


@pytest.mark.rfc("5321", "4.5.3.1.1")
def test_is_an_ordinary_address_that_survives_lower_case():
    assert canonical_email(ADDRESS) == ADDRESS
    assert ADDRESS.lower() == ADDRESS
    assert LOCAL.startswith("b-")
    assert len(LOCAL) == 50
    assert make(RECIPIENT, secret=SECRET, host="RP.example.com") == ADDRESS


def test_accepts_an_older_secret_while_it_is_listed():
    assert read(ADDRESS, secrets=[b"new", SECRET]) == RECIPIENT
    assert read(ADDRESS, secrets=[b"new"]) is None
    assert read(ADDRESS, secrets=[]) is None


@pytest.mark.parametrize("position", range(2, 50))
def test_refuses_any_changed_character(position):
    other = "b" if LOCAL[position] != "b" else "c"

    assert read(f"{LOCAL[:position]}{other}{LOCAL[position + 1 :]}@rp.example.com", secrets=[SECRET]) is None


def test_refuses_the_token_of_another_recipient():
    other = make(UUID(int=RECIPIENT.int ^ 1 << 100), secret=SECRET, host="rp.example.com")

    assert read(f"{LOCAL[:20]}{other[20:]}", secrets=[SECRET]) is None


@pytest.mark.parametrize(
    "address",
    [
        *["", "@", "b-", "b-@x.com", LOCAL, LOCAL[:-1] + "@x.com", LOCAL + "a@x.com"],
        "c" + LOCAL[1:] + "@x.com",
        *[" " + ADDRESS, f"<{ADDRESS}>", "\n" + ADDRESS, LOCAL + "\n@x.com", "b-" + "0" * 48 + "@x.com"],
        *["b-" + "\u212a" * 48 + "@x.com", "b-" + "é" * 48 + "@x.com", "b-" + "a" * 100_000, "\ud800@x.com"],
    ],
)
def test_refuses_garbage_quietly(address):
    assert read(address, secrets=[SECRET]) is None


@given(st.text())
def test_never_raises_on_what_strangers_write(text):
    assert read(text, secrets=[SECRET]) is None
    assert read(f"b-{text}@x.com", secrets=[SECRET]) is None


def test_makes_no_address_without_a_secret_or_with_a_bad_host():
    with pytest.raises(ValueError, match="secret"):
        make(RECIPIENT, secret=b"", host="rp.example.com")
    with pytest.raises(AddressError):
        make(RECIPIENT, secret=SECRET, host="rp.example.com>\r\nRCPT TO:<x@y.com")
