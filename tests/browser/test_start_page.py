"""The page that `srkit lab` opens."""

import urllib.request

from conftest import SCREENSHOTS


def test_the_start_page_leads_to_the_notebooks_in_order_and_to_the_teachers_page(lab, page):
    with urllib.request.urlopen(lab.url) as answer:
        opened = answer.url
    assert opened.endswith("/lab/tree/start.md")
    page.goto(f"{opened}?reset")  # without the tabs of other tests
    links = page.locator(".jp-RenderedMarkdown p a[href]")
    links.first.wait_for()
    numbers = [text.split(".")[0] for text in links.all_inner_texts()]
    assert numbers == ["1", "2", "3", "4", "5", "6", "For the teacher"]
    page.screenshot(path=SCREENSHOTS / "start-page.png")
    links.get_by_text("For the teacher").click()
    page.get_by_role("heading", name="For the teacher").wait_for()
    page.screenshot(path=SCREENSHOTS / "start-page-teacher.png")
    page.get_by_role("tab", name="start.md").click()
    links.get_by_text("1. What can be had").click()
    page.locator(".jp-Notebook:visible").wait_for()  # beside tabs of other tests
    assert page.get_by_role("tab", name="01_interpolation_baselines.ipynb").count()
