"""What was stored before keys could change is brought into the new columns."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from apps.core.ids import new_id

BEFORE = ("domains", "0003_keys_have_a_life")
AFTER = ("domains", "0004_earlier_keys_sign_and_earlier_domains_are_checked")
TRUSTED = "Taken as right: this is the demonstration's own domain."


@pytest.fixture
def before(transactional_db: None) -> Iterator[Apps]:
    yield migrated(BEFORE)
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def migrated(target: tuple[str, str]) -> Apps:
    """The models as of then, over workspaces as of now: their tables do not go back with those of the domains."""
    executor = MigrationExecutor(connection)
    executor.migrate([target])
    apps: Apps = executor.loader.project_state([target, *executor.loader.graph.leaf_nodes("workspaces")]).apps
    return apps


def make(apps: Apps, name: str, status: str, explanation: str = "") -> dict[str, Any]:
    """The rows of one domain as they were."""
    workspace_model, domain_model, key_model, record_model = (
        apps.get_model(app, model)
        for app, model in (
            ("workspaces", "Workspace"),
            ("domains", "Domain"),
            ("domains", "DkimKey"),
            ("domains", "DomainRecord"),
        )
    )
    workspace, _ = workspace_model.objects.get_or_create(slug="shop", defaults={"name": "shop"})
    about = {"workspace": workspace, "domain": domain_model(id=new_id(), workspace=workspace, name=name, status=status)}
    about["domain"].save()
    key = key_model(id=new_id(), selector="ss1", private_sealed="sealed", **about)
    key.save()
    for position, purpose in enumerate(("spf", "dkim")):
        record = record_model(id=new_id(), position=position, purpose=purpose, type="TXT", name=name, **about)
        record.value, record.required, record.explanation = "v", True, explanation
        record.save()
    return {"domain": about["domain"].pk, "key": key.pk}


def test_keys_sign_on_records_know_their_key_and_domains_are_looked_at(before: Apps) -> None:
    shop = make(before, "shop.example", "verified")
    make(before, "off.example", "disabled")
    make(before, "demo.example", "verified", TRUSTED)
    began = timezone.now()

    after = migrated(AFTER)

    domains = {row.name: row for row in after.get_model("domains", "Domain")._base_manager.all()}
    key = after.get_model("domains", "DkimKey")._base_manager.get(pk=shop["key"])
    records = after.get_model("domains", "DomainRecord")._base_manager.filter(domain_id=shop["domain"])
    assert (key.state, key.algorithm, key.activated_at) == ("active", "rsa", key.created_at)
    assert {row.purpose: row.key_id for row in records} == {"spf": None, "dkim": shop["key"]}
    assert domains["shop.example"].next_check_at >= began
    assert {name: row.is_trusted for name, row in domains.items()} == {
        "shop.example": False,
        "off.example": False,
        "demo.example": True,
    }
    assert (domains["off.example"].next_check_at, domains["demo.example"].next_check_at) == (None, None)
