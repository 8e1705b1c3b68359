from django.apps import AppConfig


class ScheduledConfig(AppConfig):
    name = "apps.scheduled"
