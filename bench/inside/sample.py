"""Checks one delivered message with dkimpy: the bytes that went out, as their hash in the sink's ledger proves."""

import hashlib
import json

import django
import dkim as dkimpy


def main() -> None:
    django.setup()
    from apps.delivery.compose import letter_of, load  # noqa: PLC0415 - needs the settings
    from apps.domains.models import DomainRecord  # noqa: PLC0415
    from apps.domains.services.sending import signing_keys  # noqa: PLC0415
    from apps.messages.models import Message  # noqa: PLC0415

    message = Message.objects.across_workspaces().order_by("?").first()
    stored = load({message.pk})[message.pk]
    keys, _sealed = signing_keys({message.domain_id})
    content = letter_of(stored, keys).content
    records = {f"{record.name}.": record.value for record in DomainRecord.objects.across_workspaces()}

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        return records[name.decode()].encode()

    is_valid = dkimpy.verify(content, dnsfunc=look_up)
    print(json.dumps({"sha256": hashlib.sha256(content).hexdigest(), "is_valid": is_valid, "octets": len(content)}))


if __name__ == "__main__":
    main()
