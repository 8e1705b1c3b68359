"""`manage.py parse_report FILE...`: what is read in bounces and complaints, one JSON object a line; changes nothing."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.inbound.reading import read_in_child
from apps.protocols.reports.prediction import prediction


class Command(BaseCommand):
    help = "Prints what is read in each report, as corpora/score_bounces.py wants it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", help="a message, headers and all")

    def handle(self, *_: Any, files: list[str], **options: Any) -> None:
        for name in files:
            try:
                raw = Path(name).read_bytes()
            except OSError as error:
                raise CommandError(f"{name} cannot be read: {error.strerror}.") from error
            report = read_in_child(raw)
            note = {"note": report.note} if report.note else {}
            self.stdout.write(json.dumps({"file": Path(name).name} | prediction(report) | note, ensure_ascii=False))
