"""Batches and items as they are read: in pages, by state, and always adding up."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.batches.states import BatchStatus, Tally
from apps.delivery.services.claim import Claimer
from apps.delivery.services.drain import drain
from apps.messages.models import Message
from apps.messages.states import OPEN, Lane, Status
from apps.workspaces.models import Workspace
from tests.batches.making import BATCH, BATCHES, batch, item, read, read_items
from tests.client import SEND, Api, mail
from tests.templates.making import make_template

STATES = st.lists(st.sampled_from([None, *Status.values]), min_size=1, max_size=8)


@given(states=STATES)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_add_up_in_any_mixture_of_states(api: Api, workspace: Workspace, states: list[str | None]) -> None:
    answer = api.post(BATCH, batch(*[item(n, **_refused_if(state is None)) for n, state in enumerate(states)]))
    for row, state in zip(answer.data["items"], states, strict=True):
        if state is not None:
            Message.objects.of(workspace.pk).filter(pk=row["messageId"]).update(status=state)

    whole = read(api, answer.data["id"])

    expected = Counter(state or "failed" for state in states)
    assert [row["status"] for row in read_items(api, whole["id"])] == [state or "failed" for state in states]
    assert whole["sentCount"] == expected["sent"]
    assert whole["failedCount"] == expected["failed"] + expected["bounced"]
    assert (whole["status"] in {"queued", "processing"}) == any(state in OPEN for state in states)
    assert [row for row in api.get(BATCHES).rows if row["id"] == whole["id"]] == [whole]


def _refused_if(is_refused: bool) -> dict[str, Any]:
    return {"to": "nobody"} if is_refused else {}


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ({"queued": 2}, BatchStatus.QUEUED),
        ({"queued": 1, "failed": 1, "suppressed": 1}, BatchStatus.QUEUED),
        ({"queued": 1, "sent": 1}, BatchStatus.PROCESSING),
        ({"queued": 1, "bounced": 1}, BatchStatus.PROCESSING),
        ({"sending": 1}, BatchStatus.PROCESSING),
        ({"deferred": 1, "queued": 1}, BatchStatus.PROCESSING),
        ({"sent": 2}, BatchStatus.COMPLETED),
        ({"sent": 1, "suppressed": 1}, BatchStatus.COMPLETED),
        ({"suppressed": 1}, BatchStatus.COMPLETED),
        ({"sent": 1, "failed": 1}, BatchStatus.PARTIALLY_FAILED),
        ({"suppressed": 1, "bounced": 1}, BatchStatus.PARTIALLY_FAILED),
        ({"failed": 1, "bounced": 1}, BatchStatus.FAILED),
        ({}, BatchStatus.COMPLETED),
    ],
)
def test_the_status_follows_from_the_counts(counts: dict[str, int], status: BatchStatus) -> None:
    assert Tally(counts, None).status == status


def test_items_come_in_their_order_page_by_page(api: Api) -> None:
    answer = api.post(BATCH, batch(*[item(number) for number in range(250)]))

    rows = read_items(api, answer.data["id"], limit=100)

    assert [row["index"] for row in rows] == list(range(250))
    assert len(api.get(f"{BATCHES}/{answer.data['id']}/items").rows) == 100


def test_items_are_filtered_by_their_state(api: Api, workspace: Workspace) -> None:
    answer = api.post(BATCH, batch(item(0), item(1, to="x"), item(2), item(3)))
    rows = answer.data["items"]
    for row, state in ((rows[0], "sent"), (rows[2], "failed")):
        Message.objects.of(workspace.pk).filter(pk=row["messageId"]).update(status=state)

    found = {
        state: [row["index"] for row in read_items(api, answer.data["id"], status=state)] for state in Status.values
    }

    assert found == {**dict.fromkeys(Status.values, []), "sent": [0], "failed": [1, 2], "queued": [3]}
    assert api.get(f"{BATCHES}/{answer.data['id']}/items", {"status": "gone"}).fields.keys() == {"status"}


def test_batches_are_listed_newest_first_and_by_type(api: Api, workspace: Workspace) -> None:
    make_template(workspace)
    ids = [api.post(BATCH, batch(item())).data["id"] for _ in range(3)]
    recipient = {"to": "ada@example.com", "data": {}}
    made = api.post(
        "/v1/mail/batch-template", {"template": "welcome", "from": "shop@shop.example", "recipients": [recipient]}
    )

    page = api.get(BATCHES, {"limit": 2})
    rest = api.get(BATCHES, {"limit": 2, "cursor": page.data["nextCursor"]})

    assert [row["id"] for row in page.rows + rest.rows] == [made.data["id"], *ids[::-1]]
    assert rest.data["nextCursor"] is None
    assert [row["id"] for row in api.get(BATCHES, {"type": "template"}).rows] == [made.data["id"]]
    assert api.get(BATCHES, {"type": "x"}).status == 400


def test_a_replayed_item_follows_its_earlier_message(api: Api, workspace: Workspace) -> None:
    single = api.post(SEND, {"from": "shop@shop.example", **item(idempotencyKey="k")})
    answer = api.post(BATCH, batch(item(idempotencyKey="k")))
    Message.objects.of(workspace.pk).filter(pk=single.data["id"]).update(status="bounced")

    assert read(api, answer.data["id"])["status"] == "failed"


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_was_delivered_is_completed(api: Api, settings: Any) -> None:
    settings.MAIL_TRANSPORT = "capture"
    answer = api.post(BATCH, batch(item(0), item(1), item(2, to="bounce@example.com"), item(3, to="x")))

    drain(until_idle=True)

    whole = read(api, answer.data["id"])
    assert (whole["status"], whole["sentCount"], whole["failedCount"]) == ("partially_failed", 2, 2)
    assert whole["completedAt"] >= whole["createdAt"]


@pytest.mark.django_db(transaction=True)
def test_a_batch_delays_no_other_mail(api: Api, workspace: Workspace) -> None:
    api.post(BATCH, batch(*[item(number) for number in range(50)]))
    single = api.post(SEND, mail())

    claimed = Claimer().claim(dict.fromkeys(Lane, 10))

    assert str(claimed[0].message_id) == single.data["id"]
    assert {holding.lane for holding in claimed[1:]} == {Lane.BULK}
