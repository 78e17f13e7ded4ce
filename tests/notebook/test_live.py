"""Watching a run: drawn seldom and at the end; the failure gallery measures what it shows."""

import json
from copy import deepcopy

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from PIL import Image
from torch import nn

from srkit.data import bicubic_lr
from srkit.metrics import psnr
from srkit.models import SRGANGenerator
from srkit.notebook import figures, live, report
from srkit.training.recipes import recipe

PLAN = recipe("sr-ugan", "smoke", iterations=40)


def write_run(folder, step: int, **more) -> None:
    """What `train` would have written by one validation."""
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(step)
    for name in (f"samples/step_{step:07d}.png", "held_out.png"):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / name)
    row = {"step": step, "mse": 0.1, "d_real": 0.6, "d_fake": 0.4, "psnr": 20.0 + step} | more
    times = {"step": step, "images_per_second": 0.5 * step, "seconds_left": 2 * (40 - step)}
    for name, line in (("log.jsonl", row), ("times.jsonl", times)):
        with (folder / name).open("a") as file:
            file.write(json.dumps(line) + "\n")


class Display:
    """In IPython's place: what was shown anew, and what was put in its place."""

    def __init__(self, monkeypatch):
        self.shown, self.updated = [], []
        monkeypatch.setattr(live, "display", self)

    def __call__(self, figure, display_id):
        assert display_id is True
        self.shown.append(figure)
        return self

    def update(self, figure):
        self.updated.append(figure)


def watch(view: live.LiveTraining, folder, step: int) -> None:
    write_run(folder, step)
    view.on_sample(None, {"step": step}, None)


def test_live_view_redraws_one_figure_in_place(tmp_path, monkeypatch, capsys):
    screen = Display(monkeypatch)
    view = live.LiveTraining(PLAN, tmp_path, baseline=30.0, every=0)
    for step in (10, 20, 40):
        watch(view, tmp_path, step)
    assert len(screen.shown) == 1 and len(screen.updated) == 2
    assert capsys.readouterr().out.splitlines() == [
        "SR-UGAN, update 10 of 40: 30.00 dB, 5.0 images/s, 1:00 left",
        "SR-UGAN, update 20 of 40: 40.00 dB, 10.0 images/s, 0:40 left",
        "SR-UGAN, update 40 of 40: 60.00 dB, 20.0 images/s",
    ]


def test_live_view_is_seldom_drawn_but_always_at_the_end(tmp_path, monkeypatch):
    screen = Display(monkeypatch)
    view = live.LiveTraining(PLAN, tmp_path, every=3600)
    for step in (10, 20, 30):
        watch(view, tmp_path, step)
    assert (len(screen.shown), len(screen.updated)) == (1, 0)
    watch(view, tmp_path, 40)
    assert (len(screen.shown), len(screen.updated)) == (1, 1)
    view.show()
    assert (len(screen.shown), len(screen.updated)) == (1, 1)  # it is there already


def test_a_loaded_run_is_shown_once(tmp_path, monkeypatch):
    screen = Display(monkeypatch)
    write_run(tmp_path, 40)
    live.LiveTraining(PLAN, tmp_path).show()
    assert (len(screen.shown), len(screen.updated)) == (1, 0)


def test_dashboard_shows_curves_crop_and_warnings(tmp_path):
    write_run(tmp_path, 10)
    write_run(tmp_path, 20, warnings=["colours drift: much"])
    figure = live.dashboard(PLAN, tmp_path, 33.0)
    above, below = figure.subfigs
    assert 33.0 in above.axes[2].lines[-1].get_ydata()
    assert list(above.axes[1].lines[0].get_ydata()) == [0.6, 0.6]
    assert [axes.get_title() for axes in below.axes] == ["Bicubic", "update 20", "HR"]
    with (
        Image.open(tmp_path / "samples/step_0000020.png") as sr,
        Image.open(tmp_path / "held_out.png") as hr,
    ):
        assert below.axes[1].get_xlabel() == f"{psnr(sr, hr, 'y', 2):.2f} dB"
    assert below.get_supxlabel() == "update 20: colours drift: much"


def test_a_run_that_has_not_begun_is_no_error(tmp_path):
    figures.save(live.dashboard(PLAN, tmp_path), tmp_path / "dashboard.png")
    assert live.progress(PLAN, tmp_path) == "SR-UGAN: no update yet"


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "0:04"), (65, "1:05"), (3600, "1:00:00"), (10_805, "3:00:05")]
)
def test_clock(seconds, text):
    assert live.clock(seconds) == text


def test_diagnostic_curves_draw_what_the_log_says():
    rows = [
        {"step": s, "gradient_mse": 0.1 * s, "colour_drift": 5.0 * s, "checkerboard": 1.0 + s}
        for s in (1, 2)
    ]
    pulls, ratio, drift, board = live.diagnostic_curves({"srresnet": rows}).axes
    assert [line.get_label() for line in pulls.lines] == ["SRResNet mse"]
    assert not ratio.lines  # there is no adversarial term
    assert list(drift.lines[0].get_ydata()) == [5, 10] and list(board.lines[0].get_ydata()) == [
        2,
        3,
    ]
    assert drift.lines[1].get_ydata()[0] == live.DRIFT
    assert board.lines[1].get_ydata()[0] == live.CHECKERED


class Enlarge(nn.Module):
    """Nearest neighbour with a shift of brightness, in levels, and its mode noted."""

    def __init__(self, shift: float):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(2 * shift / 255))
        self.modes: list[bool] = []

    def forward(self, lr):
        self.modes.append(self.training)
        return lr.repeat_interleave(2, 2).repeat_interleave(2, 3) * 2 - 1 + self.shift


def test_examine_measures_each_crop_by_itself_in_the_mode_that_it_finds():
    hr = torch.rand(6, 3, 16, 16) * 0.5 + 0.25
    for training, shift in ((False, 0.0), (True, 7.0)):
        network = Enlarge(shift).train(training)
        case = live.examine(network, hr, 2)
        assert network.modes == [training] * 6 and network.training is training
        assert case.colour_drift == pytest.approx(shift, abs=0.01)
        assert case.picture.shape == (3, 16, 16)
        assert bool(case.warnings) == (shift > live.DRIFT)  # six crops, as six lines of a log
    assert case.short_warnings == "colours drift"
    pictures = (bicubic_lr(hr, 2).repeat_interleave(2, 2).repeat_interleave(2, 3) + 7 / 255).clamp(
        0, 1
    )
    expected = [psnr(sr, high, "y", 2) for sr, high in zip(pictures, hr, strict=True)]
    assert case.psnr == pytest.approx(sum(expected) / 6, abs=0.01)


def test_examine_takes_the_warnings_of_a_training_from_its_log():
    hr = torch.rand(1, 3, 16, 16)
    log = [{"step": 1}, {"step": 2, "warnings": ["a: b"]}, {"step": 3, "warnings": ["c: d"]}]
    case = live.examine(Enlarge(0.0), hr, 2, log)
    assert case.warnings == ("a: b", "c: d") and case.short_warnings == "a, c"
    assert live.examine(Enlarge(0.0), hr, 2, []).short_warnings == "no warning"


def test_wrong_batchnorm_statistics_are_seen():
    """What the failure gallery of notebook 04 shows, on an untrained network."""
    network = SRGANGenerator(blocks=1, width=8).train()
    hr = torch.rand(2, 3, 24, 24)
    with torch.no_grad():
        for _ in range(30):
            network(bicubic_lr(hr, 2))
    forgotten = deepcopy(network.eval())
    for layer in forgotten.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
    cases = [live.examine(n, hr, 2) for n in (network, forgotten, deepcopy(network).train())]
    apart = [255 * (case.picture - cases[0].picture).abs().mean() for case in cases[1:]]
    assert apart[0] > 5 and apart[1] > 10  # levels
    assert cases[2].colour_drift > cases[0].colour_drift  # one crop's mean colour is taken away


def test_failures_say_under_each_panel_what_was_measured():
    hr = torch.rand(5, 3, 16, 16)
    well, ill = (live.examine(Enlarge(shift), hr, 2) for shift in (0.0, 9.0))
    figure = live.failures([{"healthy": well, "ill": ill, "HR": hr[0]}, {"again": ill}])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["healthy", "ill", "HR", "again", "", ""]
    below = [axes.get_xlabel() for axes in figure.axes]
    assert f"{ill.psnr:.2f} dB, drift 9.0" in below[1] and "colours drift" in below[1]
    assert "no warning" in below[0] and below[2] == ""


@pytest.mark.notebook
def test_an_executed_notebook_keeps_the_last_drawing_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", "")  # `use_this_python` adds to it
    monkeypatch.delenv("MPLBACKEND", raising=False)
    report.use_this_python(tmp_path / "jupyter")
    write_run(tmp_path, 20)
    source = f"""
%matplotlib inline
from srkit.notebook.live import LiveTraining
from srkit.training.recipes import recipe
view = LiveTraining(recipe("sr-ugan", "smoke", iterations=40), {str(tmp_path)!r}, every=0)
for step in (20, 30, 40):
    view.on_sample(None, {{"step": step}}, None)
view.show()
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3", timeout=300).execute()
    outputs = notebook.cells[0].outputs
    assert sum("image/png" in out.get("data", {}) for out in outputs) == 1
    assert "".join(out.get("text", "") for out in outputs).count("update 20 of 40") == 3
