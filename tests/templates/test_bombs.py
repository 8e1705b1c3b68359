"""Templates and data that would cost a server its time or its memory: each ends early, cheap and with a reason.

One test for each limit that the engine adds to the library: an update of the library that opens one fails here.
"""

import re
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from apps.core.errors import Invalid, Problem
from apps.templates.engine.compiled import Part, compile_part
from apps.templates.engine.content import Content
from apps.templates.engine.plain_text import from_html
from apps.templates.engine.values import check_data
from apps.templates.errors import TemplateRenderError

# Of this thread. Each takes a fraction of a second, and without its guard hours or all memory; which guard it was
# that ended it is told by the reason. So the bound may be far from both, whatever machine this is and however busy.
CPU_SECONDS = 6
MEMORY = 40_000_000

BIG = "x" * 800_000
ROWS = [{"k": "v" * 50, "n": number} for number in range(1_000)]
HEAVY = [{"x": "y" * 200_000}]
DATA: dict[str, Any] = {"big": BIG, "n": 10**39, "s": "ab " * 20_000}
ALMOST = {"a": "a" * 400_000, "b": "ab" + "a" * 200_000}
DATES = [
    f"{day} {month} {year} 10:11:12 +0{day % 9}00"
    for day in range(1, 29)
    for month in ("May", "Oct")
    for year in (1999, 2026)
]
LOOP = "{% for i in (1..1000) %}"


def gives(name: str) -> str:
    """What is said of a filter whose result would be too large."""
    return f"'{name}' would give more than 1,000,000 characters"


NOTHING = "nothing was refused"
WORK = "this takes too much work: use fewer or shorter loops, filters and values"
VALUE = "a value is larger than 1,000,000 characters"
OUTPUT = "the result is larger than 1,000,000 bytes"
RANGE = "a range has more than 1,000 numbers"
DIGITS = "a number has more than 40 digits"
FORMAT = "line 1: 'date' takes a format such as '%d %B %Y'"
OPENING = "line 1: '{}' is not closed by '{}' within 2,000 characters"
BLANKS = "line 1: there are more than 200 blanks in a row in a tag"
MARKUPS = "line 1: there are more than 2,000 tags and variables"
BRACKETS = "line 1: there are more than 40 brackets in one tag"

RENDERED = {
    # What libraries.md names: chained replace, ranges, reversed, doubling, dates.
    "replace chained": ("{{ 'a'" + " | replace: 'a', 'aaaaaaaaaa'" * 40 + " }}", DATA, gives("replace")),
    "replace of nothing": ("{{ big | replace: '', big }}", DATA, gives("replace")),
    "replace by itself": ("{% assign a = 'aaaaaaaa' %}{{ a" + " | replace: 'a', a" * 12 + " }}", {}, gives("replace")),
    "range joined": ("{{ (1..100000000) | join }}", {}, RANGE),
    "range sorted": ("{{ (1..100000000) | sort }}", {}, RANGE),
    "range reversed": ("{{ (1..100000000) | reverse }}", {}, RANGE),
    "range as text": ("{{ (1..100000000) | upcase }}", {}, RANGE),
    "range of variables": ("{{ (a..b) | join }}", {"a": 1, "b": 10**38}, RANGE),
    "range as argument": ("{{ 'a' | append: (1..100000000) }}", {}, RANGE),
    "range assigned": ("{% assign r = (1..100000000) %}{% for i in r %}{% endfor %}", {}, RANGE),
    "range in case": ("{% case (1..100000000) %}{% when 1 %}{% endcase %}", {}, RANGE),
    "range compared": ("{% if (1..100000000) contains 3 %}{% endif %}", {}, RANGE),
    "range in cycle": ("{% cycle (1..100000000) %}", {}, RANGE),
    "for reversed": ("{% for i in (1..100000000) reversed %}{% endfor %}", {}, RANGE),
    "for with limit": ("{% for i in (1..100000000) limit: 3 %}{% endfor %}", {}, RANGE),
    "loops in loops": (LOOP * 3 + "x" + "{% endfor %}" * 3, {}, WORK),
    "loops in loops over data": (
        "{% for a in r %}{% for b in r %}{% for c in r %}{% endfor %}{% endfor %}{% endfor %}",
        {"r": ROWS},
        WORK,
    ),
    "loops one after another": ((LOOP + "{% endfor %}") * 999, {}, WORK),
    "a long body": (LOOP + "{% if a %}{% endif %}" * 900 + "{% endfor %}", {"a": 1}, WORK),
    "a long case": (LOOP + "{% case 1 %}" + "{% when 2 %}" * 1_500 + "{% endcase %}{% endfor %}", {}, WORK),
    "a long condition": (
        LOOP + ("{% if " + "a or " * 190 + "a %}{% endif %}") * 9 + "{% endfor %}",
        {"a": False},
        WORK,
    ),
    "append doubling": ("{% assign a = 'x' %}" + "{% assign a = a | append: a %}" * 60, {}, VALUE),
    "prepend doubling": ("{% assign a = 'x' %}" + "{% assign a = a | prepend: a %}" * 60, {}, VALUE),
    "capture doubling": (
        "{% capture a %}xxxxxxxx{% endcapture %}" + "{% capture a %}{{a}}{{a}}{% endcapture %}" * 60,
        {},
        OUTPUT,
    ),
    "capture again and again": (LOOP + "{% capture a %}{{ big }}{% endcapture %}{% endfor %}", DATA, WORK),
    "assign again and again": (LOOP + "{% assign a = big %}{% endfor %}", DATA, WORK),
    "many variables": (
        "".join(f"{{% assign x{n} = 'a' %}}" for n in range(1_500)),
        {},
        "more than 500 variables are assigned",
    ),
    "concat doubling": (
        "{% assign a = r %}" + "{% assign a = a | concat: a %}" * 40,
        {"r": [1]},
        WORK,
    ),
    "concat of one heavy": (
        "{% assign a = r | concat: r %}" + "{% assign a = a | concat: a %}" * 20 + "{{ a }}",
        {"r": HEAVY},
        WORK,
    ),
    "split doubling": ("{{ big | split: '' | size }}", DATA, gives("split")),
    "split by a letter": ("{{ big | split: 'x' | size }}", DATA, gives("split")),
    "words": ("{{ big | truncatewords: 3 }}", DATA, gives("truncatewords")),
    "join with a long separator": ("{{ r | join: s }}", {"r": ROWS, "s": "x" * 9_999}, gives("join")),
    "map over heavy": ("{{ r | map: 'x' | join: s }}", {"r": HEAVY * 6, "s": ","}, VALUE),
    "numbers": ("{{ n | times: n | times: n }}", DATA, DIGITS),
    "numbers in texts": ("{{ '" + "9" * 1_500 + "' | times: '" + "9" * 400 + "' }}", {}, DIGITS),
    "a long number": ("{{ " + "9" * 1_500 + " | plus: 1 }}", {}, DIGITS),
    "a sum of numbers": ("{{ r | sum }}", {"r": ["9" * 4_000] * 9}, DIGITS),
    "a date of many digits": (
        "{{ '" + "9" * 1_900 + "' | date: '%Y' }}",
        {},
        "line 1: 'date' takes at most 64 characters",
    ),
    "a date from the data": ("{{ d | date: '%Y' }}", {"d": "9" * 5_000}, "line 1: 'date' takes at most 64 characters"),
    "a short impossible date": (
        "{{ '99999999999999999999' | date: '%Y' }}",
        {},
        "a filter failed: timestamp out of range for platform time_t",
    ),
    "a date with a width": ("{{ 0 | date: '%1000000000d' }}", {}, FORMAT),
    "a date with a long format": ("{{ 0 | date: s }}", DATA, FORMAT),
    "one value many times": ("{{ big }}" * 1_000, DATA, OUTPUT),
    "one value in a loop": (LOOP + "{{ big }}{% endfor %}", DATA, OUTPUT),
    "searched in a loop": (LOOP + "{% if big contains 'y' %}{% endif %}{% endfor %}", DATA, WORK),
    "compared in a loop": (LOOP + "{% if a == b %}{% endif %}{% endfor %}", {"a": ROWS, "b": [*ROWS]}, WORK),
    "filtered in a loop": ("{% for i in r %}{{ r | where: 'n', i.n | first }}{% endfor %}", {"r": ROWS}, WORK),
    "sorted in a loop": (LOOP + "{{ r | sort: 'k' | size }}{% endfor %}", {"r": ROWS}, WORK),
    "upcase in a loop": (LOOP + "{{ big | upcase | size }}{% endfor %}", DATA, WORK),
    "the last of many almosts": ("{{ a | remove_last: b }}", ALMOST, NOTHING),
    "the last of many almosts replaced": ("{{ a | replace_last: b, 'x' }}", ALMOST, NOTHING),
    "almosts removed": ("{{ a | remove: b }}{{ a | remove_first: b }}{{ a | replace: b, 'x' }}", ALMOST, OUTPUT),
    "almosts split": ("{{ a | split: b | size }}{% if a contains b %}{% endif %}", ALMOST, NOTHING),
    "tags stripped in a loop": (LOOP + "{{ t | strip_html | size }}{% endfor %}", {"t": "<a " * 120_000}, WORK),
    "lines in a loop": (LOOP + "{{ t | strip_newlines | size }}{% endfor %}", {"t": "\n" * 300_000}, WORK),
    "breaks in a loop": (LOOP + "{{ t | newline_to_br | size }}{% endfor %}", {"t": "\n" * 90_000}, WORK),
    "blanks in a loop": (LOOP + "{{ t | squish | size }}{% endfor %}", {"t": " a" * 200_000}, WORK),
    "percents in a loop": (LOOP + "{{ t | url_decode | size }}{% endfor %}", {"t": "%41" * 100_000}, WORK),
    "entities in a loop": (LOOP + "{{ t | escape_once | size }}{% endfor %}", {"t": "&amp;" * 80_000}, WORK),
    "dates in loops": (LOOP + "{% for d in r %}{{ d | date: '%Y' }}{% endfor %}{% endfor %}", {"r": DATES}, WORK),
    "numbers as text in a loop": (LOOP + "{{ r | upcase | size }}{% endfor %}", {"r": [0.123] * 20_000}, WORK),
    "captured tags again and again": (
        "{% capture c %}" + "<b =x>" * 3_000 + "{% endcapture %}" + LOOP + "{{ c }}{% endfor %}",
        {},
        WORK,
    ),
    "divided by nothing": ("{{ 1 | divided_by: 0 }}", {}, "line 1: divided_by: can't divide by 0"),
    "modulo nothing": ("{{ 1 | modulo: 0 }}", {}, "line 1: modulo: can't divide by 0"),
    "round infinity": ("{{ '1e400' | round }}", {}, "a filter failed: cannot convert float infinity to integer"),
    "base64 of nothing": ("{{ '!' | base64_decode }}", {}, NOTHING),
    "base64 of no text": (
        "{{ '/w==' | base64_decode }}",
        {},
        "a filter failed: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    ),
    "sort of mixed": ("{{ r | sort }}", {"r": [1, "a", None]}, "can't sort sequence"),
    "compare of mixed": (
        "{% if a < b %}{% endif %}",
        {"a": 1, "b": [1]},
        "line 1: '<' and '>' are not supported between 'int' and 'list'",
    ),
}
READ = {
    "openings of variables": ("{{" * 100_000, OPENING.format("{{", "}}")),
    "openings of tags": ("{%" * 100_000, OPENING.format("{%", "%}")),
    "blanks in a variable": ("{{" + " " * 200_000 + "}}", OPENING.format("{{", "}}")),
    "many blanks in variables": (("{{" + " " * 1_900 + "a }}") * 130, BLANKS),
    "many blanks in tags": (("{% if" + " " * 1_900 + "a %}") * 130, BLANKS),
    "raw never closed": ("{% raw %}" * 20_000, "line 1: '{% raw %}' is never closed"),
    "comments in comments": ("{% comment %}" * 20_000, "line 1: '{% comment %}' is never closed"),
    "blocks in blocks": ("{% if a %}" * 1_500, "line 1: block nesting limit reached"),
    "many tags": ("{% if a %}{% endif %}" * 1_500, MARKUPS),
    "many variables": ("".join(f"{{{{ a{n} }}}}" for n in range(1_999)), "there are more than 500 different variables"),
    "ten thousand and one variables": ("{{ a }}" * 10_001, MARKUPS),
    "paths in paths": ("{{ a" + "[a" * 600 + "]" * 600 + " }}", BRACKETS),
    "parentheses": ("{{ " + "(" * 1_900 + " }}", BRACKETS),
    "quotes": ("{{ " + "\"'" * 900 + " }}", "line 1: expected end of expression, found string"),
    "a number of two thousand digits": ("{{ a[" + "9" * 1_900 + "] }}{{ (1.." + "9" * 1_900 + ") }}", RANGE),
}


@contextmanager
def cheap() -> Iterator[None]:
    """What is done within costs no more CPU time than may be; other threads and processes do not count."""
    began = time.thread_time()
    yield
    assert time.thread_time() - began < CPU_SECONDS


def refusal_of(source: str, data: dict[str, Any], part: Part = Part.HTML) -> str:
    """What it is refused for."""
    try:
        failure = compile_part(part, source).render(data, weight=check_data(data)).failure
    except TemplateRenderError as refusal:
        failure = refusal
    return failure.message.removeprefix(f"{part}: ") if failure else NOTHING


def assert_is_harmless(source: str, data: dict[str, Any], reason: str) -> None:
    """It is refused for exactly this, after less CPU time and memory than anybody would notice."""
    with cheap():
        assert refusal_of(source, data) == reason
    tracemalloc.start()
    refusal_of(source, data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEMORY


@pytest.mark.parametrize("name", RENDERED)
def test_what_is_too_much_to_render_ends_early(name: str) -> None:
    assert_is_harmless(*RENDERED[name])


@pytest.mark.parametrize("name", READ)
def test_what_is_too_much_to_read_ends_early(name: str) -> None:
    source, reason = READ[name]

    assert_is_harmless(source, {}, reason)


@pytest.mark.parametrize("name", list(RENDERED)[::4])
def test_subjects_and_texts_have_the_same_limits(name: str) -> None:
    source, data, reason = RENDERED[name]

    with cheap():
        assert refusal_of(source, data, Part.TEXT) == reason


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


HEAVY_DATA = "is larger than 1,500,000 characters"
NESTED = "is nested more than 32 levels deep"
LONG_NUMBER = "is a number of more than 40 digits; give it as a text"


@pytest.mark.parametrize(
    ("data", "field", "reason"),
    [
        ({"a": nested(40)}, "data", NESTED),
        ({"a": nested(900)}, "data", NESTED),
        ({"a": 10**41}, "data.a", LONG_NUMBER),
        ({"a": [1, 10**4_000]}, "data.a.1", LONG_NUMBER),
        ({"a": "x" * 1_500_001}, "data", HEAVY_DATA),
        ({"a": [None] * 60_000}, "data", HEAVY_DATA),
        ({"a": {f"k{number}": 1 for number in range(60_000)}}, "data", HEAVY_DATA),
        ({"x" * 1_500_001: 1}, "data", HEAVY_DATA),
        ({"a": float("inf")}, "data.a", "is not a finite number"),
    ],
    ids=range(9),
)
def test_data_has_bounds(data: dict[str, Any], field: str, reason: str) -> None:
    with cheap(), pytest.raises(Invalid) as refused:
        check_data(data)

    assert refused.value.details == {"fields": {field: [reason]}}


def test_a_text_that_goes_round_is_bounded() -> None:
    data: dict[str, Any] = {}
    data["a"] = data

    with cheap(), pytest.raises(Invalid) as refused:
        check_data(data)

    assert refused.value.details == {"fields": {"data": [NESTED]}}


def table(rows: list[str]) -> str:
    return "<table>" + "".join(f"<tr><td>{row}</td></tr>" for row in rows) + "</table>"


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 50_000,
        "<b>" * 30_000,
        "<table><tr><td>" * 20_000,
        "<ul><li>" * 100 + "y<br>" * 100_000,
        "<ol start=999999999999999999999999><li>a</ol>",
        "<p style='margin-top:100000000em;padding-left:99999999em'>x</p>",
        "<td rowspan=99999999 colspan=99999999>x",
        "<" * 500_000,
        "<!--" * 100_000,
        "</" * 100_000,
        "<a " * 100_000,
        "<a href='" * 50_000,
        "&" * 400_000,
        "<title>" * 30_000,
        "x" * 1_000_000,
        "\x00<p>\x00",
        table(["a"] * 1_500 + ["x" * 400_000]),
        table(["a"] * 1_500 + ["<a href='" + "x" * 400_000 + "'>a</a>"]),
        table(["a<td>" + "y<br>" * 9_000, "x" * 100_000]),
        table(["<pre>" + "\n" * 90_000 + "</pre></td><td>" + "x" * 90_000]),
        table([table([table(["x" * 800] * 5)] * 5)] * 20),
        table(["a"] * 500 + ["\U0001f600" * 9_000]),
        "<table><tr><td>" * 40 + "x" * 1_000 + "<td>" + "y<br>" * 9_000,
        table(["<td>a</td>" * 1_000] + ["a"] * 900),
        "x" * 400_000 + "<i>a</i>" * 9_000,
        "<a href='https://x.example/'>x</a>" * 9_000,
        "<?xml version='1.0' encoding='utf-16'?><p>x</p>",
    ],
    ids=range(27),
)
def test_any_html_has_a_text(html: str) -> None:
    with cheap():
        text = from_html(html)

    assert len(text) <= 1_000_000


@pytest.mark.parametrize(
    "html",
    [
        table(["a"] * 1_500 + ["x" * 400_000]),
        table(["a"] * 500 + ["\U0001f600" * 9_000]),
        table(["a"] * 440 + ["x" * 18_000]),
    ],
    ids=range(3),
)
def test_a_text_takes_little_memory(html: str) -> None:
    tracemalloc.start()
    from_html(html)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2 * MEMORY


def test_tables_of_ordinary_mail_are_laid_out() -> None:
    lines = [f"Thing {number}</td><td>{number}.00" for number in range(500)]
    wrapped = table([table([table([table(lines), "Lorem ipsum dolor sit amet. " * 20])])])

    assert re.search(r"^ *Thing 7 {3,}7\.00", from_html(wrapped), re.MULTILINE)


def test_html_of_too_many_tags_is_refused() -> None:
    content = Content("s", LOOP + "<b>" * 40 + "{% endfor %}", "")

    with cheap(), pytest.raises(Problem) as refused:
        content.render({})

    assert refused.value.message == "html: the result has more than 30,000 tags"


def test_an_ordinary_mail_is_far_from_every_limit() -> None:
    rows = "<tr><td>{{ item.name | upcase }}</td><td>{{ item.price | times: item.count | round: 2 }}</td></tr>"
    source = f"<table>{{% for item in items %}}{rows}{{% endfor %}}</table>"
    data = {"items": [{"name": f"Thing {n}", "price": 9.99, "count": n} for n in range(1_000)]}

    assert compile_part(Part.HTML, source).render(data, weight=check_data(data)).text.count("<tr>") == 1_000
