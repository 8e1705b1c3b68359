"""Bounces are found by address, and remember which rule read them."""

from typing import Any

from django.db import migrations, models
from django.db.models.functions import Lower

from apps.protocols.address import comparison_key


def fill(apps: Any, schema_editor: Any) -> None:
    """Almost all addresses are ASCII, for which the key is the address in lower case."""
    bounces = apps.get_model("mail_messages", "Bounce")._base_manager
    bounces.update(key=Lower("email"))
    for pk, email in bounces.filter(email__regex=r"[^ -~]").values_list("pk", "email").iterator():
        bounces.filter(pk=pk).update(key=comparison_key(email))


class Migration(migrations.Migration):
    dependencies = [("mail_messages", "0004_origins_attachments_and_sealed_content")]

    operations = [
        migrations.AddField("bounce", "key", models.CharField(max_length=320, default=""), preserve_default=False),
        migrations.AddField("bounce", "rule", models.CharField(blank=True, db_default="", max_length=60)),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
