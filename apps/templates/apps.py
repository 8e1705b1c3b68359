from django.apps import AppConfig


class TemplatesConfig(AppConfig):
    name = "apps.templates"
