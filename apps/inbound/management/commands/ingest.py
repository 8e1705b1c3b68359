"""Takes one mail from a mail server's pipe: `ingest bounce --recipient A < mail`.

Its exit codes are those of sysexits.h, which mail servers read: 75 (try again later), 67 (nobody's address), 65 (a mail
that is not taken).
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from apps.core.errors import Problem
from apps.inbound.errors import NoSuchRecipient
from apps.inbound.services import letters, reports
from apps.inbound.services.arrival import Arrival
from apps.inbound.states import Door
from apps.protocols.authentication.types import Origin

DOORS = {"bounce": Door.BOUNCES, "complaint": Door.COMPLAINTS, "inbound": Door.INBOUND}


class Command(BaseCommand):
    help = "Takes a bounce, a complaint or a mail for an inbound domain on standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=DOORS)
        parser.add_argument("--recipient", action="extend", nargs="+", required=True, metavar="ADDRESS")
        parser.add_argument("--sender", default="", metavar="ADDRESS", help="of the envelope; empty for a bounce")
        parser.add_argument("--client-address", default="", metavar="IP", help="from where the mail came, for SPF")
        parser.add_argument("--helo", default="", metavar="NAME", help="how that server called itself")

    def handle(self, *args: Any, kind: str, recipient: Sequence[str], sender: str, **options: Any) -> None:
        raw = sys.stdin.buffer.read(settings.MAIL_INBOUND_MAX_BYTES + 1)
        if not raw or len(raw) > settings.MAIL_INBOUND_MAX_BYTES:
            what = "There is no mail on standard input." if not raw else "The mail is too large."
            raise CommandError(what, returncode=os.EX_DATAERR)
        arrival = Arrival(raw, tuple(recipient), sender.strip("<>"))
        origin = Origin(client_address=options["client_address"], helo=options["helo"])
        try:
            _take(DOORS[kind], arrival, origin)
        except NoSuchRecipient as error:
            raise CommandError(error.message, returncode=os.EX_NOUSER) from error
        except Problem as error:
            raise CommandError(error.message, returncode=os.EX_TEMPFAIL) from error
        except (DatabaseError, InterfaceError, OSError) as error:
            raise CommandError(f"{type(error).__name__}: {error}", returncode=os.EX_TEMPFAIL) from error


def _take(door: Door, arrival: Arrival, origin: Origin) -> None:
    if door is not Door.INBOUND:
        reports.take(door, arrival)
        return
    known = letters.addressed(arrival.recipients)
    if unknown := [address for address in arrival.recipients if address not in known]:
        # There is one exit code for all of them, so nothing is taken rather than that somebody is forgotten.
        raise NoSuchRecipient(f"Nobody here receives mail at {', '.join(unknown[:5])}; nothing was taken.")
    letters.take(arrival, origin)
