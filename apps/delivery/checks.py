"""Settings that would only fail when the first mail goes out are read at every start instead."""

from collections.abc import Callable, Sequence
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from apps.delivery.routing import Relay
from apps.protocols.address import canonical_domain
from apps.protocols.dns import parse_servers
from apps.protocols.networks import parse_networks


def check_mail_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """One error for each setting that cannot be used; none of them repeats a key or a password."""
    readers: Sequence[tuple[str, Callable[[], object]]] = (
        ("FIELD_KEYS", lambda: [Fernet(key) for key in settings.FIELD_KEYS]),
        ("MAIL_RELAY_URL", lambda: settings.MAIL_TRANSPORT == "relay" and Relay.from_url(settings.MAIL_RELAY_URL)),
        ("MAIL_DNS_SERVERS", lambda: parse_servers(settings.MAIL_DNS_SERVERS)),
        ("MAIL_ALLOWED_NETWORKS", lambda: parse_networks(",".join(settings.MAIL_ALLOWED_NETWORKS))),
        ("MAIL_HELO_HOST", lambda: _host(settings.MAIL_HELO_HOST)),
        ("MAIL_SPF_INCLUDE", lambda: _host(settings.MAIL_SPF_INCLUDE)),
        ("MAIL_RETURN_PATH_HOST", lambda: _host(settings.MAIL_RETURN_PATH_HOST)),
        ("MAIL_INBOUND_HOST", lambda: _host(settings.MAIL_INBOUND_HOST)),
    )
    return [error for name, read in readers if (error := _error(name, read)) is not None]


def _error(name: str, read: Callable[[], object]) -> CheckMessage | None:
    try:
        read()
    except (ValueError, ImproperlyConfigured) as error:
        return Error(f"{name} cannot be used: {error}", hint="See docs/configuration.md.", id=f"mail.{name}")
    return None


def _host(name: str) -> None:
    """A host name that may stand in an SMTP command. Raises ValueError."""
    bare = name.removesuffix(".localhost") or name
    if bare not in {"localhost", "spf", "bounces", "inbound"}:
        canonical_domain(bare)
