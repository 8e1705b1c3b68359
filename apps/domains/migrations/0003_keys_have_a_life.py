"""Several keys a domain, each in its state, and a record for each of them."""

import django.db.models.deletion
from django.db import migrations, models

STATES = [("next", "Next"), ("active", "Active"), ("retiring", "Retiring"), ("retired", "Retired")]


class Migration(migrations.Migration):
    dependencies = [("domains", "0002_domains_are_checked_by_themselves")]

    operations = [
        migrations.AddField(
            "dkimkey",
            "algorithm",
            models.CharField(choices=[("rsa", "RSA"), ("ed25519", "Ed25519")], default="rsa", max_length=7),
        ),
        migrations.AddField(
            "dkimkey", "state", models.CharField(choices=STATES, default="active", max_length=8)
        ),
        migrations.AddField("dkimkey", "activated_at", models.DateTimeField(null=True)),
        migrations.AddField("dkimkey", "retires_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "domainrecord",
            "key",
            models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="domains.dkimkey"
            ),
        ),
        migrations.RemoveConstraint("domainrecord", "one_record_per_purpose"),
        migrations.AddConstraint(
            "domainrecord",
            models.UniqueConstraint(
                condition=models.Q(("key__isnull", True)), fields=("domain", "purpose"), name="one_record_per_purpose"
            ),
        ),
        migrations.AddConstraint(
            "dkimkey",
            models.UniqueConstraint(
                condition=models.Q(("state", "active")), fields=("domain", "algorithm"), name="one_active_key"
            ),
        ),
        migrations.AddConstraint(
            "dkimkey",
            models.UniqueConstraint(
                condition=models.Q(("state", "next")), fields=("domain", "algorithm"), name="one_next_key"
            ),
        ),
    ]
