"""Every notebook in JupyterLab, as a student runs it: its cells, its widgets, a training that is
stopped, a notebook that was saved and is opened again."""

import json
import re
from pathlib import Path

import nbformat
import pytest

NAMES = [f.stem for f in sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))]

# A widget, as a page of ours or as ipywidgets has it, and its controls.
WIDGETS = ".jp-OutputArea [data-srkit-page], .jp-OutputArea .widget-interact"
CONTROLS = "input[type=range]:visible, select:visible, .noUi-handle:visible"

# What a widget shows: its pictures, whatever they are made of, and nothing of its controls.
PICTURES = """widget => {
  const inside = widget.shadowRoot ?? widget;
  const all = (what) => Array.from(inside.querySelectorAll(what));
  return JSON.stringify([
    all("img").map(image => image.src), all("canvas").map(canvas => canvas.toDataURL()),
    all("svg.plot").map(plot => plot.innerHTML),
  ]);
}"""


class Widget:
    """One widget of an open notebook."""

    def __init__(self, page, locator):
        self.page, self.locator = page, locator
        locator.scroll_into_view_if_needed()

    def pictures(self) -> str:
        return self.locator.evaluate(PICTURES)

    def changed(self, before: str, seconds: float = 20) -> bool:
        """Whether the pictures become others than they were."""
        for _ in range(int(5 * seconds)):
            if self.pictures() != before:
                return True
            self.page.wait_for_timeout(200)
        return False

    def settle(self) -> str:
        """Wait until nothing is redrawn any more; returns the pictures."""
        last = self.pictures()
        for _ in range(50):
            self.page.wait_for_timeout(600)
            now = self.pictures()
            if now == last:
                return now
            last = now
        raise AssertionError("a widget never comes to rest")


def by_mouse(page, control) -> None:
    """Move a control to another value with the mouse."""
    control.scroll_into_view_if_needed()
    if control.evaluate("node => node.tagName") == "SELECT":  # its list is drawn by the system
        control.select_option(index=control.evaluate("s => (s.selectedIndex + 1) % s.length"))
        return
    box, track = control.bounding_box(), control
    if "noUi" in (control.get_attribute("class") or ""):
        track = control.locator("xpath=ancestor::*[contains(@class, 'noUi-target')]")
    whole = track.bounding_box()
    at = box["x"] + box["width"] / 2 if track is not control else whole["x"]
    y, middle = box["y"] + box["height"] / 2, whole["x"] + whole["width"] / 2
    page.mouse.move(at, y)
    page.mouse.down()
    page.mouse.move(whole["x"] + whole["width"] * (0.8 if at <= middle else 0.2), y, steps=4)
    page.mouse.up()


def by_keyboard(page, control, forward: bool) -> None:
    """Move a control by one step with the keyboard."""
    control.focus()
    down = control.evaluate("node => node.tagName") == "SELECT"
    page.keyboard.press(("ArrowDown" if forward else "ArrowUp") if down else
                        ("ArrowRight" if forward else "ArrowLeft"))  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_all_cells_run_and_widgets_follow_mouse_and_keyboard(open_notebook, page, name):
    notebook = open_notebook(name)
    state = notebook.run_all()
    assert state["errors"] == []
    assert "preset smoke" in state["text"]
    found = page.locator(WIDGETS)
    assert found.count(), "a notebook without a widget"
    for number in range(found.count()):
        widget = Widget(page, found.nth(number))
        controls = widget.locator.locator(CONTROLS)
        for at in range(controls.count()):
            control = controls.nth(at)
            before = widget.settle()
            by_mouse(page, control)
            assert widget.changed(before), f"widget {number}, control {at}: by mouse"
            if control.locator("xpath=ancestor::*[contains(@class, 'widget-dropdown')]").count():
                continue  # ipywidgets lets JupyterLab have the keys of a list
            before = widget.settle()
            by_keyboard(page, control, forward=True)
            if not widget.changed(before, 4):  # it was at its end
                by_keyboard(page, control, forward=False)
                assert widget.changed(before), f"widget {number}, control {at}: by keyboard"
        notebook.screenshot(f"widget-{name}-{number}")


STOPPED = """from srkit import paths
from srkit.notebook.session import begin
from srkit.training.recipes import recipe
session = begin("smoke")
plan = recipe("srresnet", "smoke", iterations=3000, log_every=20)
path, _ = session.train(plan, part="-stopped")
print("trained to its end")"""


def test_a_training_is_stopped_and_goes_on(open_notebook, lab, page):
    cell = nbformat.v4.new_code_cell(STOPPED)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    nbformat.write(made, lab.root / "my-notebooks" / "stopped.ipynb")
    notebook = open_notebook("stopped")
    notebook.run_all(minutes=0)
    log = lab.root / "runs" / "smoke" / "train-srresnet-x2-stopped" / "log.jsonl"
    for _ in range(240):
        if log.is_file() and len(log.read_text().splitlines()) > 2:
            break
        page.wait_for_timeout(250)
    page.locator("[data-command='notebook:interrupt-kernel']").first.click()
    state = notebook.wait()
    stopped = re.search(r"stopped at step (\d+) and saved", state["text"])
    assert stopped and 0 < int(stopped[1]) < 3000
    notebook.screenshot("training-stopped")
    notebook.command("notebook:clear-all-cell-outputs")
    state = notebook.run_all()
    assert state["errors"] == [] and "trained to its end" in state["text"]
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == sorted(set(steps)) and steps[-1] == 3000


def test_a_saved_notebook_shows_its_pictures_when_it_is_opened_again(open_notebook, page):
    notebook = open_notebook(NAMES[0])
    assert notebook.run_all()["errors"] == []
    pictures = notebook.state()["pictures"]
    notebook.command("docmanager:save")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    state = open_notebook(NAMES[0]).state()
    assert state["ran"] == state["cells"], "its outputs were saved"
    assert state["pictures"] == pictures > 5
    page.locator(".jp-OutputArea-output img").last.scroll_into_view_if_needed()
    assert page.get_by_text("Error displaying widget").count() == 0
    notebook.screenshot("opened-again")
