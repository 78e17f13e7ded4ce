"""Watching a run: its progress and dashboard; the failure gallery measures what it shows."""

import json
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from srkit.data import bicubic_lr, bicubic_lr_pil
from srkit.metrics import psnr
from srkit.models import SRGANGenerator
from srkit.notebook import live
from srkit.training.recipes import recipe
from srkit.upscale import upscale

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


def test_the_held_out_crop_is_shown_beside_bicubic_and_hr(tmp_path):
    assert live.held_out_crop(tmp_path, 2) == {}
    write_run(tmp_path, 10)
    write_run(tmp_path, 20)
    pictures = live.held_out_crop(tmp_path, 2)
    assert list(pictures) == ["Bicubic", "update 20", "HR"]
    with Image.open(tmp_path / "samples/step_0000020.png") as sr:
        assert pictures["update 20"].tobytes() == sr.tobytes()


def test_a_run_that_has_not_begun_is_no_error(tmp_path):
    assert live.progress(PLAN, tmp_path) == "SR-UGAN: no update yet"


def test_progress_is_one_line(tmp_path):
    write_run(tmp_path, 10)
    assert live.progress(PLAN, tmp_path) == (
        "SR-UGAN, update 10 of 40: 30.00 dB, 5.0 images/s, 1:00 left"
    )
    write_run(tmp_path, 40)
    assert live.progress(PLAN, tmp_path) == "SR-UGAN, update 40 of 40: 60.00 dB, 20.0 images/s"


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


def test_detail_is_what_bicubic_lacks_and_hr_has(tmp_path, rng):
    hr = Image.fromarray(rng.integers(64, 192, (32, 32, 3), dtype=np.uint8))
    bicubic = upscale(bicubic_lr_pil(hr, 2), "bicubic", 2)
    brighter = Image.fromarray(np.asarray(hr) + np.uint8(8))  # 8 levels: as much detail as HR
    (tmp_path / "samples").mkdir()
    hr.save(tmp_path / "held_out.png")
    bicubic.save(tmp_path / "samples" / "step_0000001.png")
    brighter.save(tmp_path / "samples" / "step_0000020.png")
    measured = live.detail_and_psnr(tmp_path, 2)
    assert list(measured) == ["update 1", "update 20", "bicubic"]
    assert measured["update 1"] == measured["bicubic"] and measured["bicubic"][0] < 0.2
    detail, score = measured["update 20"]
    assert detail == pytest.approx(1, rel=0.02)  # to the rounding of LR
    luma = 8 * 219 / 255  # of Y in BT.601
    assert score == pytest.approx(20 * np.log10(255 / luma), abs=0.05)
    rows = [{"step": step, "d_real": 0.5 + step / 100, "d_fake": 0.4} for step in (1, 20)]
    opinion, details, scores = live.second_stage(rows, measured).axes
    assert list(opinion.lines[0].get_ydata()) == [0.51, 0.7]
    assert list(details.lines[0].get_xdata()) == [1, 20]
    assert details.lines[0].get_ydata()[1] == detail and scores.lines[0].get_ydata()[1] == score
