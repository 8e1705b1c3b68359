from django.apps import AppConfig
from django.core import checks

from apps.webhooks.checks import check_webhook_settings


class WebhooksConfig(AppConfig):
    name = "apps.webhooks"

    def ready(self) -> None:
        checks.register(check_webhook_settings)
