"""A sealed secret opens only in its own row, and with the keys it was sealed with."""

import pytest
from cryptography.fernet import Fernet
from django.test import override_settings

from apps.core.crypto import SealBroken, derived_keys, seal, unseal

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_opens_what_it_closed() -> None:
    assert unseal(seal("a secret \0 with ä", bound_to="dkim:1"), bound_to="dkim:1") == "a secret \0 with ä"


def test_shows_nothing_of_the_secret() -> None:
    sealed = seal("hunter2", bound_to="dkim:1")

    assert "hunter2" not in sealed
    assert sealed != seal("hunter2", bound_to="dkim:1")


def test_refuses_a_value_from_another_row() -> None:
    with pytest.raises(SealBroken, match="belongs to dkim:1"):
        unseal(seal("secret", bound_to="dkim:1"), bound_to="dkim:2")


def test_refuses_a_value_that_was_changed() -> None:
    sealed = seal("secret", bound_to="dkim:1")

    with pytest.raises(SealBroken):
        unseal(sealed[:-4] + "AAAA", bound_to="dkim:1")


def test_a_new_key_in_front_still_opens_old_values() -> None:
    with override_settings(FIELD_KEYS=[OLD]):
        sealed = seal("secret", bound_to="row")

    with override_settings(FIELD_KEYS=[NEW, OLD]):
        assert unseal(sealed, bound_to="row") == "secret"
    with override_settings(FIELD_KEYS=[NEW]), pytest.raises(SealBroken, match="FIELD_KEYS"):
        unseal(sealed, bound_to="row")


@override_settings(FIELD_KEYS=[NEW, OLD])
def test_derives_a_key_for_each_purpose_and_each_field_key() -> None:
    assert len(derived_keys("verp")) == 2
    assert all(len(key) == 32 for key in derived_keys("verp"))
    assert set(derived_keys("verp")) & set(derived_keys("links")) == set()
