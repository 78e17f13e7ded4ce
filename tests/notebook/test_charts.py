"""Charts show the numbers of the rows that they are given."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from srkit.evaluation.results import Run
from srkit.notebook import charts
from srkit.notebook.sampling import TRUTH, Coverage
from srkit.training.variants import FULL


def row(method, metric, number, **facts):
    return Run(commit="abc").row(method, metric, number, "as stated", **facts)


def test_figure_3_shows_ratios_to_bicubic_and_the_report_s():
    distances = {"bicubic": 4.0, "srgan": 2.0, "sr-ugan": 1.0}
    rows = [row(method, "FID-64", number) for method, number in distances.items()]
    figure = charts.distance_ratios(rows, list(distances), ["FID-64"])
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx([1, 0.5, 0.25, 1, 22.123 / 63.162])
    assert plt.get_fignums() == [], "figures come closed"


def test_sensitivity_has_bicubic_s_fid_above_and_the_ratio_below():
    rows = [
        row(method, "FID-64", number * n, resize=resize, layer=64, n=n, side=side)
        for method, number in (("bicubic", 2.0), ("sr-ugan", 1.0))
        for resize in ("pytorch", "tf", "clean")
        for n in (10, 20)
        for side in (112, 224)
    ]
    above, below = charts.sensitivity(rows).axes
    labels = [line.get_label() for line in above.lines]
    assert labels[:2] == ["pytorch, side 224", "pytorch, side 112"] and len(labels) == 6
    assert all(list(line.get_ydata()) == [20, 40] for line in above.lines)
    assert all(list(line.get_ydata()) == [0.5, 0.5] for line in below.lines[:6])


def test_the_ablation_has_a_dot_a_seed_as_gains_over_bicubic():
    rows = [row("bicubic", "PSNR", 30.0)]
    for name, values in ((FULL, [31.0, 32.0]), ("without MSE", [29.0, 30.5])):
        rows.append(row("sr-ugan", "PSNR", sum(values) / 2, variant=name, values=values))
    (axes,) = charts.ablation(rows).axes
    dots = [list(line.get_ydata()) for line in axes.lines[:2]]
    assert dots == [[1, 2], [-1, 0.5]]
    assert [text.get_text() for text in axes.get_xticklabels()] == [FULL, "without MSE"]
    for name, values in (("bicubic", [4.0]), (FULL, [2.0, 6.0]), ("without MSE", [8.0, 10.0])):
        facts = {"variant": name, "values": values} if name != "bicubic" else {}
        method = "sr-ugan" if facts else name
        rows.append(row(method, "FID-768", values[0], **facts))
    above, below = charts.ablation(rows).axes
    assert [list(line.get_ydata()) for line in above.lines[:2]] == dots
    assert [list(line.get_ydata()) for line in below.lines[:2]] == [[0.5, 1.5], [2, 2.5]]
    assert list(below.lines[2].get_ydata()) == [1, 1], "the line is bicubic"


def test_the_trade_off_has_each_method_at_its_numbers():
    rows = [row("bicubic", "PSNR", 30.0), row("bicubic", "FID-64", 4.0)]
    (axes,) = charts.tradeoff(rows, ["bicubic"], "FID-64").axes
    assert [list(data) for data in axes.lines[0].get_data()] == [[30], [4]]


def test_variances_are_those_along_hr_s_directions(rng):
    hr = rng.normal(size=(4000, 3)) @ np.diag([1.0, 2.0, 3.0])
    (axes,) = charts.variances({"hr": hr, "bicubic": hr / 2}).axes
    own, half = (line.get_ydata() for line in axes.lines)
    assert own == pytest.approx([9, 4, 1], rel=0.1) and half == pytest.approx(own / 4)


def test_means_by_count_are_drawn_with_their_theory():
    draws = {"HR": {10: [1.0, 3.0], 20: [1.0]}, "Gaussian": {10: [1.0], 20: [0.5]}}
    (axes,) = charts.bias(draws, [2.0, 1.0]).axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[2, 1], [1, 0.5], [2, 1]]
    fid, _ = charts.fid_and_kid(draws["HR"], draws["Gaussian"]).axes
    assert list(fid.lines[0].get_ydata()) == [1, 3]  # the draws


def test_an_interval_is_drawn_beside_the_truth():
    one = Coverage(2.0, np.array([1.9, 2.1]), (1.5, 2.5), 1.8, (9, 5))
    above, below = charts.intervals({"a": one, "b": one}).axes
    assert [line.get_xdata()[0] for line in above.lines] == pytest.approx([2.0, 1.8, TRUTH])
    assert below.get_title() == "b"
