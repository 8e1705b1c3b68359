"""What a value can do in HTML: nothing. Between tags, in attributes, in addresses, through every filter."""

import html
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import Problem
from apps.templates.engine.compiled import Part
from apps.templates.engine.content import Content, variables_of
from apps.templates.engine.css import inline
from apps.templates.engine.environment import ESCAPED
from apps.templates.engine.markup import Tag, read
from apps.templates.errors import TemplateRenderError

ATTACKS = [
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    "</style><script>",
    "--><script>alert(1)</script>",
    "</title><img src=x onerror=alert(1)>",
    "&lt;script&gt;",
    "%3Cscript%3E",
    "PHNjcmlwdD4=",
]
ADDRESSES = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "\x01javascript:alert(1)",
    "java\nscript:alert(1)",
    "java\tscript:alert(1)",
    "javascript&colon;alert(1)",
    "vbscript:x",
    "data:text/html,<script>",
    "file:///etc/passwd",
    "blob:x",
]
GOOD = [
    "https://x.example/?a=1&b=2",
    "http://x.example",
    "mailto:a@x.example",
    "tel:+1",
    "cid:logo",
    "/path",
    "#top",
    "",
]


def rendered(source: str, **data: Any) -> str:
    return Content("s", source, "t").render({"on": True, **data}).html or ""


def tags(source: str) -> list[str]:
    return [token.name for token in read(source) if isinstance(token, Tag)]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_value_is_text_wherever_it_stands(attack: str) -> None:
    source = (
        "<title>{{ v }}</title><style>.a{content:'{{ v }}'}</style><!-- {{ v }} -->"
        "<p title=\"{{ v }}\" class='{{ v }}'>{{ v }}</p>"
    )

    found = rendered(source, v=attack)

    assert tags(found) == tags(source)
    paragraph = next(token for token in read(found) if isinstance(token, Tag) and token.name == "p")
    assert [attribute.name for attribute in paragraph.attributes] == ["title", "class"]
    assert paragraph.get("title") == paragraph.get("class") == attack
    assert f'<p title="{html.escape(attack).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")}"' in found


@pytest.mark.parametrize("attack", ATTACKS)
def test_subject_and_text_are_not_escaped(attack: str) -> None:
    shown = Content("{{ v }}", "", "{{ v }}").render({"v": attack})

    assert (shown.subject, shown.text) == (attack, attack)


ARGUMENTS = {
    "append": ": v",
    "at_least": ": 1",
    "at_most": ": 1",
    "concat": ": l",
    "date": ": '%Y'",
    "default": ": v",
    "divided_by": ": 1",
    "find": ": v",
    "find_index": ": v",
    "has": ": v",
    "join": ": v",
    "map": ": 'k'",
    "minus": ": 1",
    "modulo": ": 1",
    "plus": ": 1",
    "prepend": ": v",
    "reject": ": v",
    "remove": ": 'z'",
    "remove_first": ": 'z'",
    "remove_last": ": 'z'",
    "replace": ": 'a', v",
    "replace_first": ": 'a', v",
    "replace_last": ": 'a', v",
    "slice": ": 0, 99",
    "split": ": 'z'",
    "times": ": 1",
    "where": ": v",
}
FILTERS = sorted(ESCAPED.filters)


@pytest.mark.parametrize(
    "second", ["", "escape", "url_decode", "base64_decode", "strip_html", "newline_to_br", "split"]
)
@pytest.mark.parametrize("first", FILTERS)
def test_no_filter_lets_a_value_become_markup(first: str, second: str) -> None:
    then = f" | {second}{ARGUMENTS.get(second, '')}" if second else ""
    capture = "{% capture c %}{{ v }}{% endcapture %}"
    for value in ("v", "l", "c", "'&lt;b&gt;' | append: v", "v | escape"):
        source = f"{capture}<p title='{{{{ {value} | {first}{ARGUMENTS.get(first, '')}{then} }}}}'>x"
        for attack in ATTACKS:
            try:
                found = rendered(source, v=attack, l=[attack, {"k": attack}])
            except Problem:
                continue
            assert [name for name in tags(found) if name != "br"] == ["p"], (source, found)
            assert "'>x" in found
            assert found.count("'") == 2


@settings(max_examples=150, deadline=None)
@given(
    value=st.text(max_size=30),
    chain=st.lists(st.sampled_from(FILTERS), max_size=4),
)
def test_no_chain_of_filters_lets_a_value_become_markup(value: str, chain: list[str]) -> None:
    filters = "".join(f" | {name}{ARGUMENTS.get(name, '')}" for name in chain)
    source = f"<p title='{{{{ v{filters} }}}}'>x</p>"
    hostile = f"<b {value}'\"onload=x>"
    try:
        found, _ = Content("s", source, "").preview({"v": hostile, "l": [hostile]})
    except Problem:
        return
    assert [name for name in tags(found.html or "") if name != "br"] == ["p", "p"]
    assert (found.html or "").count("'") == 2


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "source",
    [
        '<a href="{{ u }}">x</a>',
        "<a href='{{ u }}'>x</a>",
        '<a HREF = "{{ u }}">x</a>',
        '<img src="{{ u }}" alt="">',
        '<a href="{% if on %}{{ u }}{% endif %}">x</a>',
        '<a {% if on %}href="{{ u }}"{% endif %}>x</a>',
        '{% capture c %}{{ u }}{% endcapture %}<a href="{{ c }}">x</a>',
        '<a = href="{{ u }}">x</a>',
        '<svg><a xlink:href="{{ u }}">x</a></svg>',
        '<body background="{{ u }}">x',
        '<form action="{{ u }}">x</form>',
    ],
)
def test_a_value_brings_no_address_of_another_kind(source: str, address: str) -> None:
    content = Content("s", source, "t")

    if address.startswith("javascript&colon;"):
        # Escaped once more it is no colon but these letters, and so a path.
        assert "&amp;colon;" in (content.render({"u": address, "on": True}).html or "")
        return
    with pytest.raises(TemplateRenderError, match="no value may bring into a mail|not allowed here") as caught:
        content.render({"u": address, "on": True})

    assert caught.value.details["part"] == "html"


def test_a_scheme_that_is_put_together_is_seen_too() -> None:
    for source in ('<a href="java{{ u }}">x</a>', '<a href="{{ a }}{{ u }}">x</a>', '<a href="{{ a }}script:x">x</a>'):
        with pytest.raises(TemplateRenderError, match="javascript"):
            rendered(source, a="java", u="script:alert(1)")


@pytest.mark.parametrize("address", GOOD)
def test_addresses_that_mail_has_stay_as_they_are(address: str) -> None:
    found = rendered('<a href="{{ u }}">x</a><img src="{{ u }}" alt="">', u=address)

    assert [token.get("href") for token in read(found) if isinstance(token, Tag) and token.name == "a"][0] == address


def test_what_the_template_spells_out_is_its_authors_matter() -> None:
    source = '<a href="sms:{{ n }}">x</a><img src="data:image/gif;base64,R0" alt=""><a href="javascript:void(0)">y</a>'

    assert rendered(source, n="+1") == source.replace("{{ n }}", "+1")
    with pytest.raises(TemplateRenderError):
        rendered(source + '<img src="{{ n }}" alt="">', n="data:image/gif;base64,R1")
    with pytest.raises(TemplateRenderError):
        rendered('<a href="javascript:f({{ n }})">x</a>', n="1")


def test_text_that_only_looks_like_an_address_is_text() -> None:
    assert "javascript:x" in rendered("<p>{{ v }} href=javascript:x</p>", v='href="javascript:x"')


@pytest.mark.parametrize(
    "source",
    [
        "<a href={{ u }}>x</a>",
        "<a href={% echo u %}>x</a>",
        "<a href={% cycle u %}>x</a>",
        "<a href={% increment u %}>x</a>",
        "<a href={% decrement u %}>x</a>",
        "<a {{ u }}>x</a>",
        "<{{ u }}>x",
        "</{{ u }}>x",
        "<h{{ u }}>x",
        "<{% if u %}a{% endif %}>x",
        "< {%- if u -%} a{% endif %}>x",
        "<td{% if u %}x{% endif %}>x",
        "<!{% if u %}--{% endif %}x",
        "<title></ti{{ u }}tle>",
        "\n<a title=x{{ u }}>",
        '<a title="x" {{ u }}>',
        "<a {% if u %}{{ u }}{% endif %}>",
        '<a {% if u %}title="{% endif %}{{ u }}">',
        '<a {% unless u %}title="{% endunless %}{{ u }}">',
        '<a {% if u %}title=\'{% else %}title="{% endif %}{{ u }}">',
        '<a {% case u %}{% when 1 %}title="{% when 2 %}title="{% else %}title="{% endcase %}{{ u }}">',
        '<a {% for i in u %}title="{% endfor %}{{ u }}">',
        '<a {% for i in u %}a{% else %}title="{% endfor %}{{ u }}">',
        '{% for i in u %}<a title="{% break %}">{% endfor %}{{ u }}',
        '{% for i in u %}<a title="{% if i %}{% continue %}{% endif %}">{% endfor %}{{ u }}',
        '<a {% if u %}title{% endif %}="{{ u }}">',
        '<a {% if u %}title={% endif %}"{{ u }}">',
        '<a width={% if u %}1{% endif %} title="{{ u }}">',
        '<a class=x {%- if u -%} title="{{ u }}"{% endif %}>',
        '<a class=x {%- if u -%}{% endif %} title="{{ u }}"{{ u }}>',
        "{% if u %}<!--{% endif %}<a class={{ u }}>-->",
        "{% if u %}<!--{% endif %}<a>-->",
        "<!-- -{% if u %}->{% endif %}",
        "<!--{{ u }}><a>-->",
        "<!-- a --!><a class={{ u }}> -->",
        "{% if u %}<title>{% endif %}<a class={{ u }}></title>",
        '{% capture c %}<a title="{% endcapture %}{{ c }}{{ u }}',
        '<a {% capture c %}title="{% endcapture %}{{ u }}">',
        "<svg><style><a title={{ u }}></style></svg>",
    ],
)
def test_a_value_that_would_not_keep_its_place_is_refused_when_it_is_saved(source: str) -> None:
    with pytest.raises(TemplateRenderError) as caught:
        variables_of(Part.HTML, source)

    assert caught.value.details["line"] == source.count("\n") + 1


@pytest.mark.parametrize(
    "source",
    [
        "<option {% if a %}selected{% endif %} value='{{ b }}'>",
        "<td width={% if a %}1{% else %}2{% endif %}>{{ x }}</td>",
        "<td{% if a %} class='b'{% endif %} title='{{ x }}'>",
        '<td {% if a %}class="b"{% elsif c %}class="d"{% endif %}>{{ x }}',
        '{% if a %}<td class="{{ x }}"{% else %}<th{% endif %} title="{{ x }}">',
        "{% for i in l %}{% if i %}{% continue %}{% endif %}<a>{% endfor %}",
        "a < {{ b }} and {{ c }} > d",
        "<p>{% for i in l %}{{ i }}{% endfor %}</p>",
        "<!-- {{ a }} --><p title='{{ a }}{% if b %}\"{% endif %}'>",
        "<!--[if mso]>{% if a %}<td width={{ w }}>{% endif %}<![endif]-->",
        "<title>{{ a }}</title><style>.a{color:{{ b }}}</style><svg><title>x</title></svg>",
        "{% case a %} junk {% when 1 %}<b>{% when 2 %}<i>{% else %}x{% endcase %}",
        '{% capture c %}<a href="{{ u }}">x</a>{% endcapture %}{{ c }}',
        '<p {% comment %}"{% endcomment %}title=\'{{ a }}\'>{% raw %}<p title="{{ a }}">{% endraw %}',
        "<textarea><a title={{ u }}></textarea>",
    ],
)
def test_ordinary_places_are_fine(source: str) -> None:
    variables_of(Part.HTML, source)


EVIL = "a onmouseover=alert(1) '\" onclick=x"


@pytest.mark.parametrize(
    "source",
    [
        "<p title='{{ f | default: 'the \"best\" x=' }}{{ v }}'>",
        '<p title="{{ f | default: \'the "best" x=\' }}{{ v }}">',
        "<p title='{{ f | default: \"it's x=\" }}{{ v }}'>",
        "<p title='{% echo \"it's x=\" %}{% echo v %}'>",
        "<p title='{% cycle \"it's x=\", v %}{% cycle \"it's x=\", v %}'>",
        '{% capture c %}" {{ v }}{% endcapture %}<p title="{{ c }}">',
        "{% capture c %}' {{ v }}{% endcapture %}<p title='{{ c | strip }}'>",
        "<p title='{{ \"it's \" | append: v }}'>",
        "<p title='{{ v | newline_to_br }}{{ v | url_encode }}'>",
        "<title>{{ '</title>' }}{{ v }}</title><p title=''>",
        "<!-- {{ '-->' }}{{ v }} --><p title=''>",
        "<!doctype {{ '>' }}{{ v }}><p title=''>",
    ],
)
def test_what_a_template_writes_stays_in_its_place(source: str) -> None:
    for sent in (source, inline(f"<style>p{{color:red}}</style>{source}").html):
        found = Content("s", sent, "t").render({"v": EVIL, "f": ""}).html or ""

        paragraphs = [token for token in read(found) if isinstance(token, Tag) and token.name == "p"]
        paragraphs = [tag for tag in paragraphs if not tag.is_closing]
        assert [[a.name for a in tag.attributes if a.name != "style"] for tag in paragraphs] == [["title"]]
        assert set(tags(found)) <= {"p", "style", "title"}


@pytest.mark.parametrize(
    "source",
    [
        "{{ '<p class=' }}{{ v }}>",
        "{% assign a = '<p title=' %}{{ a }}{{ v }}>",
        "{{ '<p title=\"' }}{{ v }}",
        "{{ '<!--' }}{{ v }}",
        "{{ '<title>' }}{{ v }}",
        "{% cycle '<p class=', v %}{% cycle '<p class=', v %}",
        "{% capture c %}<p title=\"\">{% endcapture %}{{ c | split: '>' | first }} {{ v }}>",
    ],
)
def test_a_text_that_leaves_a_tag_open_is_not_written(source: str) -> None:
    with pytest.raises(TemplateRenderError, match="ends within a tag"):
        rendered(source, v=EVIL)


def test_literals_and_captured_texts_are_markup_between_tags() -> None:
    source = "{{ '<b>' }}{% capture c %}<i title=\"{{ v }}\">{% endcapture %}{{ c }}{{ '</b>' }}{% cycle '<u>', v %}"

    assert rendered(source, v="<") == '<b><i title="&lt;"></b><u>'
