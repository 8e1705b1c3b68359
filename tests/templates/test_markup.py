"""HTML is read as browsers read it, whatever it is."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.templates.engine.markup import Comment, Tag, read, unescape
from apps.workspaces.models import Workspace
from tests.client import TEMPLATES, Api
from tests.console.conftest import console, staff
from tests.templates.making import make_template, version_ids

__all__ = ["console", "staff"]

ENDLESS = "&#" + "9" * 5_000 + ";"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a &amp; b &#65;&#x41; &eacute", "a & b AA é"),
        (ENDLESS, "\ufffd"),
        ("&#" + "0" * 5_000 + "65;", "A"),
        ("&#00000000;", "\ufffd"),
        ("&#1114111;&#1114112;", "\ufffd"),
        ("&#x" + "f" * 5_000 + ";", "\ufffd"),
        ("&#99999999&#65", "\ufffdA"),
    ],
)
def test_entities_of_any_length_are_read(written: str, meant: str) -> None:
    assert unescape(written) == meant


@pytest.mark.parametrize("source", ["<!-- a --><b>", "<!-- a --!><b>", "<!--><b>", "<!---><b>", "<!-- <b --><b>"])
def test_a_comment_ends_where_a_browser_ends_it(source: str) -> None:
    tokens = list(read(source))

    assert [type(token) for token in tokens] == [Comment, Tag]
    assert source[tokens[1].start :] == "<b>"


@pytest.mark.parametrize(
    "html",
    [
        f"<p>{ENDLESS}</p>",
        f'<a href="{ENDLESS}">x</a>',
        f'<img alt="" src="{ENDLESS}">',
        f"<style>p{{color:red}}</style><p>{ENDLESS}</p>",
        f"<p>{ENDLESS}</p>" + "<div>" * 200,
        "<p>{{ v | escape_once }}</p>",
    ],
)
def test_a_number_of_five_thousand_digits_is_no_error_anywhere(
    api: Api, workspace: Workspace, console: Client, html: str
) -> None:
    template = make_template(workspace, html=html, text="")
    data = {"v": ENDLESS}

    for call in ("preview", "diagnostics"):
        assert api.post(f"{TEMPLATES}/welcome/{call}", {"data": data}).status == 200
    page = reverse("admin:templates_template_preview", args=(version_ids(template)["version_id"],))
    assert console.get(page).status_code == 200
