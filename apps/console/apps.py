from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AdminConfig):
    """Makes our site the default one, so that each app's admin.py registers with it by itself."""

    default_site = "apps.console.site.ConsoleSite"
