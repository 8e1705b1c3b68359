"""What the language takes, what it refuses, and what it says about either: a table of outcomes."""

from typing import Any

import pytest

from apps.templates.engine.compiled import Part, compile_part
from apps.templates.engine.content import Content, Rendered
from apps.templates.engine.environment import ESCAPED
from apps.templates.engine.values import check_data
from apps.templates.errors import MissingVariables, TemplateRenderError

LONG = "a" * 300


def rendered(source: str, data: dict[str, Any] | None = None, part: Part = Part.TEXT) -> str:
    outcome = compile_part(part, source).render(data or {}, weight=check_data(data or {}))
    assert outcome.failure is None
    return outcome.text


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
        ("{{ a | upcase }}{{ 'x' | append: b }}{{ 1 | plus: c }}", ["a", "b", "c"]),
        ("{{ a | times: b | round: c }}", ["a", "b", "c"]),
        ("{{ 'x' | replace: a, b }}{{ 'x' | truncate: 5, c }}{{ l | join: d }}", ["a", "b", "c", "d"]),
        ("{{ a | size }}{{ b | first }}{{ c | date: '%Y' }}{{ 0 | date: d }}", ["a", "b", "c", "d"]),
        ("{% assign x = a | upcase %}{% assign y = 'x' | append: b %}", ["a", "b"]),
        ("{% assign n = a | size %}{% if n > 0 %}{{ b }}{% endif %}", ["a"]),
        ("{{ a | default: b | upcase }}{{ c | upcase | default: 'x' }}", ["b", "c"]),
        ("{{ false | default: a, allow_false: b }}", ["a"]),
        ("{% case a %}{% when 'x' %}1{% when b %}2{% else %}3{% endcase %}", ["a", "b"]),
        ("{% case a %}{% when 'x' %}1{% when nil %}none{% endcase %}", []),
        ("{% if nil == a %}{% endif %}{% if blank == b %}{% endif %}", []),
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
    ("written", "shown"),
    [
        ("2026-05-12", "12.05.2026 00:00:00 "),
        ("2026-05-12T10:11", "12.05.2026 10:11:00 "),
        ("2026-05-12 10:11:12.5", "12.05.2026 10:11:12 "),
        ("2026-05-12T10:11:12Z", "12.05.2026 10:11:12 +0000"),
        ("2026-05-12T10:11:12.123456+02:00", "12.05.2026 10:11:12 +0200"),
        ("12 May 2026 10:11", "12.05.2026 10:11:00 "),
        ("2026-13-45", "2026-13-45"),
        ("no date", "no date"),
    ],
)
def test_dates_are_read_as_they_are_written(written: str, shown: str) -> None:
    assert rendered("{{ d | date: '%d.%m.%Y %H:%M:%S %z' }}", {"d": written}) == shown


@pytest.mark.parametrize(
    ("data", "shown"), [({}, "none"), ({"a": None}, "none"), ({"a": " "}, "none"), ({"a": "x"}, "x")]
)
def test_what_is_not_there_is_blank(data: dict[str, Any], shown: str) -> None:
    for asked in ("a == blank", "blank == a"):
        source = f"{{% if {asked} %}}none{{% else %}}{{{{ a }}}}{{% endif %}}"
        assert (rendered(source, data), missing(source, data)) == (shown, [])
    source = "{% if a != blank %}{{ a }}{% else %}none{% endif %}"
    assert (rendered(source, data), missing(source, data)) == (shown, [])


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("{{ 'a\r\nb\nc\rd' | strip_newlines }}", "abc\rd"),
        ("{{ 'a\r\nb\nc' | newline_to_br }}", "a<br />\nb<br />\nc"),
        ("{{ '  a \n\t b ' | squish }}", "a b"),
        ("{{ '<p title=\"a>b\">x</p><!-- y --><style>z</style><b' | strip_html }}", "x"),
        ("{{ 'a < b <3 </ x' | strip_html }}", "a < b <3 </ x"),
    ],
)
def test_own_filters_do_what_the_librarys_do(source: str, result: str) -> None:
    assert rendered(source) == result


@pytest.mark.parametrize("arguments", ["", ": a", ": 1, a", ": a, 'x'"])
@pytest.mark.parametrize("name", sorted(ESCAPED.filters.keys() - {"default"}))
def test_a_filter_without_a_value_fails_nothing_and_says_what_is_missing(name: str, arguments: str) -> None:
    for value in ("a", "'x'", "l", "1"):
        source = f"{{{{ {value} | {name}{arguments} }}}}"
        if "a" not in (value, *arguments.replace(":", ",").replace(" ", "").split(",")):
            continue
        outcome = compile_part(Part.HTML, source + "{{ b }}").render({"l": ["x"]}, weight=0)

        assert (outcome.missing, outcome.failure, outcome.text) == (["a", "b"], None, "")


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{{ total | divided_by: count }} {{ b }}.", " ."),
        ("{{ 7 | modulo: count }}{{ b }}.", "."),
        ("{{ 'abc' | slice: count }}{{ b }}.", "."),
        ("{{ 'abc' | truncate: count }}{{ 'abc' | truncatewords: count }}{{ b }}.", "."),
        ("{{ l | concat: count }}{{ b }}.", "."),
        ("{% assign n = 0 | plus: count %}{{ b }}.{{ 1 | divided_by: n }}", "."),
        ("{% for i in (1..count) limit: count %}{% endfor %}{{ b }}.", "."),
        ("{% assign n = 0 %}{% for i in count %}x{% endfor %}{{ b }}.{{ 1 | divided_by: n }}{{ c }}", "."),
    ],
)
def test_a_preview_goes_as_far_as_it_can_and_a_send_says_every_name(source: str, shown: str) -> None:
    content = Content("s", "", source)

    rendered, names = content.preview({"l": []})

    assert rendered.text == shown
    assert names == [name for name in ("total", "count", "b") if name in source]
    with pytest.raises(MissingVariables) as caught:
        content.render({"l": []})
    assert caught.value.details == {"missingVariables": names}


def test_what_is_missing_in_all_parts_is_said_before_what_failed_in_one() -> None:
    content = Content("{{ a }}{{ 1 | divided_by: 0 }}", "<p>{{ b }}", "{{ c }}")

    assert content.preview({})[1] == ["a", "b", "c"]
    with pytest.raises(MissingVariables):
        content.render({})
    with pytest.raises(TemplateRenderError, match="divide by 0"):
        content.preview({"a": "", "b": "", "c": ""})


def test_an_address_that_lacks_its_beginning_fails_no_preview() -> None:
    content = Content("s", '<a href="{{ base }}shop:{{ x }}">x</a>', "")

    assert content.preview({"x": 1}) == (Rendered("s", "", None), ["base"])
    assert "https://x.example/shop:1" in (content.render({"base": "https://x.example/", "x": 1}).html or "")


def test_every_missing_name_is_listed() -> None:
    names = [f"v{number}" for number in range(450)]
    parts = ["".join(f"{{{{ {letter}{name} }}}}" for name in names) for letter in "abc"]

    with pytest.raises(MissingVariables) as caught:
        Content(*parts).render({})

    assert caught.value.details == {"missingVariables": [letter + name for letter in "abc" for name in names]}


def test_names_made_of_values_are_bounded() -> None:
    content = Content("s", "", "{% for k in ks %}{{ o[k] }}{% endfor %}")

    _, missing = content.preview({"o": {}, "ks": [f"{number:0250}" for number in range(2_000)]})

    assert 100 < len(missing) <= 500
    assert sum(map(len, missing)) < 51_000


@pytest.mark.parametrize("length", [40, 700])
def test_names_are_bounded_together(length: int) -> None:
    few = "".join(f"{{{{ v{number:0{length}} }}}}" for number in range(16_000 // (length + 1)))

    assert len(compile_part(Part.TEXT, few).variables()) == 16_000 // (length + 1)
    with pytest.raises(TemplateRenderError, match="names of the variables have more than 16,384 bytes"):
        compile_part(Part.TEXT, few + "".join(f"{{{{ w{number:0{length}} }}}}" for number in range(30)))


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("{{ 'abcabc' | remove_last: 'c' }}", "abcab"),
        ("{{ 'abcabc' | remove_last: 'abcabc' }}", ""),
        ("{{ 'abcabc' | remove_last: 'z' }}{{ 'abc' | remove_last: '' }}", "abcabcabc"),
        ("{{ 'abcabc' | replace_last: 'abc', 'X' }}", "abcX"),
        ("{{ 'abc' | replace_last: 'abc', 'X' }}", "X"),
        ("{{ 'abc' | replace_last: 'z', 'X' }}{{ 'abc' | replace_last: '', 'X' }}", "abcabcX"),
        ("{{ 123 | replace_last: 3, 4 }}{{ nil | remove_last: 'a' }}", "124"),
    ],
)
def test_the_last_match_is_found_wherever_it_is(source: str, result: str) -> None:
    assert rendered(source) == result


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
