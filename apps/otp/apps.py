from django.apps import AppConfig


class OtpConfig(AppConfig):
    name = "apps.otp"
    verbose_name = "One-time codes"
