"""Bounces and suppressions of before are found by address afterwards, and metadata keeps its meaning."""

from collections.abc import Iterator

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from apps.core.ids import new_id

BEFORE = [("mail_messages", "0004_origins_attachments_and_sealed_content"), ("suppressions", "0001_initial")]
EMAILS = {
    "Ada@Example.com": "ada@example.com",
    "JÖRG@example.com": "jÖrg@example.com",
    "ΣΑΣ@X.de": "ΣΑΣ@x.de",
}


@pytest.fixture
def executor(transactional_db: None) -> Iterator[MigrationExecutor]:
    executor = MigrationExecutor(connection)
    executor.migrate(BEFORE)
    yield MigrationExecutor(connection)
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def test_bounces_get_their_keys_and_metadata_its_text(executor: MigrationExecutor) -> None:
    leaves = executor.loader.graph.leaf_nodes("workspaces")
    old = executor.loader.project_state([*BEFORE, *leaves]).apps
    workspace = old.get_model("workspaces", "Workspace").objects.create(slug="shop", name="shop")
    now = timezone.now()
    message = old.get_model("mail_messages", "Message")(
        id=new_id(), workspace=workspace, from_email="a@b.example", created_at=now, updated_at=now
    )
    message.save()
    about = {"workspace": workspace, "message": message}
    recipient = old.get_model("mail_messages", "Recipient")(id=new_id(), position=0, queued_at=now, **about)
    recipient.save()
    bounces = old.get_model("mail_messages", "Bounce")
    for email in EMAILS:
        bounces(id=new_id(), recipient=recipient, email=email, occurred_at=now, created_at=now, **about).save()
    suppression = old.get_model("suppressions", "Suppression")
    suppression(id=new_id(), workspace=workspace, email="a@b.example", key="a@b.example", metadata={"a": ["ü"]}).save()

    executor.migrate(executor.loader.graph.leaf_nodes())

    new = MigrationExecutor(connection).loader.project_state(executor.loader.graph.leaf_nodes()).apps
    rows = new.get_model("mail_messages", "Bounce")._base_manager.all()
    assert {row.email: (row.key, row.rule) for row in rows} == {email: (key, "") for email, key in EMAILS.items()}
    assert new.get_model("suppressions", "Suppression")._base_manager.get().metadata == {"a": ["ü"]}
