"""What may go wrong in people's mail programs is said before a version is sent."""

from typing import Any

import pytest

from apps.workspaces.models import Workspace
from tests import stored
from tests.client import TEMPLATES, Api
from tests.templates.making import make_template

HERE = f"{TEMPLATES}/welcome/diagnostics"


def found(api: Api, **body: Any) -> dict[str, dict[str, Any]]:
    answer = api.post(HERE, body)
    assert answer.status == 200
    return {row["code"]: row for row in answer.data["diagnostics"]}


@pytest.mark.parametrize(
    ("html", "code", "severity", "items"),
    [
        ('<img src="https://x.example/a.png">', "missing_alt", "warning", ["https://x.example/a.png"]),
        ('<img src="/a.png" alt="">', "image_without_address", "critical", ["/a.png"]),
        ('<img src="http://x.example/a.png" alt="">', "image_not_https", "warning", ["http://x.example/a.png"]),
        ('<img src="data:image/png;base64,AA" alt="">', "image_in_html", "warning", ["data:image/png;base64,AA"]),
        ('<a href="">x</a>', "link_empty", "warning", [""]),
        ('<a href="#">x</a>', "link_empty", "warning", ["#"]),
        ('<a href="javascript:x">x</a>', "link_script", "critical", ["javascript:x"]),
        ('<a href="/orders">x</a>', "link_relative", "critical", ["/orders"]),
        ('<a href="www.x.example">x</a>', "link_relative", "critical", ["www.x.example"]),
        ('<a href="https://">x</a>', "link_broken", "critical", ["https://"]),
        ('<a href="https:/x">x</a>', "link_broken", "critical", ["https:/x"]),
        ('<a href="https://a b/">x</a>', "link_broken", "critical", ["https://a b/"]),
        ('<a href="https://[x/">x</a>', "link_broken", "critical", ["https://[x/"]),
        ('<a href="https://x.example:99999/">x</a>', "link_broken", "critical", ["https://x.example:99999/"]),
        ('<a href="http://x.example/">x</a>', "link_not_https", "warning", ["http://x.example/"]),
        ('<a href="ftp://x.example/">x</a>', "link_unusual", "info", ["ftp://x.example/"]),
        ("<script>x</script><form></form>", "inert_tags", "warning", ["form", "script"]),
        ('<link rel="stylesheet" href="https://x.example/a.css">', "remote_style", "warning", []),
        (f"<p>{'x' * 104_500}</p>", "clipped", "warning", []),
    ],
)
def test_finds(api: Api, workspace: Workspace, html: str, code: str, severity: str, items: list[str]) -> None:
    make_template(workspace, html=html)

    findings = found(api, data={})

    assert list(findings) == [code]
    assert (findings[code]["severity"], findings[code]["part"], findings[code]["items"]) == (severity, "html", items)


def test_nothing_is_wrong_with_a_good_mail(api: Api, workspace: Workspace) -> None:
    links = "".join(
        f'<a href="{address}">x</a>' for address in ("https://x.example/", "mailto:a@x.example", "tel:+1", "#a")
    )
    make_template(workspace, html=f'<p>{links}<img src="cid:logo" alt="Logo"></p>')

    answer = api.post(HERE, {"data": {}})

    assert answer.data["diagnostics"] == []
    assert answer.data["sizeBytes"] == len(f'<p>{links}<img src="cid:logo" alt="Logo"></p>')


def test_names_missing_and_unused_variables(api: Api, workspace: Workspace) -> None:
    make_template(workspace, html="<p>{{ order.id }}{% for i in list %}{{ i }}{% endfor %}</p>")

    answer = api.post(HERE, {"data": {"order": {}, "list": [], "nmae": "Ada"}})

    assert answer.data["missingVariables"] == ["order.id"]
    assert answer.data["unusedVariables"] == ["nmae"]
    assert [row["code"] for row in answer.data["diagnostics"]] == ["missing_variables", "unused_variables"]


def test_only_a_broadcast_needs_a_way_out(api: Api, workspace: Workspace) -> None:
    make_template(workspace)

    assert list(found(api, stream="broadcast")) == ["no_unsubscribe_link"]
    assert list(found(api, stream="transactional")) == list(found(api)) == []
    assert api.post(HERE, {"stream": "other"}).status == 400


def test_tells_of_parts_and_css_and_subjects(api: Api, workspace: Workspace) -> None:
    make_template(workspace, subject="x" * 90, html="<style>p{color:{{ c }}}</style><p>x</p>", text="")

    findings = found(api, data={"c": "red"})

    assert list(findings) == ["css_not_inlined", "long_subject", "no_text_part"]
    assert "depends on variables" in findings["css_not_inlined"]["message"]


def test_an_empty_subject_is_the_worst(api: Api, workspace: Workspace) -> None:
    make_template(workspace, subject="{{ s }}")

    assert next(iter(found(api, data={"s": " "}))) == "empty_subject"


def test_what_cannot_be_rendered_is_a_finding_and_no_error(api: Api, workspace: Workspace) -> None:
    make_template(workspace, html='<a href="{{ u }}">x</a>')
    before = stored.everything()

    findings = found(api, data={"u": "javascript:x"})

    assert list(findings) == ["render_failed"]
    assert "javascript" in findings["render_failed"]["message"]
    assert stored.everything() == before


def test_looks_at_a_pinned_version(api: Api, workspace: Workspace) -> None:
    first = make_template(workspace, html='<a href="">x</a>').active_version_id
    api.patch(f"{TEMPLATES}/welcome", {"html": "<p>x</p>"})

    assert found(api) == {}
    assert list(found(api, versionId=str(first))) == ["link_empty"]
