"""The training panel in JupyterLab: a training is paused, stopped and goes on, beside the cells."""

import json
import time

import nbformat
import pytest

CALLED = "Panel("
STAGES = "stages(name, preset, seed=seed)"
LONG = "stages(name, preset, seed=seed, iterations=100_000, log_every=5, sample_every=20)"


@pytest.fixture
def long_training(lab, open_notebook):
    """Notebook 04 with a training that never ends by itself."""
    notebook = nbformat.read(lab.root / "notebooks" / "04_training.ipynb", as_version=4)
    cell = next(cell for cell in notebook.cells if STAGES in cell.source)
    cell.source = cell.source.replace(STAGES, LONG)
    nbformat.write(notebook, lab.root / "my-notebooks" / "long_training.ipynb")
    return open_notebook("long_training")


class Training:
    """What a panel says of its training."""

    def __init__(self, panel):
        self.panel = panel
        self.button = lambda name: panel.find("button").get_by_text(name, exact=True)

    def says(self, *words: str, seconds: float = 60) -> None:
        """Wait until its status has one of these words."""
        has = ", ".join(f".status:has-text('{word}')" for word in words)
        self.panel.find(has).wait_for(timeout=1000 * seconds)

    def step(self) -> int:
        return int(self.panel.find("[role=progressbar]").get_attribute("aria-valuenow"))

    def goes_beyond(self, step: int, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while self.step() <= step:
            assert time.monotonic() < end, f"it stays at {self.step()}"
            self.panel.page.wait_for_timeout(100)

    def rests(self) -> int:
        """Wait until no more updates are told of; returns the last one's number."""
        last = None
        while last != self.step():
            last = self.step()
            self.panel.page.wait_for_timeout(1000)
        return last


def test_a_training_is_paused_stopped_and_goes_on(long_training, lab):
    notebook, page = long_training, long_training.page
    notebook.run_all(minutes=0)
    cell = notebook.show_cell("runs[name] = Panel(")
    cell.locator("[data-srkit-page] .page").wait_for(timeout=180_000)
    (panel,) = notebook.widgets("panel")
    training = Training(panel)

    # Beside the cell that trains: pause, go on, stop; the later cells work on what there is.
    training.goes_beyond(20)
    training.button("Pause").click()
    training.says("paused")
    paused = training.rests()
    panel.keys(training.button("Go on"), "Enter")
    training.says("training")
    training.goes_beyond(paused)
    panel.tap(training.button("Stop"))
    training.says("stopped and saved")
    stopped = training.step()
    state = notebook.wait()
    assert state["errors"] == [] and state["ran"] == state["cells"]
    notebook.screenshot("panel-stopped")

    # Beside nothing: it goes on from there, and is stopped while it is paused.
    notebook.show_cell("runs[name] = Panel(")
    training.button("Go on").click()
    training.goes_beyond(stopped)
    training.button("Pause").click()
    training.says("paused")
    training.button("Stop").click()
    training.says("stopped and saved")
    stopped = training.rests()

    # By running the cell again, and by the notebook's own stop button.
    notebook.command("notebook:run-cell")
    page.wait_for_timeout(500)
    cell.locator("[data-srkit-page] .page").wait_for()
    panel = next(notebook.widgets("panel"))  # the second stage has another
    training = Training(panel)
    training.goes_beyond(stopped)
    page.locator("[data-command='notebook:interrupt-kernel']").first.click()
    training.says("stopped and saved")
    assert notebook.wait()["errors"] == []
    assert "Traceback" not in notebook.state()["text"]
    (folder,) = {log.parent for log in (lab.root / "runs").rglob("train-sr-ugan-x2/log.jsonl")}
    steps = [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps)) and steps[-1] >= training.step()

    # Weights of one's own, dashed in the curves.
    weights = panel.find("[aria-label='Weights of the loss'] input[type=range]")
    for slider in weights.all():
        with panel.changing("a weight by key", ".weights output"):
            panel.keys(slider, "ArrowLeft")
    training.button("Train anew with these weights").click()
    training.says("your weights, training")
    training.goes_beyond(10)
    assert panel.find("svg.plot polyline[stroke-dasharray='6 4']").count()
    training.button("Stop").click()
    training.says("stopped and saved")
    notebook.screenshot("panel-weights")


def test_the_samples_of_a_training_are_gone_through(ran):
    for panel in ran.widgets("panel"):
        assert "finished" in panel.find(".status").inner_text()
        slider = panel.find("input[type=range][aria-label=Sample]")
        with panel.changing("the sample by mouse"):
            panel.drag(slider, (0.9, 0.5), (0.05, 0.5))
        with panel.changing("the sample by finger"):
            panel.drag(slider, (0.1, 0.5), (0.95, 0.5), "finger")
        with panel.changing("the sample by key"):
            panel.keys(slider, "ArrowLeft")


def test_the_panel_is_legible_in_the_light_and_in_the_dark(ran, looks):
    for panel in ran.widgets("panel"):
        for look in looks(ran.page):
            panel.assert_legible()
            ran.screenshot(f"panel-{ran.name}-{look}")
