"""Every form in which a caller may write an address, and every spelling that is refused."""

from typing import Any

import pytest

from apps.messages.models import Message, MessageContent, Recipient
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import SEND, Api, mail
from tests.conftest import World
from tests.factories import make_domain

ADA = ("to", "ada@example.com", "")
NAMED = ("to", "ada@example.com", "Ada Lovelace")
BOB = ("to", "bob@example.com", "")
ACCEPTED: dict[str, tuple[Any, list[tuple[str, str, str]]]] = {
    "text": ("ada@example.com", [ADA]),
    "text with a name": ("Ada Lovelace <ada@example.com>", [NAMED]),
    "text with a quoted name": ('"Lovelace, Ada" <ada@example.com>', [("to", "ada@example.com", "Lovelace, Ada")]),
    "object": ({"email": "ada@example.com"}, [ADA]),
    "object with a name": ({"email": "ada@example.com", "name": "Ada Lovelace"}, [NAMED]),
    "object without a name": ({"email": "ada@example.com", "name": None}, [ADA]),
    "list of texts": (["ada@example.com", "bob@example.com"], [ADA, BOB]),
    "list of objects": ([{"email": "ada@example.com"}, {"email": "bob@example.com"}], [ADA, BOB]),
    "mixed list": (["Ada Lovelace <ada@example.com>", {"email": "bob@example.com"}], [NAMED, BOB]),
}
LONG_LABEL = "b" * 63
# 254 octets: a local part of 62, the @, and a domain of 191.
LONG_DOMAIN = f"{LONG_LABEL}.{LONG_LABEL}.{'b' * 63}"
LONGEST = f"{'a' * 62}@{LONG_DOMAIN}"
STORED_AS = {
    "ada@EXAMPLE.com": "ada@example.com",
    "Ada.B+tag@example.com": "Ada.B+tag@example.com",
    "  ada@example.com  ": "ada@example.com",
    "a@b.test": "a@b.test",
    "a@b.example": "a@b.example",
    f"{'a' * 64}@example.com": f"{'a' * 64}@example.com",
    f"a@{LONG_LABEL}.example": f"a@{LONG_LABEL}.example",
    LONGEST: LONGEST,
    "a@bücher.example": "a@xn--bcher-kva.example",
    "a@bu\u0308cher.example": "a@xn--bcher-kva.example",
    "a@BÜCHER.example": "a@xn--bcher-kva.example",
    "a@xn--bcher-kva.example": "a@xn--bcher-kva.example",
    "a@straße.example": "a@xn--strae-oqa.example",
    "a@ＥＸＡＭＰＬＥ.com": "a@example.com",
    "jörg@example.com": "jörg@example.com",
    "jo\u0308rg@example.com": "jörg@example.com",
    "o'neil@example.com": "o'neil@example.com",
    "{curly}@example.com": "{curly}@example.com",
}
REFUSED = [
    *("", " ", "a", "a@", "@b", "a@b", "a@@b.c", "a b@c.d", "a@b..c", ".a@b.c", "a.@b.c", "a..b@c.d"),
    *(
        "a@localhost",
        "a@[127.0.0.1]",
        "a@[IPv6:::1]",
        "a@127.0.0.1",
        "a@0x7f.1",
        "a@b.invalid",
        "a@b.local",
        "a@b.onion",
    ),
    *(
        f"{'a' * 65}@example.com",
        f"a{LONGEST}",
        f"a@{'b' * 64}.example",
        f"{'ä' * 33}@example.com",
        "a" * 300 + "@b.example",
    ),
    *('"a b"@example.com', '"a\\"b"@example.com', '"@"@example.com', '"user"@example.com'),
    *(
        "=?utf-8?q?a?=@example.com",
        "group:a@example.com;",
        "@relay.example:a@example.com",
        "a%b@example.com",
        "b!a@example.com",
    ),
    *(
        "a(comment)@example.com",
        "a@example.com:25",
        "a@example.com (comment)",
        "mailto:a@example.com",
        "<a@example.com>",
    ),
    *(
        "a@example.com.",
        "a@example.com, b@example.com",
        "a@example.com;b@example.com",
        "a@*.example.com",
        "a@_dmarc.example.com",
    ),
    *(
        "a@example.com\n",
        "\na@example.com",
        "a@example.com\r\nBcc: b@example.com",
        "a\t@example.com",
        "a@exam\u00adple.com\0",
    ),
    *(
        "a\u200d@example.com",
        "a\u00ad@example.com",
        "a\u2028@example.com",
        "a\u00a0b@example.com",
        "a\ufeff@example.com",
    ),
    *(
        "a@☃.\u0000net",
        "a@xn--",
        "a@xn--a.example",
        "a@-b.example",
        "a@b-.example",
        "a@ab--cd.example",
        "a@b_c.example",
    ),
    *(
        "Ada <a@example.com",
        "Ada a@example.com>",
        "Ada <>",
        "Ada <a@example.com> x",
        "A, B <a@example.com>",
        "<<a@example.com>>",
    ),
    *("Ada\r\nBcc: x@example.com <a@example.com>", "Ada\u202e <a@example.com>", "=?utf-8?q?x?= <a@example.com>"),
    *("x" * 201 + " <a@example.com>", "x" * 100_000, "a@" + "a." * 25_000, "(" * 5_000 + "@example.com"),
]
WRONG_TYPES: list[Any] = [
    *(1, 1.5, True, [[]], [["a@example.com"]], [None], {}),
    *({"email": None}, {"email": 1}, {"email": ["a@example.com"]}, {"name": "Ada"}),
    *({"email": "a@example.com", "name": 1}, {"email": "a@example.com", "extra": "x"}),
    *({"email": "Ada <a@example.com>"}, {"email": "a@example.com", "name": "x\r\nBcc: b@example.com"}),
    *({"email": "a@example.com", "name": "x" * 201}, {"email": "a@example.com", "name": "=?utf-8?q?x?="}),
    {"email": "a@example.com", "name": "\u202emoc.knab"},
]


def recipients(workspace: Workspace) -> list[tuple[str, str, str]]:
    rows = Recipient.objects.of(workspace.pk).order_by("position")
    return list(rows.values_list("kind", "email", "name"))


@pytest.mark.parametrize(("form", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_takes_every_form(api: Api, workspace: Workspace, form: Any, expected: list[tuple[str, str, str]]) -> None:
    answer = api.post(SEND, mail(to=form))

    assert answer.status == 202
    assert recipients(workspace) == expected


@pytest.mark.parametrize(("form", "expected"), ACCEPTED.values(), ids=ACCEPTED)
@pytest.mark.parametrize("kind", ["cc", "bcc"])
def test_takes_every_form_in_cc_and_bcc(
    api: Api, workspace: Workspace, kind: str, form: Any, expected: list[tuple[str, str, str]]
) -> None:
    api.post(SEND, mail(to="first@example.com", **{kind: form}))

    assert recipients(workspace)[1:] == [(kind, email, name) for _to, email, name in expected]


@pytest.mark.parametrize("form", ["Shop <shop@shop.example>", {"email": "shop@SHOP.example", "name": "Shop"}])
def test_takes_both_forms_as_sender_and_for_replies(api: Api, workspace: Workspace, form: Any) -> None:
    api.post(SEND, mail(**{"from": form}, replyTo=form))

    message = Message.objects.of(workspace.pk).get()
    content = MessageContent.objects.get(message=message)
    assert (message.from_email, message.from_name) == ("shop@shop.example", "Shop")
    assert (content.reply_to_email, content.reply_to_name) == ("shop@shop.example", "Shop")


@pytest.mark.parametrize(("written", "expected"), STORED_AS.items(), ids=lambda text: text[:30])
def test_stores_the_canonical_form(api: Api, workspace: Workspace, written: str, expected: str) -> None:
    answer = api.post(SEND, mail(to=written))

    assert answer.status == 202
    assert [email for _kind, email, _name in recipients(workspace)] == [expected]


@pytest.mark.parametrize("written", REFUSED, ids=lambda text: repr(text[:30]))
def test_refuses_other_spellings(api: Api, written: str) -> None:
    before = stored.everything()

    answer = api.post(SEND, mail(to=[{"email": "ok@example.com"}, written]))

    assert (answer.status, answer.code) == (400, "validation_error")
    assert list(answer.fields) == ["to.1"]
    assert stored.everything() == before


@pytest.mark.parametrize("field", ["from", "to", "cc", "bcc", "replyTo"])
@pytest.mark.parametrize("value", WRONG_TYPES, ids=lambda value: repr(value)[:40])
def test_refuses_other_types(api: Api, field: str, value: Any) -> None:
    before = stored.everything()

    answer = api.post(SEND, mail(**{field: value}))

    assert (answer.status, answer.code) == (400, "validation_error")
    assert [name for name in answer.fields if not name.startswith(field)] == []
    assert stored.everything() == before


@pytest.mark.parametrize("field", ["to", "cc", "bcc"])
def test_refuses_an_empty_list(api: Api, field: str) -> None:
    answer = api.post(SEND, mail(**{field: []}))

    assert answer.fields == {field: ["must name at least one address"]}


@pytest.mark.parametrize("field", ["from", "replyTo"])
def test_refuses_a_list_where_one_address_belongs(api: Api, field: str) -> None:
    answer = api.post(SEND, mail(**{field: ["shop@shop.example"]}))

    assert list(answer.fields) == [field]


def test_names_each_address_that_is_wrong(api: Api) -> None:
    answer = api.post(SEND, mail(to=["ok@example.com", "a", "b"]))

    assert list(answer.fields) == ["to.1", "to.2"]


@pytest.mark.parametrize("field", ["cc", "bcc", "replyTo"])
def test_takes_null_for_absent(api: Api, workspace: Workspace, field: str) -> None:
    body = mail() | {field: None}

    assert api.post(SEND, body).status == 202
    assert recipients(workspace) == [ADA]


@pytest.mark.parametrize("field", ["from", "to", "subject"])
def test_refuses_null_where_something_is_needed(api: Api, field: str) -> None:
    answer = api.post(SEND, mail() | {field: None})

    assert list(answer.fields) == [field]


class TestDuplicates:
    def test_are_merged_where_they_stand_first(self, api: Api, workspace: Workspace) -> None:
        body = mail(
            to=["Ada <ada@example.com>", "ADA@Example.com", " ada@example.com "],
            cc=["ada@example.com", "bob@example.com"],
            bcc=["BOB@example.com", "eve@example.com"],
        )

        assert api.post(SEND, body).status == 202

        assert recipients(workspace) == [
            ("to", "ada@example.com", "Ada"),
            ("cc", "bob@example.com", ""),
            ("bcc", "eve@example.com", ""),
        ]

    def test_are_two_where_only_a_tag_differs(self, api: Api, workspace: Workspace) -> None:
        api.post(SEND, mail(to=["ada@example.com", "ada+x@example.com"]))

        assert len(recipients(workspace)) == 2

    def test_do_not_count_against_the_cap(self, api: Api, workspace: Workspace) -> None:
        answer = api.post(SEND, mail(to=["ada@example.com"] * 60))

        assert (answer.status, recipients(workspace)) == (202, [ADA])


class TestCap:
    def test_lets_fifty_pass(self, api: Api, workspace: Workspace) -> None:
        lists = {kind: [f"{kind}{n}@example.com" for n in range(count)] for kind, count in _counts(50).items()}

        assert api.post(SEND, mail(**lists)).status == 202
        assert len(recipients(workspace)) == 50

    def test_refuses_fifty_one_together(self, api: Api) -> None:
        lists = {kind: [f"{kind}{n}@example.com" for n in range(count)] for kind, count in _counts(51).items()}
        before = stored.everything()

        answer = api.post(SEND, mail(**lists))

        assert (answer.status, list(answer.fields)) == (400, ["to"])
        assert stored.everything() == before


def _counts(total: int) -> dict[str, int]:
    return {"to": 20, "cc": 20, "bcc": total - 40}


class TestSender:
    @pytest.mark.parametrize(
        "sender",
        [
            "a@other.example",  # nobody's
            "a@stranger.example",  # another workspace's
            "a@mail.shop.example",  # below a verified domain
            "a@example",
            "a@pending.example",
        ],
    )
    def test_must_be_at_a_verified_domain_of_the_workspace(self, world: World, sender: str) -> None:
        make_domain(world.owner.workspace, "pending.example", verified=False)
        before = stored.everything()

        answer = world.owner.api.post(SEND, mail(**{"from": sender}))

        assert (answer.status, answer.code) in {(403, "domain_not_verified"), (400, "validation_error")}
        assert (answer.status == 400) == (sender == "a@example")
        assert stored.everything() == before

    def test_is_told_alike_for_nobodys_domain_and_anothers(self, api: Api) -> None:
        nobodys = api.post(SEND, mail(**{"from": "a@nobody.example"}))
        anothers = api.post(SEND, mail(**{"from": "a@stranger.example"}))

        assert nobodys.body["message"].replace("nobody.", "") == anothers.body["message"].replace("stranger.", "")
        assert nobodys.body["error"]["details"] == {"domain": "nobody.example"}
        assert anothers.body["error"]["details"] == {"domain": "stranger.example"}

    def test_is_told_what_state_its_own_domain_is_in(self, world: World) -> None:
        domain = make_domain(world.owner.workspace, "pending.example", verified=False)

        answer = world.owner.api.post(SEND, mail(**{"from": "a@pending.example"}))

        assert answer.body["error"]["details"] == {
            "domain": "pending.example",
            "domainId": str(domain.pk),
            "status": "pending",
        }

    @pytest.mark.parametrize("sender", ["", "<>", "shop@shop.example, a@shop.example", "shop", {"email": ""}])
    def test_is_one_address(self, api: Api, sender: Any) -> None:
        answer = api.post(SEND, mail(**{"from": sender}))

        assert (answer.status, list(answer.fields)) == (400, ["from"])

    @pytest.mark.parametrize("domain", ["bücher.example", "xn--bcher-kva.example", "BÜCHER.example"])
    def test_is_found_by_every_spelling_of_its_domain(self, world: World, domain: str) -> None:
        make_domain(world.owner.workspace, "xn--bcher-kva.example")

        assert world.owner.api.post(SEND, mail(**{"from": f"shop@{domain}"})).status == 202
