"""Mail settings that cannot work are refused when the platform starts, not when the first mail goes out."""

from typing import Any

import pytest
from django.core.checks import run_checks


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FIELD_KEYS", ["abc"]),
        ("MAIL_RELAY_URL", ""),
        ("MAIL_RELAY_URL", "smtp://relay.example:port"),
        ("MAIL_RELAY_URL", "http://relay.example"),
        ("MAIL_RELAY_URL", "smtp://relay.example?starttls=maybe"),
        ("MAIL_DNS_SERVERS", "nonsense"),
        ("MAIL_ALLOWED_NETWORKS", ["banana"]),
        ("MAIL_HELO_HOST", "mail.example.com\r\nRCPT TO:<evil@example.com>"),
    ],
)
def test_a_setting_that_cannot_work_is_named(settings: Any, name: str, value: object) -> None:
    settings.MAIL_TRANSPORT, settings.MAIL_RELAY_URL = "relay", "smtp://10.1.2.3:2525"
    setattr(settings, name, value)

    assert [message.id for message in run_checks() if message.id.startswith("mail.")] == [f"mail.{name}"]


def test_no_part_of_a_relays_password_is_repeated(settings: Any) -> None:
    settings.MAIL_TRANSPORT, settings.MAIL_RELAY_URL = "relay", "smtp://user:geheim/wort@relay.example"

    [message] = [message for message in run_checks() if message.id == "mail.MAIL_RELAY_URL"]

    assert "geheim" not in message.msg
    assert "%XX" in message.msg


def test_the_settings_as_they_are_can_work() -> None:
    assert run_checks() == []
