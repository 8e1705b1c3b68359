"""Whoever dies, wherever it is, loses nothing: the next one fans out, or sends, what was not recorded."""

from datetime import timedelta
from typing import Any

import pytest

from apps.core.crypto import derived_keys
from apps.events.models import Event
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.services import claiming, fan_out, recording, sending
from tests.fakes.web_sink import Got, Say, WebSink
from tests.webhooks.conftest import Hooks, age, row_of

pytestmark = pytest.mark.django_db(transaction=True)


class Died(BaseException):
    """Nothing of ours catches it."""


def die(*_: Any, **__: Any) -> Any:
    raise Died


@pytest.mark.parametrize("step", ["_listening", "_deliver", "insert", "make_due"])
def test_fanning_out_is_all_or_nothing(hooks: Hooks, sink: WebSink, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    hooks.register(sink.url())
    ids = hooks.happen(5)

    with monkeypatch.context() as patch:
        patch.setattr(fan_out, step, die)
        with pytest.raises(Died):
            fan_out.fan_out()

    assert Delivery.objects.across_workspaces().count() == 0
    assert Event.objects.across_workspaces().exclude(fanned_out_at=None).count() == 0
    hooks.send()
    assert sorted(sink.ids()) == ids


@pytest.mark.parametrize(
    ("module", "step"),
    [
        (sending, "next_batch"),
        (sending, "record"),
        (recording, "insert"),
        (recording, "record_events"),
        (recording, "_save"),
        (sending, "release"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_recorded_is_sent_again_when_the_claim_has_run_out(
    hooks: Hooks, sink: WebSink, monkeypatch: pytest.MonkeyPatch, caplog: Any, module: Any, step: str
) -> None:
    endpoint = hooks.register(sink.url())
    ids = hooks.happen(3)

    def fail(*_: Any) -> Any:
        raise RuntimeError("died here")

    with monkeypatch.context() as patch:
        patch.setattr(module, step, fail)
        hooks.send()

    before = len(sink.got)
    hooks.send()
    if step != "release":  # by then all was recorded, and the claim given up with the last record
        assert len(sink.got) == before
        assert row_of(endpoint).lease_until is not None
    age(endpoint, lease_until=claiming.LEASE + timedelta(seconds=1))
    hooks.send()
    assert sorted(set(sink.ids())) == ids
    assert {d["status"] for d in hooks.deliveries(endpoint["id"])} == {"succeeded"}
    assert {d["attemptCount"] for d in hooks.deliveries(endpoint["id"])} == {1}


def test_a_sender_that_lost_its_claim_records_nothing_twice(hooks: Hooks, sink: WebSink) -> None:
    """It froze while the server answered; another one has sent and recorded meanwhile."""
    endpoint = hooks.register(sink.url())
    hooks.happen()
    first = True

    def answering(got: Got) -> Say:
        nonlocal first
        if first:
            first = False
            row = Endpoint.objects.across_workspaces().get(pk=endpoint["id"])
            (parcel,) = claiming.next_batch(row.pk, 10)
            other = claiming.Claim(row.pk, row.pk, row.url, "", 0)
            recording.record(other, [recording.Result(parcel, row.created_at, 5, status_code=200)])
        return Say(500)

    sink.answering = answering
    hooks.send()

    (delivery,) = hooks.deliveries(endpoint["id"])
    assert (delivery["status"], delivery["attemptCount"], len(sink.got)) == ("succeeded", 1, 1)


def test_a_secret_that_cannot_be_opened_counts_against_nobody(hooks: Hooks, sink: WebSink, settings: Any) -> None:
    endpoint = hooks.register(sink.url())
    (event_id,) = hooks.happen()
    assert derived_keys("x")
    right = settings.FIELD_KEYS
    settings.FIELD_KEYS = ["b3RoZXItdGhhbi1pdC13YXMtMDAwMDAwMDAwMDAwMDA="]

    hooks.send()

    shown = hooks.endpoint(endpoint["id"])
    assert (shown["status"], shown["failureCount"]) == ("active", 0)
    assert shown["lastError"].startswith("Its secret cannot be opened here")
    settings.FIELD_KEYS = right
    hooks.send_later()
    assert sink.ids() == [event_id]
