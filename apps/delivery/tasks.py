"""The entry points of django-q2's jobs. They carry no data: what is to be done stands in our rows."""

from apps.delivery.services import maintenance
from apps.delivery.services import recover as recovery
from apps.delivery.services.drain import drain


def deliver() -> None:
    drain()


def recover() -> None:
    recovery.recover()


def clean_up() -> None:
    maintenance.clean_up()
