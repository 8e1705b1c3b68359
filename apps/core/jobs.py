"""Everything that runs in the background, by name: the contents page of the django-q2 clusters.

A queued job is only a wake-up. It carries no data, it may be lost or doubled without harm, and what is to be done
stands in our own rows.
"""

from enum import StrEnum

from django.db import transaction
from django_q.tasks import async_task


class Job(StrEnum):
    """The dotted path of each job's entry point."""

    DELIVER = "apps.delivery.tasks.deliver"
    RECOVER = "apps.delivery.tasks.recover"
    CLEAN_UP = "apps.delivery.tasks.clean_up"
    CHECK_DOMAINS = "apps.domains.tasks.check_domains"
    SWEEP_ASSETS = "apps.assets.tasks.sweep"
    SWEEP_REPORTS = "apps.inbound.tasks.sweep"
    SEND_WEBHOOKS = "apps.webhooks.tasks.send"


class Tick(StrEnum):
    """What every delivery job does beside delivering, once in a while: dotted paths, so that it knows no app above it.

    For what is due to the second, where a job of the maintenance cluster comes once a minute. Each runs in several
    processes at once, is short, and finds its work in rows.
    """

    DISPATCH_SCHEDULED = "apps.scheduled.tasks.dispatch"
    FOLLOW_CODES = "apps.otp.tasks.follow"


CLUSTER_OF = {
    Job.DELIVER: "delivery",
    Job.RECOVER: "maintenance",
    Job.CLEAN_UP: "maintenance",
    Job.CHECK_DOMAINS: "maintenance",
    Job.SWEEP_ASSETS: "maintenance",
    Job.SWEEP_REPORTS: "maintenance",
    Job.SEND_WEBHOOKS: "webhooks",
}
# Jobs of which one is always to be at work on every host that has workers, and the dotted path of a function that
# counts those that are. The watchdog keeps them going and knows no app above its own.
ENDLESS = {Job.SEND_WEBHOOKS: "apps.webhooks.tasks.at_work_here"}


def enqueue(job: Job) -> None:
    """Wakes the job's cluster once the present transaction is committed."""
    transaction.on_commit(lambda: async_task(job.value, cluster=CLUSTER_OF[job]))
