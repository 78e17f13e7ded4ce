"""The page that `srkit lab` opens."""


def test_the_start_page_leads_to_the_notebooks_in_order(lab, page):
    page.goto(lab.url)
    links = page.locator(".jp-RenderedMarkdown a[href]")
    links.first.wait_for()
    titles = [text for text in links.all_inner_texts() if text]
    assert [text.split(".")[0] for text in titles] == ["1", "2", "3", "4", "5", "6"]
    page.screenshot(path=lab.screenshots / "start.png")
    links.get_by_text("1. What can be had").click()
    page.locator(".jp-Notebook").wait_for()
    assert page.get_by_role("tab", name="01_interpolation_baselines.ipynb").count()
