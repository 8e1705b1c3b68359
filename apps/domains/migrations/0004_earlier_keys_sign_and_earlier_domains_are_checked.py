"""Brings domains of before into the new columns: their one key signs, its record is its own, and they are looked at."""

from typing import Any

from django.db import migrations
from django.db.models import F
from django.utils import timezone

TRUSTED = "Taken as right: this is the demonstration's own domain."


def fill(apps: Any, schema_editor: Any) -> None:
    domains, keys, records = (apps.get_model("domains", name) for name in ("Domain", "DkimKey", "DomainRecord"))
    keys._base_manager.filter(activated_at=None).update(activated_at=F("created_at"))
    for key in keys._base_manager.iterator():
        records._base_manager.filter(domain_id=key.domain_id, purpose="dkim", key=None).update(key=key)
    trusted = records._base_manager.filter(explanation=TRUSTED).values("domain_id")
    domains._base_manager.filter(pk__in=trusted).update(is_trusted=True)
    waiting = domains._base_manager.exclude(status="disabled").filter(is_trusted=False)
    waiting.update(next_check_at=timezone.now(), watched_since=F("created_at"))


class Migration(migrations.Migration):
    dependencies = [("domains", "0003_keys_have_a_life")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
