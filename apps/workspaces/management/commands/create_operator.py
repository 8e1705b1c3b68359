"""`create_operator EMAIL`: makes somebody an operator, or gives an operator a new password."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email

from apps.workspaces.services import create_operator


class Command(BaseCommand):
    help = "Makes an operator, who may use the whole console; an existing user becomes one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--password", help="without it, one is made and printed")

    def handle(self, *args: Any, **options: Any) -> None:
        email: str = options["email"].strip().lower()
        given: str | None = options["password"]
        password = given if given is not None else secrets.token_urlsafe(15)
        try:
            validate_email(email)
            validate_password(password)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        create_operator(email, password=password)
        self.stdout.write(f"{email} may use the console at /admin/.")
        if given is None:
            self.stdout.write(f"Password: {password}")
