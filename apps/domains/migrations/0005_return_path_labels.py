"""The labels that return paths point at; they outlive domains and workspaces."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("domains", "0004_earlier_keys_sign_and_earlier_domains_are_checked")]

    operations = [
        migrations.CreateModel(
            name="ReturnPathLabel",
            fields=[
                ("label", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("workspace_id", models.UUIDField()),
                ("domain", models.CharField(max_length=253)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("released_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "return-path label",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("workspace_id", "domain"), name="one_label_per_workspace_and_domain"
                    )
                ],
            },
        ),
    ]
