"""More things that happen to domains."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0001_initial'),
    ]

    operations = [
        migrations.AlterField(
            model_name='event',
            name='type',
            field=models.CharField(choices=[('mail.message.queued', 'Accepted and waiting for delivery'), ('mail.message.sending', 'Being handed to the receiving server'), ('mail.message.sent', 'Taken by the receiving server'), ('mail.message.deferred', 'Waiting for another try'), ('mail.message.failed', 'Given up'), ('mail.message.bounced', 'Refused because of the recipient'), ('mail.message.suppressed', 'Not sent: the recipient is suppressed'), ('mail.message.complained', 'The recipient called it spam'), ('mail.message.mta_accepted', 'Taken by the outgoing server'), ('mail.delivery.delivered', 'Reported as delivered'), ('mail.delivery.delayed', 'Reported as delayed'), ('mail.delivery.ambiguous', 'Perhaps delivered: the answer never came'), ('mail.suppression.created', 'An address was suppressed'), ('mail.suppression.deleted', 'A suppression was lifted'), ('mail.domain.created', 'A sender domain was added'), ('mail.domain.verified', 'All required records are in place'), ('mail.domain.failed', 'A required record is wrong'), ('mail.domain.failing', 'A required record is wrong; sending stops if that lasts'), ('mail.domain.recovered', 'All required records are in place again'), ('mail.domain.key_created', 'A key waits for its record to be published'), ('mail.domain.key_activated', 'Mail is signed with another key from now on'), ('mail.domain.key_suspended', 'A second signature is left out until its record is seen again'), ('mail.domain.key_retired', "An old key's record may be removed"), ('mail.domain.deleted', 'A sender domain was removed'), ('mail.template.created', 'A template was made'), ('mail.template.updated', 'A template was changed'), ('mail.template.deleted', 'A template was removed'), ('mail.template.version.created', 'A template got a new version'), ('mail.template.test_sent', 'A test of a template was sent'), ('mail.otp.created', 'A challenge was made'), ('mail.otp.sent', "The code's mail was taken by the receiving server"), ('mail.otp.verified', 'The right code was given'), ('mail.otp.failed_attempt', 'A wrong code was given'), ('mail.otp.failed', 'All tries are used up'), ('mail.otp.expired', "The code's time is over"), ('mail.otp.canceled', 'The challenge was called off'), ('mail.webhook.created', 'An endpoint was added'), ('mail.webhook.updated', 'An endpoint was changed'), ('mail.webhook.disabled', 'An endpoint gets nothing more'), ('mail.webhook.delivery.succeeded', 'An endpoint took an event'), ('mail.webhook.delivery.failed', 'An endpoint did not take an event')], max_length=60),
        ),
    ]
