"""Events are fanned out to whoever listens. Those that are there already are marked, in no time on PostgreSQL.

A column whose default is a constant is added without writing a row; the default goes at once, so that what is inserted
from then on is not marked.
"""

import datetime

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0004_scheduled_mail_is_updated'),
    ]

    operations = [
        migrations.AddField(
            model_name='event',
            name='fanned_out_at',
            field=models.DateTimeField(db_default=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), null=True),
        ),
        migrations.AlterField(
            model_name='event',
            name='fanned_out_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name='event',
            name='type',
            field=models.CharField(choices=[('mail.message.queued', 'Accepted and waiting for delivery'), ('mail.message.sending', 'Being handed to the receiving server'), ('mail.message.sent', 'Taken by the receiving server'), ('mail.message.deferred', 'Waiting for another try'), ('mail.message.failed', 'Given up'), ('mail.message.bounced', 'Refused because of the recipient'), ('mail.message.suppressed', 'Not sent: the recipient is suppressed'), ('mail.message.complained', 'The recipient called it spam'), ('mail.message.mta_accepted', 'Taken by the outgoing server'), ('mail.delivery.delivered', 'Reported as delivered'), ('mail.delivery.delayed', 'Reported as delayed'), ('mail.delivery.ambiguous', 'Perhaps delivered: the answer never came'), ('mail.suppression.created', 'An address was suppressed'), ('mail.suppression.deleted', 'A suppression was lifted'), ('mail.domain.created', 'A sender domain was added'), ('mail.domain.verified', 'All required records are in place'), ('mail.domain.failed', 'A required record is wrong'), ('mail.domain.failing', 'A required record is wrong; sending stops if that lasts'), ('mail.domain.recovered', 'All required records are in place again'), ('mail.domain.key_created', 'A key waits for its record to be published'), ('mail.domain.key_activated', 'Mail is signed with another key from now on'), ('mail.domain.key_suspended', 'A second signature is left out until its record is seen again'), ('mail.domain.key_retired', "An old key's record may be removed"), ('mail.domain.deleted', 'A sender domain was removed'), ('mail.template.created', 'A template was made'), ('mail.template.updated', 'A template was changed'), ('mail.template.deleted', 'A template was removed'), ('mail.template.version.created', 'A template got a new version'), ('mail.template.test_sent', 'A test of a template was sent'), ('mail.otp.created', 'A challenge was made'), ('mail.otp.sent', "The code's mail was taken by the receiving server"), ('mail.otp.verified', 'The right code was given'), ('mail.otp.failed_attempt', 'A wrong code was given'), ('mail.otp.failed', 'All tries are used up'), ('mail.otp.expired', "The code's time is over"), ('mail.otp.canceled', 'The challenge was called off'), ('mail.webhook.created', 'An endpoint was added'), ('mail.webhook.updated', 'An endpoint was changed'), ('mail.webhook.disabled', 'An endpoint gets nothing more'), ('mail.webhook.test', 'Somebody wants to see whether an endpoint answers'), ('mail.webhook.delivery.succeeded', 'An endpoint took an event'), ('mail.webhook.delivery.failed', 'An endpoint did not take an event'), ('mail.scheduled.created', 'Mail was scheduled for later'), ('mail.scheduled.dispatched', 'Scheduled mail became a message at its time'), ('mail.scheduled.failed', 'Scheduled mail was refused at its time and is not sent'), ('mail.scheduled.updated', 'Scheduled mail got another time'), ('mail.scheduled.canceled', 'Scheduled mail was called off')], max_length=60),
        ),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(condition=models.Q(('fanned_out_at__isnull', True)), fields=['id'], name='event_to_fan_out'),
        ),
    ]
