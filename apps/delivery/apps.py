from django.apps import AppConfig
from django.core.checks import register

from apps.delivery.checks import check_mail_settings


class DeliveryConfig(AppConfig):
    name = "apps.delivery"

    def ready(self) -> None:
        register(check_mail_settings)
