"""A notebook that was saved plays where nothing runs it: opened again, and exported."""

import shutil

import nbformat
import pytest
from conftest import PHONE, SCREENSHOTS, Notebook, new_page
from widget import Widget

from srkit.notebook.offline import as_html

KINDS = ("frames", "panel", "viewer")
ASKING = "button:visible:text-matches('Your photo|Start|Go on')"


def test_it_is_opened_again_and_plays_without_being_run(ran, lab, chromium):
    ran.save()
    mine = lab.root / "my-notebooks" / f"{ran.name}.ipynb"
    copy = shutil.copy(mine, mine.with_stem(f"{ran.name}-again"))
    with new_page(chromium) as (page, wrong):
        again = Notebook(lab, page, copy.stem)
        assert again.state()["ran"] == again.state()["cells"], "its outputs were saved"
        for _ in again.shown_cells():
            assert page.get_by_text("Error displaying widget").count() == 0
        played = 0
        for kind in KINDS:
            for widget in again.widgets(kind):
                widget.move_sliders()
                assert widget.find(ASKING).count() == 0, "it asks a kernel that is gone"
                played += 1
        assert played
        again.screenshot(f"again-{ran.name}")
        again.close()
    assert wrong == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_its_exported_copy_plays_on_a_phone_without_a_network(ran, lab, chromium, tmp_path, theme):
    ran.save()
    saved = nbformat.read(lab.root / "my-notebooks" / f"{ran.name}.ipynb", as_version=4)
    exported = tmp_path / "exported.html"
    exported.write_text(as_html(saved, theme=theme), encoding="utf-8")
    with new_page(chromium, viewport=PHONE) as (page, wrong):
        page.goto(exported.as_uri())
        for number, host in enumerate(page.locator("[data-srkit-page]").all()):
            assert host.get_attribute("data-theme") == theme
            widget = Widget(page, host)
            for tab in widget.each_tab():
                if theme == "light" and tab != "In between":  # which has few steps without a kernel
                    widget.move_sliders()
                widget.assert_legible()
                name = "-".join(["phone", ran.name, str(number), *tab.split(), theme])
                host.screenshot(path=SCREENSHOTS / f"{name}.png")
    assert wrong == []
