"""Makes a workspace with a domain, a key and a template: `python -m bench.inside.batch_sender`."""

import json

import django


def main() -> None:
    django.setup()
    from apps.templates.services import authoring  # noqa: PLC0415 - needs the settings
    from apps.workspaces.models import Tier  # noqa: PLC0415
    from bench.accept import BODY, PARAGRAPH  # noqa: PLC0415
    from tests import factories  # noqa: PLC0415

    workspace = factories.make_workspace("bench", tier=Tier.CUSTOM)
    factories.make_domain(workspace, BODY["from"].partition("@")[2])
    content = {
        "name": "Bench",
        "slug": "bench",
        "subject": "Your order {{ order }}",
        "text": "Hello {{ name }}, order {{ order }}.\n" + PARAGRAPH * 14,
        "html": f"<html><body><h1>Hello {{{{ name }}}}</h1>{f'<p>{PARAGRAPH}</p>' * 23}</body></html>",
    }
    authoring.create(workspace.pk, content)
    _row, key = factories.make_key(workspace)
    print(json.dumps({"key": key}))


if __name__ == "__main__":
    main()
