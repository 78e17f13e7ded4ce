"""The viewer in JupyterLab: its loupe, its divider, weights in between, a photograph of one's own,
by mouse, finger and keyboard."""

import os
import statistics
from io import BytesIO

import pytest
from PIL import Image

from srkit.data import open_photos

CALLED = "Viewer("
TILES = ".tiles canvas"


@pytest.fixture
def viewer(ran):
    (viewer,) = ran.widgets("viewer")
    return viewer


def choose(viewer, tab: str) -> None:
    viewer.find("[role=tab]").get_by_text(tab, exact=True).click()


def test_the_loupe_shows_what_is_under_the_square(ran, viewer):
    choose(viewer, "Loupe")
    photo = viewer.find("canvas.photo")
    for hand, end in (("mouse", (0.2, 0.7)), ("finger", (0.7, 0.2))):
        with viewer.changing(f"the square by {hand}", TILES):
            viewer.drag(photo, (0.5, 0.5), end, hand)
    for key in ("ArrowLeft", "ArrowDown", "Shift+ArrowRight"):
        with viewer.changing(f"the square by {key}", TILES):
            viewer.keys(photo, key)
    viewer.move_sliders(TILES)
    ran.screenshot(f"viewer-{ran.name}-loupe")


def test_the_divider_compares_any_two(ran, viewer):
    with viewer.changing("another tab by key"):
        choose(viewer, "Loupe")
        viewer.keys(viewer.find("[role=tab][aria-selected=true]"), "ArrowRight")
    stage = viewer.find("canvas.stage")
    for hand, end in (("mouse", 0.2), ("finger", 0.7)):
        with viewer.changing(f"the line by {hand}"):
            viewer.drag(stage, (0.5, 0.4), (end, 0.4), hand)
    for key in ("ArrowLeft", "f", "+", "Shift+ArrowUp", "-"):
        with viewer.changing(f"the divider by {key}"):
            viewer.keys(stage, key)
    for side in viewer.find("select[aria-label$='of the line']").all():
        with viewer.changing("a method by key"):
            viewer.keys(side, "ArrowDown" if side.evaluate("s => !s.selectedIndex") else "ArrowUp")
    with viewer.changing("Flip by finger"):
        viewer.tap(viewer.find("button").get_by_text("Flip"))
    viewer.move_sliders("canvas.stage")
    with viewer.changing("the enlarged picture by mouse"):
        viewer.drag(stage, (0.9, 0.2), (0.7, 0.4))
    ran.screenshot(f"viewer-{ran.name}-divider")


def test_weights_in_between_move_the_point_of_the_plot(ran, viewer):
    if not viewer.find("[role=tab]").get_by_text("In between").count():
        pytest.skip("this notebook has no networks to go between")
    choose(viewer, "In between")
    slider = viewer.find("input[type=range]:visible")
    for css in ("svg.plot", ".three canvas"):
        viewer.move_sliders(css)
    with viewer.changing("weights that were not made before"):
        viewer.keys(slider, "ArrowRight")
        viewer.find(".note:has-text('Patch distance')").wait_for()
    ran.screenshot(f"viewer-{ran.name}-between")


# How long from a pointer's movement to the end of the frame that shows it, in milliseconds.
DELAYS = """host => {
  window.delays = [];
  host.shadowRoot.querySelector("canvas.photo").addEventListener("pointermove", event => {
    const began = event.timeStamp;
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => window.delays.push(performance.now() - began);
      port2.postMessage(null);
    });
  });
}"""


def test_a_drag_is_followed_within_50_ms(ran, viewer):
    choose(viewer, "Loupe")
    viewer.node.evaluate(DELAYS)
    photo = viewer.find("canvas.photo")
    for way in ((0.2, 0.8), (0.8, 0.2), (0.2, 0.8)):
        viewer.drag(photo, (way[0], 0.3), (way[1], 0.6))
    delays = ran.page.evaluate("() => window.delays")
    median = statistics.median(delays)
    print(f"{ran.name}: median {median:.1f} ms of {len(delays)}")
    assert len(delays) > 10
    idle = os.getloadavg()[0] < 0.75 * os.cpu_count()
    assert median < (50 if idle else 250)


def test_the_viewer_is_legible_in_the_light_and_in_the_dark(ran, viewer, looks):
    for tab in viewer.each_tab():
        for look in looks(ran.page):
            viewer.settled()
            viewer.assert_legible()
            ran.screenshot(f"viewer-{ran.name}-{tab.replace(' ', '-')}-{look}")


SIZE = """a => fetch(a.href).then(got => got.blob()).then(createImageBitmap)
  .then(image => [image.width, image.height])"""


def photograph(name: str = "mine.png") -> dict:
    """A photograph of one's own, as a browser is handed it."""
    file = BytesIO()
    Image.fromarray(open_photos("embedded", "val")[0]).resize((96, 64)).save(file, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": file.getvalue()}


def test_a_photograph_of_ones_own_is_compared_and_enlarged(ran, viewer):
    choose(viewer, "Loupe")
    for mode, size in (("compare", (96, 64)), ("enlarge", (192, 128))):
        with viewer.changing(mode, TILES, seconds=300):
            viewer.find("select[aria-label='What to do with it']").select_option(mode)
            viewer.find("input[type=file]").set_input_files(photograph())
        viewer.find(".status:not(.busy)").wait_for()
        assert viewer.find("input[aria-label=Square]").input_value() == "64", "as it is drawn"
        kept = viewer.find(".tiles a").nth(1)
        assert kept.get_attribute("download").startswith("mine-")
        pixels = tuple(kept.evaluate(SIZE))
        assert pixels == size or pixels == tuple(2 * side for side in size)  # at 2x or 4x
    ran.screenshot(f"viewer-{ran.name}-own")
    viewer.find("input[type=file]").set_input_files(
        {"name": "text.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    error = viewer.find(".status.error")
    error.wait_for()
    assert "text.png" in error.inner_text()
