from django.apps import AppConfig


class MessagesConfig(AppConfig):
    name = "apps.messages"
    # The plain label would collide with django.contrib.messages, which the console needs.
    label = "mail_messages"
    verbose_name = "Messages"
