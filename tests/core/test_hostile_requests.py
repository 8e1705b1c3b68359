"""Requests that a careless reading would take for something else, or fall over."""

import pytest

from apps.messages.models import Message
from apps.workspaces.models import Workspace
from tests.client import EVENTS, MESSAGES, SEND, Api, mail


@pytest.mark.parametrize("path", [MESSAGES, EVENTS])
@pytest.mark.parametrize(
    "limit", ["0000500", "000050", "0001", "000099" + "9" * 30, "000001" + "9" * 4_994, "0" * 5_000], ids=len
)
def test_a_limit_is_at_most_three_digits(api: Api, path: str, limit: str) -> None:
    answer = api.get(path, {"limit": limit})

    assert (answer.status, answer.fields) == (400, {"limit": ["must be a whole number from 1 to 100"]})


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0000-12-31T23:59:59Z"])
def test_a_time_that_utc_has_no_name_for_is_refused(api: Api, name: str, moment: str) -> None:
    answer = api.get(EVENTS, {name: moment})

    assert (answer.status, list(answer.fields)) == (400, [name])


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-05-12T09:00:00+23:59"])
def test_the_first_and_the_last_time_are_times(api: Api, moment: str) -> None:
    assert api.get(EVENTS, {"from": moment}).status == 200


@pytest.mark.parametrize("joined", ["a,b", "a, b", "a,a", ",", "a,"])
def test_two_idempotency_keys_in_one_header_are_refused(api: Api, workspace: Workspace, joined: str) -> None:
    answer = api.post(SEND, mail(), Idempotency_Key=joined)

    assert (answer.status, list(answer.fields)) == (400, ["idempotencyKey"])
    assert Message.objects.of(workspace.pk).count() == 0


def test_a_comma_in_the_bodys_idempotency_key_is_a_comma(api: Api) -> None:
    first, second = (api.post(SEND, mail(idempotencyKey="a,b")) for _ in range(2))

    assert first.status == 202
    assert second.data["id"] == first.data["id"]
