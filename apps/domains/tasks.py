"""The entry points of django-q2's jobs about domains."""

from apps.domains.services.checking import check_due


def check_domains() -> None:
    check_due()
