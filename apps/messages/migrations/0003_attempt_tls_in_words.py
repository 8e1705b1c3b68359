from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('mail_messages', '0002_wait_for_hold'),
    ]

    operations = [
        migrations.AlterField(
            model_name='attempt',
            name='tls',
            field=models.CharField(blank=True, max_length=200),
        ),
    ]
