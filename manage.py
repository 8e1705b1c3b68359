#!/usr/bin/env python
"""Django's command line; `quickstart` first makes the secrets that the settings ask for."""

import os
import sys

from stackshift_mail import env


def main() -> None:
    os.umask(0o077)  # mail, keys and the database are nobody else's to read
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stackshift_mail.settings")
    if sys.argv[1:2] == ["quickstart"]:
        env.generate_missing_secrets()
    if sys.argv[1:2] == ["parse_report"]:
        env.use_throwaway_secrets()
    # Imported late: Django reads the settings, and so the secrets, while it is imported.
    from django.core.management import execute_from_command_line  # noqa: PLC0415

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
