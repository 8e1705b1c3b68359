"""Every job's name leads to a function, and every job has a cluster that runs it."""

import pytest
from django.conf import settings
from django.utils.module_loading import import_string

from apps.core.jobs import CLUSTER_OF, Job, Tick

CLUSTERS = {settings.Q_CLUSTER["name"], *settings.Q_CLUSTER["ALT_CLUSTERS"]}


@pytest.mark.parametrize("job", Job)
def test_a_job_names_a_function_and_a_cluster(job: Job) -> None:
    assert callable(import_string(job.value))
    assert CLUSTER_OF[job] in CLUSTERS


def test_every_tick_names_a_function() -> None:
    assert [tick for tick in Tick if not callable(import_string(tick.value))] == []
