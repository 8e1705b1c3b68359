"""Everything at once: a template with inlined CSS, files, and names of any script, at a real server, byte by byte."""

import os
from uuid import UUID

from apps.delivery.compose import letter_of, load
from apps.delivery.services.prepare import keys_of
from tests.client import SEND_TEMPLATE
from tests.conftest import World
from tests.delivery.conftest import Post
from tests.delivery.test_attachments import ADA, read, upload, verifies
from tests.fakes.smtp_sink import SmtpSink
from tests.templates.making import make_template

HTML = """<html><head><style>.total { color: #0a7 } @media print { p { margin: 0 } }</style></head>
<body><p>Ναι, {{ name }}!</p><table>{% for item in items %}<tr><td class="total">{{ item.price }}</td></tr>{% endfor %}
</table></body></html>"""


def test_a_template_with_files_arrives_as_it_was_composed(post: Post, world: World) -> None:
    content = os.urandom(70_000)
    make_template(world.owner.workspace, "invoice", subject="Rechnung für {{ name }} ✓", html=HTML, text="")
    body = {
        "template": "invoice",
        "from": {"email": "shop@shop.example", "name": "Løden Ægir"},
        "to": {"email": ADA, "name": "愛 <Ada>"},
        "data": {"name": "Zoë & Søn", "items": [{"price": "9 €"}, {"price": "<10>"}]},
        "attachments": [{"assetId": upload(world.owner.workspace, content), "filename": "Rechnung №7 – 請求書.pdf"}],
    }
    with SmtpSink() as server:
        post.goes_to(server)
        answer = world.owner.api.post(SEND_TEMPLATE, body)
        assert answer.status == 202
        post.deliver()

        (received,) = server.messages

    parsed = read(received.content)
    html = parsed.get_body(("html",)).get_content()
    text = parsed.get_body(("plain",)).get_content()
    (attachment,) = parsed.iter_attachments()
    assert parsed["Subject"] == "Rechnung für Zoë & Søn ✓"
    assert parsed["From"].addresses[0].display_name == "Løden Ægir"
    assert parsed["To"].addresses[0].display_name == "愛 <Ada>"
    assert 'style="color: #0a7' in html
    assert "Ναι, Zoë &amp; Søn!" in html
    assert "&lt;10&gt;" in html
    assert "@media print" in html
    assert "Ναι, Zoë & Søn!" in text
    assert "<10>" in text
    assert (attachment.get_filename(), attachment.get_content()) == ("Rechnung №7 – 請求書.pdf", content)
    assert verifies(received.content)
    stored = load({UUID(answer.data["id"])})
    (message,) = stored.values()
    assert letter_of(message, keys_of(stored)[0]).content == received.content
