from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('mail_messages', '0001_initial'),
    ]

    operations = [
        migrations.AlterField(
            model_name='recipient',
            name='wait_code',
            field=models.CharField(blank=True, choices=[('queued', 'Queued'), ('retry', 'Retry'), ('destination_paused', 'Destination Paused'), ('destination_busy', 'Destination Busy'), ('domain_not_verified', 'Domain Not Verified'), ('workspace_suspended', 'Workspace Suspended'), ('configuration', 'Configuration'), ('quarantine', 'Quarantine'), ('hold', 'Hold')], db_default='', max_length=20),
        ),
    ]
