from django.db import migrations, models


class Migration(migrations.Migration):
    # By itself: PostgreSQL builds no index in the transaction that has changed the rows under a foreign key.
    dependencies = [("mail_messages", "0005_bounces_by_address")]

    operations = [
        migrations.AddIndex("bounce", models.Index(fields=["workspace", "id"], name="bounce_by_workspace")),
        migrations.AddIndex("bounce", models.Index(fields=["workspace", "key", "id"], name="bounce_by_address")),
        migrations.AddIndex("bounce", models.Index(fields=["workspace", "type", "id"], name="bounce_by_type")),
    ]
