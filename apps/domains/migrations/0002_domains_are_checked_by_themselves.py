"""When a domain is looked at next, since when it fails, and how often somebody asked."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("domains", "0001_initial")]

    operations = [
        migrations.AddField("domain", "is_trusted", models.BooleanField(default=False)),
        migrations.AddField("domain", "next_check_at", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("domain", "watched_since", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("domain", "looks", models.PositiveSmallIntegerField(default=0, editable=False)),
        migrations.AddField("domain", "failed_at", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("domain", "failing_since", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("domain", "asked_since", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("domain", "asked", models.PositiveSmallIntegerField(default=0, editable=False)),
        migrations.AddField("domainrecord", "diagnosis", models.CharField(blank=True, max_length=24)),
        migrations.AddField("domainrecord", "held_until", models.DateTimeField(null=True)),
        migrations.AddIndex(
            "domain",
            models.Index(
                condition=models.Q(("next_check_at__isnull", False)), fields=["next_check_at"], name="domain_to_check"
            ),
        ),
    ]
