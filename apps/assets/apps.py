from django.apps import AppConfig
from django.core.checks import register

from apps.assets.checks import check_storage


class AssetsConfig(AppConfig):
    name = "apps.assets"

    def ready(self) -> None:
        register(check_storage)
