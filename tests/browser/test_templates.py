"""The preview of a template in a real browser: it follows what is typed, and nothing in it runs or is fetched."""

from playwright.sync_api import Page, Route, expect

from apps.templates.services import authoring
from apps.templates.services.lookups import versions_of
from apps.workspaces.models import Workspace
from tests.browser.conftest import DESKTOP, PHONE, keep_screenshot
from tests.console.conftest import HOSTILE
from tests.templates.making import make_template

HTML = """<html><head><style>.total{font-weight:bold}h2{color:#0a5c4a}td{padding:8px 0}</style></head><body>
<div style="max-width:600px;margin:24px auto;font:16px/1.5 sans-serif;color:#222">
<h2>Thank you, {{ name }}</h2>
<p>Your order <b>{{ order.number }}</b> has left our roastery.</p>
<table width="100%">
{% for item in order.items %}<tr><td>{{ item.name }}</td><td align="right">{{ item.price }}</td></tr>
{% endfor %}</table>
<p class="total">Total: {{ order.total }}</p>
<p><a href="{{ tracking_url }}">Follow your parcel</a></p>
</div></body></html>"""
DATA = """{
  "name": "Ada",
  "order": {
    "number": 1041,
    "items": [{"name": "Ethiopia Sidamo, 1 kg", "price": "24.00"}, {"name": "Filter papers", "price": "4.50"}],
    "total": "28.50"
  },
  "tracking_url": "https://nordlicht.example/orders/1041"
}"""


def address(workspace: Workspace, number: int, name: str, html: str = HTML) -> str:
    row = make_template(
        workspace, "order-receipt", name="Order receipt", subject="Thank you, {{ name }}", html=html, text=""
    )
    changed = html.replace("has left our roastery", "is on its way").replace("Follow", "Track")
    authoring.update(row, {"html": changed, "subject": "Your order {{ order.number }} is on its way"})
    return f"/admin/templates/template/versions/{versions_of(row).get(number=number).pk}/{name}/"


def test_the_preview_follows_what_is_typed(page: Page, shop: Workspace, complaints: list[str]) -> None:
    page.goto(address(shop, 1, "preview"))
    frame = page.frame_locator("iframe[name=template-frame]")
    expect(frame.get_by_role("heading")).to_have_text("Thank you, Name")

    page.get_by_label("Sample data").fill('{"name": "<b>Ada</b>"}')

    expect(frame.get_by_role("heading")).to_have_text("Thank you, <b>Ada</b>")
    expect(page.locator(".preview-subject bdi")).to_have_text("Thank you, <b>Ada</b>")
    expect(page.locator(".preview-missing li")).to_have_text(
        ["order.number", "order.items", "order.total", "tracking_url"]
    )
    page.get_by_label("Sample data").fill("{")
    expect(page.locator(".preview-fault")).to_contain_text("not valid JSON")
    page.get_by_label("Sample data").fill(DATA)
    expect(page.locator(".preview-fault")).to_be_hidden()
    expect(frame.get_by_text("Ethiopia Sidamo")).to_be_visible()
    keep_screenshot(page, "template-preview")
    assert complaints == []


def test_nothing_in_a_preview_runs_or_is_fetched(page: Page, shop: Workspace) -> None:
    asked: list[str] = []

    def note(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route("https://tracker.example/**", note)
    hostile = (
        f"<p>Read me {HOSTILE}</p><script>top.document.title = 'taken'</script>"
        "<img src='https://tracker.example/x.png'><link rel=stylesheet href='https://tracker.example/x.css'>"
        "<iframe src='https://tracker.example/f'></iframe>"
    )
    page.goto(address(shop, 1, "preview", html=hostile))

    expect(page.frame_locator("iframe[name=template-frame]").get_by_text("Read me")).to_be_visible()
    assert asked == []
    assert page.title() != "taken"


def test_pages_fit_wide_and_narrow_light_and_dark(page: Page, shop: Workspace, complaints: list[str]) -> None:
    where = address(shop, 2, "compare")
    for size, width in ((DESKTOP, "wide"), (PHONE, "narrow")):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            for name in ("compare", "preview", "activate"):
                page.goto(where.replace("compare", name))
                page.wait_for_load_state("networkidle")
                overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
                assert overflow <= 0, (name, width)
                keep_screenshot(page, f"template-{name}-{width}-{scheme}")
            page.goto("/admin/templates/template/")
            page.get_by_role("link", name="Order receipt").first.click()
            expect(page.get_by_role("heading", name="Versions")).to_be_visible()
            keep_screenshot(page, f"template-page-{width}-{scheme}")
    assert complaints == []
