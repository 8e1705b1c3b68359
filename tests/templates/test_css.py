"""CSS moves into the tags when a version is saved, and the template's own markup stays where it was."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.templates.engine.css import inline
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


LEVELS = "the HTML is nested more than 300 levels deep"
SHEET_BRACKETS = "the style sheet is nested too deeply"
# Says how much CPU time the inlining alone has cost, and the refusal.
INLINED = """import time
from apps.templates.engine.css import inline
source = "<style>b{c:d}</style>" + sys.stdin.read()
began = time.process_time()
refusal = inline(source).refusal
print(time.process_time() - began, refusal)
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
        ("<b></x>" * 12_000, LEVELS),
        ("<p><b><i></p>" * 8_000, LEVELS),
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


def test_a_saved_version_shows_what_was_written_and_sends_what_was_inlined(api: Api, workspace: Workspace) -> None:
    source = f"{SHEET}<p class='a'>{{{{ name }}}}</p>"
    body = {"name": "Styled", "slug": "styled", "subject": "Hi", "html": source}

    shown = api.post(TEMPLATES, body).data
    preview = api.post(f"{TEMPLATES}/styled/preview", {"data": {"name": "Ada"}}).data

    assert shown["html"] == source
    assert '<p class="a" style="color: red;">Ada</p>' in preview["html"]
