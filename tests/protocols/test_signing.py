"""Signatures of webhooks, with values worked out elsewhere."""

import base64
import re

from apps.protocols import signing

# `printf '1700000000.{"id":"1"}' | openssl dgst -sha256 -hmac whsec_test`
KNOWN = "v1=11bf4466ea17c3df3fd743af0b435368e16b7a05eb8eced85e8c4670767bdec5"


def test_a_known_signature() -> None:
    assert signing.signature("whsec_test", 1_700_000_000, b'{"id":"1"}') == KNOWN


def test_the_example_of_standard_webhooks() -> None:
    """The vector of its reference implementations."""
    secret, message_id, at = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signing.standard_signature(secret, message_id, at, b'{"test": 2432232314}') == expected


def test_secrets_are_long_random_and_readable_in_both_alphabets() -> None:
    secrets = {signing.new_secret() for _ in range(200)}
    assert len(secrets) == 200
    for secret in secrets:
        assert re.fullmatch("whsec_[A-Za-z0-9]{44}", secret)
        encoded = secret.removeprefix("whsec_")
        assert base64.b64decode(encoded, validate=True) == base64.urlsafe_b64decode(encoded)
