"""`manage.py rotate_dkim`: the same rotation for whoever has a terminal."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.domains.models import DkimKey, DomainRecord
from tests import stored
from tests.conftest import World
from tests.factories import make_domain


def rotate(*arguments: str) -> str:
    out = StringIO()
    call_command("rotate_dkim", *arguments, stdout=out)
    return out.getvalue()


def test_it_prints_the_record_to_publish(world: World) -> None:
    told = rotate("Shop.Example.", "--workspace", "shop")

    record = DomainRecord.objects.across_workspaces().get(key__state="next")
    assert told.splitlines()[1] == f"{record.name} TXT {record.value}"
    assert rotate("shop.example", "--workspace", "shop") == told


def test_it_begins_the_second_signature_where_asked(world: World) -> None:
    rotate("shop.example", "--workspace", "shop", "--algorithm", "ed25519")

    assert DkimKey.objects.across_workspaces().get(state="next").algorithm == "ed25519"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("shop.example", "--workspace", "nobody"), "There is no workspace nobody."),
        (("shop.example", "--workspace", "stranger"), r"The workspace stranger does not have shop\.example\."),
        (("new.example", "--workspace", "shop"), "verify it first"),
    ],
)
def test_it_refuses_what_cannot_be(world: World, arguments: tuple[str, ...], said: str) -> None:
    make_domain(world.owner.workspace, "new.example", verified=False)
    before = stored.everything()

    with pytest.raises(CommandError, match=said):
        rotate(*arguments)
    assert stored.everything() == before
