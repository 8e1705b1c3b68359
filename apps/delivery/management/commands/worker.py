"""Runs the background work of this server: django-q2's clusters, and the watchdog over them."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.delivery.supervisor import Supervisor
from apps.delivery.watchdog import Watchdog, clusters


class Command(BaseCommand):
    help = "Delivers mail until it is stopped (SIGTERM or Ctrl-C); what is on its way is finished or given back."

    def handle(self, *args: Any, **options: Any) -> None:
        Supervisor(clusters(), watch=Watchdog()).run()
