"""Figures are drawn from what they are given, and come out the same byte for byte."""

import numpy as np
import pytest
import torch
from PIL import Image

from srkit.models import probes
from srkit.notebook import figures
from srkit.upscale import upscale


def noise(size: int = 96, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(values)


def test_a_figure_is_the_same_bytes_each_time(tmp_path):
    for name in ("a.png", "b.png"):
        rows = [{"bicubic": noise(seed=1), "hr": noise(seed=2)}]
        figures.save(figures.comparison(rows, 2, zoom=32), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]  # nothing left aside


def test_comparison_shows_each_methods_psnr_under_its_crop():
    hr = noise().resize((96, 96))
    lr = hr.resize((48, 48), Image.Resampling.BICUBIC)
    figure = figures.comparison([{"bicubic": upscale(lr, "bicubic", 2), "hr": hr}], 2, zoom=32)
    from srkit.metrics import psnr

    below = [axes.get_xlabel() for axes in figure.axes]
    assert f"{psnr(upscale(lr, 'bicubic', 2), hr, 'y', 2):.2f} dB" in below


def test_detail_box_finds_the_only_detailed_square():
    flat = np.full((128, 160, 3), 120, dtype=np.uint8)
    flat[40:72, 80:112] = np.random.default_rng(0).integers(0, 256, (32, 32, 3))
    top, left = figures.detail_box(flat, 32)
    assert abs(top - 40) <= 1 and abs(left - 80) <= 1  # its own edge is detail too


def test_squares_are_the_same_place_of_each_picture():
    hr, sr = noise(seed=1), noise(seed=2)
    top, left = figures.detail_box(hr, 16)
    axes = figures.squares({"SR": sr, "HR": hr}, hr, 16).axes
    for panel, picture in zip(axes, (sr, hr), strict=True):
        expected = np.asarray(picture)[top : top + 16, left : left + 16]
        assert np.array_equal(panel.images[0].get_array(), expected)


def test_edges_overshoot_with_bicubic_alone():
    axes = figures.edge_profiles(["nearest", "bilinear", "bicubic"]).axes[0]
    over = {line.get_label(): max(line.get_ydata()) > 190 for line in axes.lines[1:]}
    assert over == {"Nearest-neighbor": False, "Bilinear": False, "Bicubic": True}


def test_the_saturating_loss_is_flat_where_a_fake_is_certain():
    _, slope = figures.adversarial_losses().axes
    ours, saturating = (abs(float(line.get_ydata()[0])) for line in slope.lines)
    assert ours > 0.99 and saturating < 0.01


def test_training_curves_draw_what_the_log_says():
    rows = [{"step": s, "mse": 1 / s, "d_real": 0.6, "d_fake": 0.4, "psnr": 20 + s} for s in (1, 2)]
    figure = figures.training_curves({"sr-ugan": rows}, baseline=22.0)
    quality = figure.axes[2].lines
    assert list(quality[0].get_ydata()) == [21, 22] and 22.0 in quality[1].get_ydata()


def test_samples_over_time_are_ordered_by_update(tmp_path):
    (tmp_path / "samples").mkdir()
    for step in (20, 1, 300):
        noise(16).save(tmp_path / "samples" / f"step_{step:07d}.png")
    figure = figures.samples_over_time(tmp_path)
    assert [a.get_title() for a in figure.axes] == ["update 1", "update 20", "update 300"]
    with pytest.raises(ValueError, match="train first"):
        figures.samples_over_time(tmp_path / "none")


def test_table_figure_holds_every_cell():
    figure = figures.table(["Method", "PSNR"], [["Bicubic", "30.00"]], ["a note"])
    drawn = figure.axes[0].tables[0].get_celld()
    assert {cell.get_text().get_text() for cell in drawn.values()} == {
        "Method",
        "PSNR",
        "Bicubic",
        "30.00",
    }


def test_effective_radius_counts_the_share_around_the_middle():
    field = torch.zeros(16, 16)
    field[8, 8], field[8, 11], field[2, 8] = 0.8, 0.15, 0.05  # 0, 3 and 6 pixels away
    radii = [probes.effective_radius(field, 2, share) for share in (0.5, 0.9, 0.99)]
    assert radii == [0, 6, 12]


def test_number_grids_write_each_number_in_its_cell():
    figure = figures.number_grids({"a": np.arange(4).reshape(2, 2)})
    written = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert written == {(0, 0): "0", (1, 0): "1", (0, 1): "2", (1, 1): "3"}


def test_runs_are_compared_at_the_updates_that_both_kept(tmp_path):
    for run, steps in (("one", (1, 20, 40)), ("two", (1, 40, 80))):
        (tmp_path / run / "samples").mkdir(parents=True)
        noise(16).save(tmp_path / run / "held_out.png")
        for step in steps:
            noise(16).save(tmp_path / run / "samples" / f"step_{step:07d}.png")
    figure = figures.samples_side_by_side({n: tmp_path / n for n in ("one", "two")})
    assert [a.get_title() for a in figure.axes] == ["update 1", "update 40", "HR"] * 2
    assert [a.get_ylabel() for a in figure.axes if a.get_ylabel()] == ["one", "two"]
