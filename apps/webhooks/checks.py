"""Settings of webhooks that would only fail with the first delivery are read at every start instead."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from apps.protocols.networks import parse_networks


def check_webhook_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    try:
        parse_networks(",".join(settings.WEBHOOK_ALLOWED_NETWORKS))
    except ValueError as error:
        what = f"WEBHOOK_ALLOWED_NETWORKS cannot be used: {error}"
        return [Error(what, hint="See docs/configuration.md.", id="mail.WEBHOOK_ALLOWED_NETWORKS")]
    return []
