"""Queues messages of about 4 KB through the platform's own door: `python -m bench.inside.queue_messages COUNT`."""

import json
import sys

import django

DOMAIN = "shop.example"
PARAGRAPH = "Thank you for your order. We pack it today and tell you as soon as it is on its way. "


def main() -> None:
    django.setup()
    from django.db import transaction  # noqa: PLC0415 - needs the settings

    from apps.workspaces.models import Tier, Workspace  # noqa: PLC0415
    from tests import factories  # noqa: PLC0415

    count = int(sys.argv[1])
    with transaction.atomic():
        workspace = Workspace.objects.filter(slug="bench").first()
        if workspace is None:
            workspace = factories.make_workspace("bench", tier=Tier.CUSTOM)
            factories.make_domain(workspace, DOMAIN)
        row, key = factories.make_key(workspace)
        caller = factories.authenticate(key)
        for number in range(count):
            factories.make_accepted(
                workspace, f"reader{number}@host{number % 50}.example", caller=caller, **_mail(number)
            )
    print(json.dumps({"workspace_id": str(workspace.pk), "key": key, "key_id": str(row.pk)}))


def _mail(number: int) -> dict[str, str]:
    text = f"Order {number}\n\n" + f"{PARAGRAPH}\n" * 15
    html = f"<html><body><h1>Order {number}</h1>" + f"<p>{PARAGRAPH}</p>\n" * 27 + "</body></html>"
    return {"subject": f"Your order {number}", "text": text, "html": html}


if __name__ == "__main__":
    main()
