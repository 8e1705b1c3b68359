"""What happens to a domain while a look at it is under way: whoever comes second finds a normal answer."""

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest

from apps.domains.api import views
from apps.domains.models import DkimKey, Domain
from apps.domains.services import keys, registry
from apps.domains.services.sending import signing_keys
from tests.client import DOMAINS
from tests.conftest import World
from tests.domains.conftest import publish
from tests.fakes.dns_server import DnsServer
from tests.parallel import at_once

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 8


def domain_of(world: World, dns: DnsServer) -> dict[str, Any]:
    (data,) = world.owner.api.get(DOMAINS).rows
    publish(dns, data)
    return dict(data)


@pytest.mark.parametrize("method", ["DELETE", "rotate", "verify", "second-signature"])
def test_a_deletion_beside_it_leaves_nothing_and_breaks_nothing(world: World, dns: DnsServer, method: str) -> None:
    domain_id = domain_of(world, dns)["id"]
    path = f"{DOMAINS}/{domain_id}"
    call = world.owner.api.call
    others: dict[str, Callable[[], Any]] = {
        "DELETE": partial(call, "DELETE", path),
        "rotate": partial(call, "POST", f"{path}/rotate"),
        "verify": partial(call, "POST", f"{path}/verify"),
        "second-signature": partial(call, "PUT", f"{path}/second-signature"),
    }

    answers = at_once([others[method], others["verify"], partial(call, "DELETE", path), others[method]], workers=4)

    assert {answer.status for answer in answers} <= {200, 204, 404}
    assert Domain.objects.across_workspaces().filter(pk=domain_id).count() == 0
    assert DkimKey.objects.across_workspaces().filter(domain_id=domain_id).count() == 0


def test_a_key_that_is_seen_and_withdrawn_at_once_leaves_one_that_signs(world: World, dns: DnsServer) -> None:
    domain = domain_of(world, dns)
    path = f"{DOMAINS}/{domain['id']}"
    row = Domain.objects.across_workspaces().get(pk=domain["id"])
    for _ in range(ROUNDS):
        publish(dns, world.owner.api.post(f"{path}/rotate").data)

        at_once([partial(world.owner.api.post, f"{path}/verify"), partial(keys.withdraw, row)], workers=2)

        active = DkimKey.objects.across_workspaces().filter(domain=row, state="active")
        assert active.count() == 1
        assert row.pk in signing_keys([row.pk])[0]


def test_a_domain_that_is_disabled_meanwhile_stays_so(world: World, dns: DnsServer) -> None:
    domain = domain_of(world, dns)
    row = Domain.objects.across_workspaces().get(pk=domain["id"])

    at_once([partial(world.owner.api.post, f"{DOMAINS}/{row.pk}/verify"), partial(registry.disable, row)], workers=2)

    row.refresh_from_db()
    assert row.status == "disabled"


@pytest.mark.parametrize("path", ["", "/{id}"])
def test_a_deletion_between_a_domain_and_its_records_is_no_error(world: World, dns: DnsServer, path: str) -> None:
    domain_id = domain_of(world, dns)["id"]

    with (
        patch.object(views, "records_of_each", lambda domains: {domain.pk: [] for domain in domains}),
        patch.object(views, "records_of", return_value=[]),
    ):
        answer = world.owner.api.get(f"{DOMAINS}{path.format(id=domain_id)}")

    assert (answer.status, answer.rows if answer.status == 200 else None) == ((404, None) if path else (200, []))
