"""`manage.py check_domain`: the doctor for whoever has a terminal; it reads, explains and changes nothing."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.domains.models import Domain
from tests import stored
from tests.client import DOMAINS, Api
from tests.conftest import World
from tests.domains.conftest import publish
from tests.factories import make_domain
from tests.fakes.dns_server import DnsServer


def check(*arguments: str) -> tuple[int, str]:
    """The exit code, and what stood on the terminal."""
    out = StringIO()
    try:
        call_command("check_domain", *arguments, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_a_domain_in_order_is_told_to_be_right(api: Api, world: World, dns: DnsServer) -> None:
    (domain,) = api.get(DOMAINS).rows
    publish(dns, domain)
    before = stored.everything()

    code, told = check("Shop.Example.")

    assert code == 0
    assert told.startswith("shop.example, as workspace shop has it (verified)\n")
    assert told.count("  right: ") == 4
    assert stored.everything() == before


def test_what_is_wrong_is_shown_with_its_mend_and_ends_in_one(api: Api, world: World, dns: DnsServer) -> None:
    (domain,) = api.get(DOMAINS).rows
    publish(dns, domain)
    dns.set("shop.example", "TXT", "v=spf1 include:spf.localhost +all")
    dns.remove("bounces.shop.example")

    code, told = check("shop.example")

    assert code == 1
    assert "  WRONG: spf TXT shop.example\n" in told
    assert "    wanted  v=spf1 include:spf.localhost ~all\n    found   v=spf1 include:spf.localhost +all\n" in told
    assert "which lets every server of the world send" in told
    assert "  MISSING: return_path CNAME bounces.shop.example\n" in told
    assert "    cached  resolvers may hold this answer for 60 s after they asked\n" in told


def test_each_workspace_that_has_the_name_is_told(world: World, dns: DnsServer) -> None:
    make_domain(world.stranger.workspace, "shop.example", verified=False)

    _code, told = check("shop.example")

    assert told.count("as workspace") == 2
    assert check("shop.example", "--workspace", "stranger")[1].count("as workspace") == 1


def test_a_name_that_nobody_has_is_checked_for_its_policies(db: None, dns: DnsServer) -> None:
    dns.set("elsewhere.example", "TXT", "v=spf1 include:spf.localhost ~all")

    code, told = check("elsewhere.example")

    assert code == 0
    assert "no workspace has it" in told
    assert "  right: spf TXT elsewhere.example\n" in told
    assert "  MISSING: dmarc TXT _dmarc.elsewhere.example (not required)\n" in told


@pytest.mark.parametrize("name", ["", "localhost", "a b.example", "user@shop.example", "x" * 300])
def test_what_is_no_domain_is_refused(db: None, name: str) -> None:
    with pytest.raises(CommandError):
        call_command("check_domain", name)


def test_a_workspace_without_the_name_is_refused(world: World) -> None:
    with pytest.raises(CommandError, match=r"The workspace stranger does not have shop\.example\."):
        call_command("check_domain", "shop.example", "--workspace", "stranger")
    assert Domain.objects.across_workspaces().count() == 2
