from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class ConsoleSiteConfig(AdminConfig):
    """Makes our site the default one, so that each app's admin.py registers with it by itself."""

    default_site = "apps.console.site.ConsoleSite"


class ConsoleConfig(AppConfig):
    name = "apps.console"
