"""CSS moves into the tags when a version is saved, and the template's own markup stays where it was."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import Problem
from apps.templates.engine.content import Content
from apps.templates.engine.css import OPTIONAL_END, Inlined, inline
from apps.templates.engine.markup import Tag, Text, read, unescape
from apps.templates.engine.scanner import Kind, scan
from apps.workspaces.models import Workspace
from tests.client import TEMPLATES, Api

SHEET = "<style>.a{color:red}td{padding:1px}@media(max-width:600px){.a{color:blue!important}}</style>"


def markup(source: str) -> list[str]:
    return [source[piece.start : piece.end] for piece in scan(source) if piece.kind is not Kind.TEXT]


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (
            "<table>{% for i in items %}<tr><td class='a'>{{ i.name }}</td></tr>{% endfor %}</table>",
            '<table>{% for i in items %}<tr><td class="a" style="padding: 1px;color: red;">{{ i.name }}</td></tr>'
            "{% endfor %}</table>",
        ),
        (
            "<table><tbody>{% if a > 1 %}<tr><td>x</td></tr>{% endif %}</tbody></table>{{ b }}",
            '<table><tbody>{% if a > 1 %}<tr><td style="padding: 1px;">x</td></tr>{% endif %}</tbody></table>{{ b }}',
        ),
        (
            '<a class="a" href="{{ url }}?q={{ q | url_encode }}" title=\'{{ "x" }}\'>{{ a }} &amp; b</a>',
            "{{ a }} &amp; b</a>",
        ),
        ('<p class="a" style="margin:{{ m }}px">x</p>', "margin: {{ m }}px"),
        ("<title>{{ t }}</title><p class=a>{{ t }}</p>", "<title>{{ t }}</title>"),
        ("<!--[if mso]>{{ x }}<![endif]--><p class=a>x</p>", "<!--[if mso]>{{ x }}<![endif]-->"),
        ("<select class=a>{% for o in os %}<option>{{ o }}</option>{% endfor %}</select>", "{% endfor %}</select>"),
        ("{% comment %}<b>{% endcomment %}<p class=a>{% raw %}{{ x }}{% endraw %}</p>", "{% raw %}{{ x }}{% endraw %}"),
        ("<p class=a>x</p>", "@media(max-width:600px)"),
    ],
)
def test_inlines_around_the_templates_own_markup(source: str, wanted: str) -> None:
    done = inline(SHEET + source)

    assert done.refusal == ""
    assert wanted in done.html
    assert "color: red" in done.html or "padding: 1px" in done.html or "margin: " in done.html
    assert sorted(markup(done.html)) == sorted(markup(source))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("<tr><td>{{ x }}</td></tr>", "not well formed"),
        ("<table>text<tr><td>x</td></tr></table>", "not well formed"),
        ("{% if a %}<div class='a'>{% else %}<div>{% endif %}x</div>", "not well formed"),
        ("<p><b>x</p>", "not well formed"),
        ("<p class='a' style='{% if x %}color:red{% endif %}'>x</p>", "depends on conditions"),
        ("<p {% if a %}class='a'{% else %}class='b'{% endif %}>x</p>", "depend on conditions"),
        ("<style>.b{color:{{ c }}}</style><p class='b'>x</p>", "depends on variables"),
        ("<div>" * 301 + "</div>" * 301, "more than 300 levels"),
        ("<style>.b" + "(" * 40 + "</style>", "nested too deeply"),
        ("<p style='a:" + "(" * 40 + "'>x</p>", "nested too deeply"),
        ("<style>" + "p{color:red}" * 3_000 + "</style>" + "<i></i>" * 1_000, "too large"),
        ("<style>*{" + "".join(f"--p{n}:red;" for n in range(60)) + "}</style>" + "<i></i>" * 900, "would grow"),
    ],
)
def test_keeps_what_inlining_would_harm_and_says_why(source: str, reason: str) -> None:
    done = inline(SHEET + source)

    assert done.html == SHEET + source
    assert reason in done.refusal


@pytest.mark.parametrize("source", ["", "<p>{{ a }}", "<tr><td>{{ a }}", "<p {% if a %}b{% endif %}>", "a < b"])
def test_templates_without_a_style_sheet_are_not_touched(source: str) -> None:
    assert inline(source).html == source


TOO_LARGE = "the style sheet is too large for so many tags"
LEVELS = "the HTML is nested more than 300 levels deep"
SHEET_BRACKETS = "the style sheet is nested too deeply"
# Says how much CPU time the inlining alone has cost, and the refusal.
INLINED = """import time
from apps.templates.engine.css import inline
source = "<style>b{c:d}</style>" + sys.stdin.read()
began = time.thread_time()
refusal = inline(source).refusal
print(time.thread_time() - began, refusal)
"""
# The dearest takes a fraction of a second. This is for a machine that is slow and busy; the refusals are exact.
CPU_SECONDS = 10


def printed(code: str, given: str) -> str:
    """What another Python prints for this input; it has to end well."""
    command = [sys.executable, "-c", f"import sys; {code}"]
    done = subprocess.run(command, input=given, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("source", "refusal"),
    [
        ("<div>" * 12_000, LEVELS),
        ("<b></x>" * 12_000, TOO_LARGE),
        ("<p><b><i></p>" * 8_000, TOO_LARGE),
        ("<table><tr><td>" * 5_000, LEVELS),
        ("<style>" + "(" * 100_000 + "</style>", SHEET_BRACKETS),
        ("<style>" + "@media x{" * 20_000, SHEET_BRACKETS),
        ("<style>" + "a{b:" + "[" * 20_000, SHEET_BRACKETS),
        ("<p style='" + "(" * 100_000 + "'>", "a style attribute is nested too deeply"),
        ("<style>*:has(* * * *){color:red}</style>" + "<i>x</i>" * 3_000, ""),
        ("<style>" + ":not(:has(*))~*~*{a:b}" * 50 + "</style>" + "<i>x</i>" * 3_000, ""),
    ],
    ids=range(10),
)
def test_no_html_ends_the_process(source: str, refusal: str) -> None:
    """In a process of its own, because the inliner is native code that would take the tests with it."""
    seconds, _, said = printed(INLINED, source).partition(" ")

    assert said == refusal
    assert float(seconds) < CPU_SECONDS


@pytest.mark.parametrize(
    "source",
    [
        "<style>" + "".join(f"p{{x{n:x}:1}}" for n in range(20_000)) + "</style>" + "<p>a</p>" * 40,
        "<style>p{" + "".join(f"x{n:x}:1;" for n in range(20_000)) + "}</style>" + "<p>a</p>" * 40,
        "<style>" + "".join(f"p{{x{n:x}:1}}" for n in range(9_000)) + "</style>"
        "<p style='" + "".join(f"y{n:x}:1;" for n in range(9_000)) + "'>a</p>",
        "<style>" + "[z]>div>div div>div{a:b}" * 4_000 + "</style>" + ("<div>" * 290 + "</div>" * 290) * 1,
        "<style>" + "[z]~i~i~i~i{a:b}" * 200 + "</style>" + "<i></i>" * 1_200,
        "<style>" + "a{}" * 9_000 + "</style><p>a</p>",
        "<style>a{b:c}</style>" + "<p>a</p>" * 9_000,
        "<style>" + "a," * 30_000 + "a{b:c}</style>" + "<a></a>" * 300,
        "<style>" + ",".join(["p"] * 2_000) + "{" + "".join(f"x{n:x}:1;" for n in range(2_000)) + "}</style><p>a</p>",
    ],
    ids=range(9),
)
def test_a_sheet_that_would_take_long_is_not_inlined(source: str) -> None:
    began = time.thread_time()

    assert inline(source) == Inlined(source, TOO_LARGE)
    assert time.thread_time() - began < 1.5


@pytest.mark.parametrize(
    "source",
    [
        "<style>" + "".join(f"p{{x{n:x}:1}}" for n in range(1_100)) + "</style>" + "<p>a</p>" * 160,
        "<style>" + "".join(f"p{{x{n:x}:1}}" for n in range(900)) + "</style>"
        "<p style='" + "".join(f"y{n:x}:1;" for n in range(9_000)) + "'>a</p>",
        "<style>" + "[z]>div>div div>div{a:b}" * 90 + "</style>" + "<div>" * 290 + "</div>" * 290,
        "<style>"
        + "".join(f".c{n % 500}{{p{n % 60}:{n}}}" for n in range(1_900))
        + "</style>"
        + "".join(f"<p class='c{n}'>x</p>" for n in range(500)),
    ],
    ids=range(4),
)
def test_the_dearest_sheet_that_is_inlined_takes_little_time(source: str) -> None:
    began = time.thread_time()

    assert inline(source).refusal in ("", "the HTML would grow to more than 262,144 bytes")
    assert time.thread_time() - began < 3


class StyleServer(ThreadingHTTPServer):
    """A web server on loopback with one style sheet for every address; `asked` is what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), StyleHandler)
        self.asked: list[str] = []


class StyleHandler(BaseHTTPRequestHandler):
    server: StyleServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/css")
        self.end_headers()
        self.wfile.write(b"p{color:blue}")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: it would stand between the test's own lines."""


@pytest.fixture
def server() -> Iterator[StyleServer]:
    with StyleServer() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_no_style_sheet_is_fetched_or_read_from_a_file(server: StyleServer, tmp_path: Path) -> None:
    """In a process of its own: the inliner is native code, which the guard around the tests does not see, and which
    would keep the server in this process from answering."""
    file = tmp_path / "local.css"
    file.write_text("p{color:blue}")
    url = f"http://127.0.0.1:{server.server_port}"
    hrefs = (f"{url}/a.css", str(file), file.as_uri())
    links = "".join(f"<link rel=stylesheet href='{href}'>" for href in hrefs)
    source = f"{links}<style>@import url({url}/b.css);p{{background:url({url}/c.png)}}</style><p>x</p>"

    ours = printed("from apps.templates.engine.css import inline; print(inline(sys.stdin.read()))", source)
    asked_by_ours = list(server.asked)
    library = printed("import css_inline; print(css_inline.inline(sys.stdin.read()))", source)

    assert f'<p style="background: url({url}/c.png);">x</p>' in ours
    assert "blue" not in ours
    assert all(f'href="{href}"' in ours for href in hrefs)
    assert asked_by_ours == []
    # As it comes, the library does fetch and read: the server would have noticed.
    assert "color: blue" in library
    assert "/a.css" in server.asked


def without(html: str) -> str:
    """The document without the styles of its tags."""
    return re.sub(r' style="[^"]*"', "", html)


@pytest.mark.parametrize(
    "media", ["print", "speech", "only screen and (max-width:600px)", "{{ m }}", "(max-width:9px)"]
)
def test_sheets_for_other_media_stay_and_are_not_inlined(media: str) -> None:
    other = f'<style media="{media}">p{{color:red}}</style>'

    done = inline(f"{other}<style>p{{margin:0}}@media print{{p{{padding:9px}}}}</style><p>x</p>")

    assert done.refusal == ""
    assert other in done.html
    assert "@media print{p{padding:9px}}" in done.html
    assert '<p style="margin: 0;">x</p>' in done.html


@pytest.mark.parametrize(
    "attributes", ["", ' media="all"', ' media="screen"', " type='text/css'", ' media="print, screen"']
)
def test_sheets_for_every_screen_are_inlined(attributes: str) -> None:
    done = inline(f"<style{attributes}>p{{color:red}}</style><p>x</p>")

    assert '<p style="color: red;">x</p>' in done.html


@pytest.mark.parametrize(
    "rule",
    [
        "a:hover{color:blue}",
        "p::before{content:'x'}",
        "[data-ogsc] p{color:white}",
        ".ExternalClass{width:100%}",
        "#outlook a{padding:0}",
        "u + .body p{margin:0}",
        ".due{color:red}",
        "@font-face{font-family:x}",
        "@import url(x.css);",
        "p{color:red}",
    ],
)
def test_a_rule_stays_in_the_mail_whether_it_was_inlined_or_not(rule: str) -> None:
    source = f'<style>{rule} b{{margin:0}}</style><p class="{{{{ status }}}}"><a class="body">x</a><b>x</b></p>'

    done = inline(source)

    assert f"<style>{rule} b{{margin:0}}</style>" in done.html
    assert done.refusal == ""
    assert '<b style="margin: 0;">' in done.html


def test_a_tag_whose_class_comes_from_a_value_is_left_to_the_sheet() -> None:
    """Styles of a tag win against every sheet, so that `.due` could not do anything any more."""
    source = '<style>p{color:black}.due{color:red}</style><p class="{{ s }}">x</p><p class="b" id="c{{ n }}">y</p>'

    assert 'class="{{ s }}">x</p><p class="b" id="c{{ n }}" style="color: black;">y' in inline(source).html
    assert inline(source.replace("{{ s }}", "due")).html.count("color: red") == 1


def test_what_asks_for_the_tags_around_is_inlined_where_tags_are_fixed() -> None:
    source = "<style>p:first-child{color:red}b + i{color:blue}</style><div><p>{{ a }}</p><b></b><i>x</i></div>"

    assert '<p style="color: red;">{{ a }}</p><b></b><i style="color: blue;">' in inline(source).html


@pytest.mark.parametrize(
    "source",
    [
        "<style>p{color:red}</style>{% for i in l %}<p>{{ i }}</p>{% endfor %}",
        "<style>p{color:red}</style>{% if a %}<p>{{ a }}</p>{% else %}<p>none</p>{% endif %}",
        "{% if a %}x{% endif %}<style>p{color:red}</style>{% for i in l %}<title>x</title><p>{{ i }}</p>{% endfor %}",
        "<!--[if mso]><p><![endif]--><style>p{color:red}</style>{% for i in l %}<p>{{ i }}</p>{% endfor %}",
        "<!doctype html>{% if a %}<!-- a -->{% endif %}<html><head><style>p{color:red}</style></head>"
        "<body>{% if a %}<p>{{ a }}</p>{% endif %}</body>{% if b %}<!-- b -->{% endif %}</html>",
        "<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0 Transitional//EN' 'x'><html><head><style>p{color:red}</style>"
        "</head><body>{% for i in l %}<p>{{ i }}</p>{% endfor %}</body></html>",
        "<html><style>p{color:red}</style>{% for i in l %}<p>{{ i }}</p>{% endfor %}</html>",
        "<style>p{color:red}</style><p><![if !mso]>x<![endif]></p>{% if a %}<?xml x?>{% endif %}",
        "<style>td{color:red}</style><table>{% for i in l %}<tr><td>{{ i }}</td></tr>{% endfor %}</table>",
    ],
)
def test_loops_and_conditions_stay_around_what_they_were_around(source: str) -> None:
    done = inline(source)

    assert done.refusal == ""
    assert without(done.html) == source


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{% if a %}<style>p{color:red}</style>{% endif %}<p>x</p>", "depends on conditions"),
        ("{% for i in l %}<html><body><p>x</p></body></html>{% endfor %}", "not well formed"),
        ("{% if a %}<body class='x'>{% else %}<body>{% endif %}<p>x</p></body>", "not well formed"),
        ("<p>x</p><body>{{ a }}</body>", "not well formed"),
        ("<html><body><p>x</p></body>{% if a %}<p>y</p>{% endif %}</html>", "not well formed"),
        ("<ul>{% if a %}<li>x{% endif %}</ul>", "not well formed"),
        ("<style>tr:first-child td{color:red}</style>{% for i in l %}<p>x</p>{% endfor %}", "counts tags"),
        (
            "<style>.odd td{color:red}</style><table><tr class='{{ c }}'><td>x</td></tr></table>",
            "class that comes from",
        ),
        ("<p title='{% raw %}say \"hi\"{% endraw %}{{ v }}'>x</p>", "double quotes within single ones"),
        ("<p title='{% raw %}say \"hi\"{% endraw %}'>x</p>", "double quotes within single ones"),
        ("<p data-css-inline='ignore'>x</p>", "inliner of its own"),
    ],
)
def test_refuses_where_a_part_would_move_or_change(source: str, reason: str) -> None:
    done = inline(SHEET + source)

    assert done.html == SHEET + source
    assert reason in done.refusal


def test_what_is_written_into_a_quoted_attribute_is_the_same_once_it_is_inlined() -> None:
    source = "<style>p{color:red}</style><p title='{{ f | default: 'the \"best\" x=' }}{{ v }}'>x</p>"

    done = inline(source)

    assert done.refusal == ""
    for html in (source, done.html):
        shown = Content("s", html, "t").render({"f": "", "v": "a onload=b"}).html or ""
        assert [tag.get("title") for tag in read(shown) if isinstance(tag, Tag) and tag.name == "p"][0] == (
            'the "best" x=a onload=b'
        )


FRAGMENTS = [
    "{{ a }}",
    "{% if a %}",
    "{% endif %}",
    "{% for i in l %}",
    "{% endfor %}",
    "<table>",
    "</table>",
    "<tr>",
    "</tr>",
    "<td class='a'>",
    "</td>",
    "<p title='{{ b }}'>",
    "</p>",
    "<div class='{{ c }}'>",
    "</div>",
    "<b>",
    "</b>",
    '<a href="{{ u }}">',
    "</a>",
    "<br>",
    "<!-- {{ d }} -->",
    "<title>{{ e }}</title>",
    "text & more",
    "&amp;&nbsp;",
    "<img {% if x %}alt=''{% endif %}>",
    "<p style='color:{{ c }}'>",
    "</body>",
    "<html>",
    "<select><option>",
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14))
def test_whatever_the_html_is_its_markup_stays_in_order(parts: list[str]) -> None:
    source = SHEET + "".join(parts)

    done = inline(source)

    # The inliner sorts the attributes of a tag, and no tag here has more than one with markup.
    assert markup(done.html) == markup(source)
    if done.refusal:
        assert done.html == source


def shape(html: str) -> list[str]:
    """Tags and texts in their order, without blanks and styles."""
    found = []
    for token in read(html):
        text = html[token.start : token.end]
        if isinstance(token, Tag) and not (token.is_closing and token.name in OPTIONAL_END):
            found.append(f"<{'/' * token.is_closing}{token.name} {token.get('title')} {token.get('class')}>")
        elif isinstance(token, Text) and text.strip():
            if found and not found[-1].startswith("<"):
                found[-1] += "".join(unescape(text).split())
            else:
                found.append("".join(unescape(text).split()))
    return found


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*FRAGMENTS, "{% else %}", "<head>", "</head>", "<body>", "</html>"]), max_size=10))
def test_whatever_the_data_is_an_inlined_mail_has_the_tags_and_texts_of_the_source(parts: list[str]) -> None:
    source = SHEET + "".join(parts)
    done = inline(source)
    if done.refusal:
        return
    for data in ({"a": True, "l": [1, 2]}, {"a": False, "l": []}):
        given = {"b": "B", "c": "C", "d": "D", "e": "E", "u": "U", "x": data["a"], **data}
        try:
            written = Content("s", source, "t").render(given).html or ""
        except Problem:
            return
        assert shape(Content("s", done.html, "t").render(given).html or "") == shape(written)


def test_a_saved_version_shows_what_was_written_and_sends_what_was_inlined(api: Api, workspace: Workspace) -> None:
    source = f"{SHEET}<p class='a'>{{{{ name }}}}</p>"
    body = {"name": "Styled", "slug": "styled", "subject": "Hi", "html": source}

    shown = api.post(TEMPLATES, body).data
    preview = api.post(f"{TEMPLATES}/styled/preview", {"data": {"name": "Ada"}}).data

    assert shown["html"] == source
    assert '<p class="a" style="color: red;">Ada</p>' in preview["html"]
