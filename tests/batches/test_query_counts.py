"""A batch of five hundred asks the database as often as one of fifty."""

from collections.abc import Mapping
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.workspaces.models import Workspace
from tests.batches.making import BATCH, BATCHES, TEMPLATE_BATCH, batch, item, template_batch
from tests.client import Api
from tests.factories import suppress
from tests.templates.making import make_template

SIZES = (50, 500)
# The key, [the template,] everything that the batch depends on, and all its rows. On PostgreSQL these are one
# statement between two that mark it off within a test's transaction. On SQLite each of seven tables has its own, there
# is a second pair of marks, and the keys of items are one table more. 500 rows of any of them fit into one statement.
MADE = {
    "postgresql": {"messages": 5, "messages with keys": 5, "recipients of a template": 6},
    "sqlite": {"messages": 13, "messages with keys": 14, "recipients of a template": 14},
}
# The key, the batch, and its tally or a page of its items.
READ = 3


def request(kind: str, size: int) -> tuple[str, Mapping[str, Any]]:
    """An address, and a body of so many items, one of which is refused and one suppressed."""
    if kind == "recipients of a template":
        people = [{"to": f"r{number}@example.com", "data": {"name": "Ada"}} for number in range(size - 2)]
        others = [{"to": "r@example.com", "data": {}}, {"to": "gone@example.com", "data": {"name": "Gone"}}]
        return TEMPLATE_BATCH, template_batch(*people, *others)
    with_keys = kind == "messages with keys"
    letters = [item(number, idempotencyKey=f"{size}-{number}" if with_keys else None) for number in range(size - 2)]
    return BATCH, batch(*letters, item(to="nobody"), item(to="gone@example.com"))


@pytest.mark.parametrize("kind", MADE["sqlite"])
def test_the_queries_of_a_batch_do_not_grow_with_it(api: Api, workspace: Workspace, kind: str) -> None:
    make_template(workspace, subject="Hello {{ name }}", html="<p>{{ name }}</p>")
    suppress(workspace.pk, "gone@example.com")
    api.get(BATCHES)  # the first use of a key in a while is noted beside it
    counts: dict[str, list[int]] = {"made": [], "batch": [], "items": []}
    for size in SIZES:
        path, body = request(kind, size)
        with CaptureQueriesContext(connection) as made:
            answer = api.post(path, body)
        with CaptureQueriesContext(connection) as whole:
            tally = api.get(f"{BATCHES}/{answer.data['id']}").data
        with CaptureQueriesContext(connection) as items:
            page = api.get(f"{BATCHES}/{answer.data['id']}/items", {"limit": 100})
        counts["made"].append(len(made))
        counts["batch"].append(len(whole))
        counts["items"].append(len(items))
        found = (tally["messageCount"], tally["queuedCount"], tally["failedCount"], tally["suppressedCount"])
        assert found == (size, size - 2, 1, 1)
        assert len(page.rows) == min(size, 100)

    expected = MADE[connection.vendor][kind]
    assert counts == {"made": [expected] * 2, "batch": [READ] * 2, "items": [READ] * 2}
