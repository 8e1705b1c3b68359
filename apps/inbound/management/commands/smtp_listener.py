"""Takes mail, bounces and complaints by SMTP until it is stopped (SIGTERM or Ctrl-C)."""

import asyncio
import logging
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.inbound.listener import serve


class Command(BaseCommand):
    help = "Listens at MAIL_LISTENER_HOST and MAIL_LISTENER_PORT; see docs/inbound.md and docs/postfix.md."

    def handle(self, *args: Any, **options: Any) -> None:
        # The library writes every command at this level, addresses and all.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        try:
            asyncio.run(self._serve())
        except OSError as error:
            place = f"{settings.MAIL_LISTENER_HOST}:{settings.MAIL_LISTENER_PORT}"
            raise CommandError(f"The listener cannot start at {place}: {error}") from error

    async def _serve(self) -> None:
        until = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, until.set)
        await serve(started=self._tell, until=until)

    def _tell(self, port: int) -> None:
        self.stdout.write(f"Listening on {settings.MAIL_LISTENER_HOST}:{port}.")
        self.stdout.flush()
