"""The site in a browser, on a desk and on a phone: contents, search, folded code, its widgets."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import DESK, PHONE, SCREENSHOTS, new_page
from widget import Widget

SIZES = {"desk": DESK, "phone": PHONE}
LESSON = "notebooks/01_interpolation_baselines.html"

# Of a page what makes it scroll sideways, outside of what may.
TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  Array.from(document.querySelectorAll("article *"))
    .filter(node => node.getBoundingClientRect().right > innerWidth + 1)
    .map(node => node.outerHTML.slice(0, 80))"""


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that prints nothing, and has no icon, which browsers ask for."""

    def do_GET(self):
        if self.path != "/favicon.ico":
            return super().do_GET()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(site):
    """The site, as a server publishes it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_their_widgets_play(chromium, address, size, scheme):
    with new_page(chromium, viewport=SIZES[size], color_scheme=scheme) as (page, wrong):
        for name in ("index.html", "notebooks/README.html", "srkit/losses.html", LESSON):
            page.goto(f"{address}/{name}")
            assert page.evaluate(TOO_WIDE) == [], name
            shot = f"site-{name.split('/')[-1].removesuffix('.html')}-{size}-{scheme}.png"
            page.screenshot(path=SCREENSHOTS / shot)
        host = page.locator("[data-srkit-page]").first
        widget = Widget(page, host)
        widget.find(".page").wait_for()
        assert host.get_attribute("data-theme") == scheme
        widget.move_sliders()
        widget.assert_legible()
        page.screenshot(path=SCREENSHOTS / f"site-widget-{size}-{scheme}.png")
    assert wrong == []


@pytest.mark.parametrize("size", SIZES)
def test_a_page_is_found_by_search_contents_and_the_next_one(chromium, address, size):
    with new_page(chromium, viewport=SIZES[size]) as (page, wrong):
        page.goto(f"{address}/search.html?q=frechet")
        found = page.locator("#search-results a")
        found.first.wait_for()
        assert any("frechet" in link.get_attribute("href") for link in found.all())
        page.screenshot(path=SCREENSHOTS / f"site-search-{size}.png")

        page.goto(f"{address}/index.html")
        if size == "phone":
            page.locator("button.primary-toggle:visible").first.click()
        page.get_by_role("link", name="For the teacher").first.click()
        page.wait_for_url("**/notebooks/README.html")

        page.goto(f"{address}/{LESSON}")
        page.locator("a.right-next").click()
        page.wait_for_url("**/notebooks/02_srgan.html")
    assert wrong == []


def test_code_is_folded_and_opened_by_mouse_and_by_key(chromium, address):
    with new_page(chromium) as (page, wrong):
        page.goto(f"{address}/{LESSON}")
        fold = page.locator("details.hide:has(summary)").first
        code = fold.locator("pre").first
        assert not code.is_visible()
        fold.locator("summary").click()
        assert code.is_visible()
        page.keyboard.press("Enter")
        assert not code.is_visible()
    assert wrong == []
