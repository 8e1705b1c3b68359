"""The entry points of django-q2's jobs about assets."""

from apps.assets.services import sweeping


def sweep() -> None:
    sweeping.sweep()
