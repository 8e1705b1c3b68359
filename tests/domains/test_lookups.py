"""Whom the doctor asks."""

from django.test import override_settings

from apps.domains.lookups import look
from apps.protocols.authority import AuthorityResolver
from apps.protocols.dns import Resolver


def test_the_operators_servers_and_nobody_else_where_they_are_named() -> None:
    with override_settings(MAIL_DNS_SERVERS="127.0.0.1:5353,[::1]:53"):
        way = look("shop.example")

    assert isinstance(way, Resolver)
    assert way.servers == (("127.0.0.1", 5353), ("::1", 53))


def test_else_the_name_servers_of_each_zone() -> None:
    with override_settings(MAIL_DNS_SERVERS=""):
        assert isinstance(look("shop.example"), AuthorityResolver)
