"""What the language takes, what it refuses, and what it says about either: a table of outcomes."""

from typing import Any

import pytest

from apps.templates.engine.compiled import Part, compile_part
from apps.templates.engine.values import check_data
from apps.templates.errors import TemplateRenderError

LONG = "a" * 300


def rendered(source: str, data: dict[str, Any] | None = None, part: Part = Part.TEXT) -> str:
    return compile_part(part, source).render(data or {}, weight=check_data(data or {})).text


def missing(source: str, data: dict[str, Any] | None = None) -> list[str]:
    return list(compile_part(Part.TEXT, source).render(data or {}, weight=check_data(data or {})).missing)


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("}}", "}}"),
        ("%}", "%}"),
        ("{ {a} }", "{ {a} }"),
        ("{", "{"),
        ("{a}", "{a}"),
        ("${7*7}", "${7*7}"),
        ("#{7*7}", "#{7*7}"),
        ("<%= 7*7 %>", "<%= 7*7 %>"),
        ("{0.__class__}", "{0.__class__}"),
        ("%(secret)s", "%(secret)s"),
        ("{# a #}", "{# a #}"),
        ("{{a}}", "A"),
        ("{{ a }}", "A"),
        ("{{a}}}", "A}"),
        ("{{\na\n}}", "A"),
        ("x {{- a -}} y", "xAy"),
        ("{{o.p.q}}", "deep"),
        ("{{ o['p'].q }}", "deep"),
        ("{{ l[0] }}{{ l[-1] }}{{ l.first }}{{ l.last }}{{ l.size }}", "13133"),
        ("{{größe}}", "XL"),
        ("{{ 日本 }}", "JP"),
        ("{{1a}}", "one"),
        ("{{ a-b }}", "dash"),
        (f"{{{{{LONG}}}}}", "long"),
        ("{{ ['last name'] }}", "Lovelace"),
        ("{{ 'literal' }}{{ 1 }}{{ 1.5 }}{{ true }}{{ nil }}", "literal11.5true"),
        ("{% raw %}{{ a }}{% endraw %}", "{{ a }}"),
        ("{% comment %}{{ a {% if %}{% endcomment %}x", "x"),
        ("{% # a note %}x", "x"),
        ("{% if a == 'A' and l.size > 2 %}yes{% else %}no{% endif %}", "yes"),
        ("{% unless a %}yes{% else %}no{% endunless %}", "no"),
        ("{% case a %}{% when 'A' %}1{% when 'B' %}2{% endcase %}", "1"),
        ("{% for i in l reversed limit: 2 %}{{ i }}{{ forloop.index }}{% endfor %}", "2112"),
        ("{% for i in none %}x{% else %}empty{% endfor %}", "empty"),
        ("{% for pair in o.p %}{{ pair[0] }}={{ pair[1] }}{% endfor %}", "q=deep"),
        ("{% assign b = a | downcase %}{% capture c %}{{ b }}!{% endcapture %}{{ c }}", "a!"),
        ("{{ 0 | date: '%Y-%m-%d' }}", "1970-01-01"),
        ("{{ '2026-05-12' | date: '%-d %B %Y' }}", "12 May 2026"),
        ("{{ l | join: ', ' }}", "1, 2, 3"),
        ("{{ l | concat: l | uniq | size }}", "3"),
        ("{{ '<b>x</b> &amp; y' | strip_html }}", "x &amp; y"),
        ("{{ n | default: 'nothing' }}", "nothing"),
    ],
)
def test_takes(source: str, result: str) -> None:
    data = {
        "a": "A",
        "o": {"p": {"q": "deep"}},
        "l": [1, 2, 3],
        "größe": "XL",
        "日本": "JP",
        "1a": "one",
        "a-b": "dash",
        LONG: "long",
        "last name": "Lovelace",
        "none": [],
    }

    assert rendered(source, data) == result


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("{{", 1, "'{{' is not closed by '}}' within 2,000 characters"),
        ("{%", 1, "'{%' is not closed by '%}' within 2,000 characters"),
        ("x\n{{ name", 2, "'{{' is not closed by '}}' within 2,000 characters"),
        ("{{a}", 1, "'{{' is not closed by '}}' within 2,000 characters"),
        ("{{}}", 1, "there is no variable between '{{' and '}}'"),
        ("{{ }}", 1, "there is no variable between '{{' and '}}'"),
        ("{{-}}", 1, "there is no variable between '{{' and '}}'"),
        ("{%%}", 1, "there is no tag's name after '{%'"),
        ("{{{a}}}", 1, "unexpected '{'"),
        ("{{ {{name}} }}", 1, "unexpected '{'"),
        ("{{{{", 1, "'{{' is not closed by '}}' within 2,000 characters"),
        ("{{a b}}", 1, "expected end of expression, found word"),
        ("{{ 7*7 }}", 1, "unexpected '*'"),
        ("\n\n{{ a | nothing }}", 3, "unknown filter 'nothing'"),
        ("{{ x|safe }}", 1, "unknown filter 'safe'"),
        ("{{ x | escapejs }}", 1, "unknown filter 'escapejs'"),
        ("{% if %}", 1, "missing expression"),
        ("{% include '/etc/passwd' %}", 1, "there is no tag 'include'"),
        ("{% render 'x' %}", 1, "there is no tag 'render'"),
        ("{% extends 'x' %}", 1, "there is no tag 'extends'"),
        ("{% block x %}{% endblock %}", 1, "there is no tag 'block'"),
        ("{% macro x %}", 1, "there is no tag 'macro'"),
        ("{% call x %}", 1, "there is no tag 'call'"),
        ("{% import x %}", 1, "there is no tag 'import'"),
        ("{% tablerow x in y %}", 1, "there is no tag 'tablerow'"),
        ("{% liquid %}", 1, "there is no tag 'liquid'"),
        ("{% ifchanged %}", 1, "there is no tag 'ifchanged'"),
        ("{% load x %}", 1, "there is no tag 'load'"),
        ("{%debug%}", 1, "there is no tag 'debug'"),
        ("{% content %}", 1, "there is no tag 'content'"),
        ("{% raw %}", 1, "'{% raw %}' is never closed"),
    ],
)
def test_refuses_and_says_where(source: str, line: int, reason: str) -> None:
    with pytest.raises(TemplateRenderError) as caught:
        compile_part(Part.HTML, source)

    assert caught.value.details == {"part": "html", "line": line, "fields": {"html": [f"line {line}: {reason}"]}}


@pytest.mark.parametrize("source", ["{% for x in y %}", "{% if a %}", "{% endif %}", "{% else %}", "{% when 1 %}"])
def test_refuses_blocks_that_do_not_fit(source: str) -> None:
    with pytest.raises(TemplateRenderError):
        compile_part(Part.HTML, source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ settings.SECRET_KEY }}",
        "{{ x.__class__.__mro__ }}",
        "{{ x.__init__.__globals__ }}",
        "{{ l.append }}",
        "{{ o.keys }}",
        "{{ o.items }}",
        "{{ x.upper }}",
        "{{ n.real }}",
        "{{ self }}{{ template }}{{ context }}{{ env }}{{ partial }}{{ now }}{{ today }}",
        "{{ forloop.it }}{{ forloop.parentloop.it }}",
        "{{ o['__class__'] }}{{ o['__dict__'] }}",
    ],
)
def test_reaches_nothing_but_the_data(source: str) -> None:
    data = {"x": "text", "l": [1], "o": {"k": 1}, "n": 1}

    assert rendered(source, data) == ""


def test_a_value_is_never_rendered_again() -> None:
    value = "{{ other }}{% if x %}{{ 7 | times: 7 }}"

    assert rendered("{{ a }}|{{ a | upcase | downcase }}|{% assign b = a %}{{ b }}", {"a": value, "other": "!"}) == (
        f"{value}|{value}|{value}"
    )


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("{{ a }}{{ b.c }}{{ a }}", ["a", "b.c"]),
        ("{{ o.k.deeper }}{{ o.nothing }}", ["o.k.deeper", "o.nothing"]),
        ("{{ l[7].sku }}{{ l[0].sku }}", ["l[7].sku", "l[0].sku"]),
        ("{{ o['last name'] }}", ["o['last name']"]),
        ("{% for i in items %}{{ i.name }}{% endfor %}", ["items"]),
        ("{% for i in l %}{{ i.name }}{% endfor %}", ["i.name"]),
        ("{{ a | upcase }}{{ 'x' | append: b }}{{ 1 | plus: c }}", ["a", "b"]),
        ("{{ a | default: 'x' }}{{ a | default: b }}", ["b"]),
        ("{% if a %}{% endif %}{% unless b %}{% endunless %}{% if a and b or c %}{% endif %}", []),
        ("{% if a == nil %}{% endif %}{% if b != blank %}{% endif %}{% if c == empty %}{% endif %}", []),
        ("{% if a == 'x' %}{% endif %}{% if 1 < b %}{% endif %}{% if c contains 'x' %}{% endif %}", ["a", "b", "c"]),
        ("{% if a %}{{ a }}{{ b }}{% endif %}", []),
        ("{% assign x = a %}", []),
        ("{% assign x = a %}{{ x }}", ["a"]),
        ("{% capture x %}{{ a }}{% endcapture %}", ["a"]),
        ("{{ a[b] }}", ["a[b]"]),
        ("{{ null }}{{ given }}", []),
    ],
)
def test_notes_every_name_whose_value_is_needed(source: str, names: list[str]) -> None:
    assert missing(source, {"o": {"k": {}}, "l": [{}], "given": None}) == names


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("{{ a }} {{ b.c }} {{ a }}", ["a", "b.c"]),
        ("{% for i in order.items %}{{ i.name }}{{ x | append: y }}{% endfor %}", ["order.items", "x", "y"]),
        ("{% assign a = b %}{{ a }}{% capture c %}{{ d }}{% endcapture %}{{ c }}", ["b", "d"]),
        ("{{ items[0].sku }}{{ o['last name'] }}{{ a[b] }}", ["items[0].sku", "o['last name']", "a[b]", "b"]),
        ("{% if a == b %}{% endif %}{% for i in (1..n) limit: m %}{% endfor %}", ["a", "b", "n", "m"]),
        ("{{ a | default: b }}{% case c %}{% when d %}{% endcase %}{% cycle e, f %}", ["a", "b", "c", "d", "e", "f"]),
        ("{% comment %}{{ a }}{% endcomment %}{% raw %}{{ b }}{% endraw %}{{ 'c' }}", []),
        ("{{ größe.höhe }}", ["größe.höhe"]),
    ],
)
def test_finds_the_variables_without_rendering(source: str, names: list[str]) -> None:
    assert compile_part(Part.TEXT, source).variables() == names
