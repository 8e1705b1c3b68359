"""Makes the yardstick's tables and one key, and prints the key as JSON."""

import hashlib
import json
import secrets

import django


def main() -> None:
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 - needs the settings

    from bench.yardstick.models import ApiKey, Domain  # noqa: PLC0415

    call_command("migrate", run_syncdb=True, verbosity=0)
    key = secrets.token_hex(26)
    row = ApiKey.objects.create(name="bench", secret_hash=hashlib.sha256(key.encode()).hexdigest())
    Domain.objects.create(api_key=row, name="shop.example", status="verified")
    print(json.dumps({"key": key}))


if __name__ == "__main__":
    main()
