"""What every delivery job does about codes beside delivering."""

from apps.otp.services import follow as following


def follow() -> None:
    following.follow()
