from django.db import migrations, models

import apps.core.fields


class Migration(migrations.Migration):
    dependencies = [("suppressions", "0001_initial")]

    operations = [
        migrations.AlterField("suppression", "metadata", apps.core.fields.VerbatimJSON(blank=True, default=dict)),
        migrations.AddIndex("suppression", models.Index(fields=["workspace", "id"], name="suppression_by_workspace")),
        migrations.AddIndex("suppression", models.Index(fields=["workspace", "reason", "id"], name="suppression_by_reason")),
    ]
