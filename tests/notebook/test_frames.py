"""Frames: one for every position of the sliders, in their order, and what the explorers draw."""

import base64
import io
from itertools import product

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from srkit import models
from srkit.notebook import frames


def picture(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")


def shapes(frame, kind: str, label: str = "") -> list[list[float]]:
    return [s[3] for s in frame["shapes"] if s[0] == kind and (not label or s[2] == label)]


def test_frames_are_made_for_every_setting_the_last_control_first():
    asked = []

    def draw(a, b):
        asked.append((a, b))
        return frames.Drawing(f"{a}{b}", [])

    page = frames.Frames("t", draw, frames.Axes((0, 1), (0, 1)), ["a"], a=[1, 2, 3], b=["x", "y"])
    assert asked == list(product([1, 2, 3], "xy"))
    assert [frame["title"] for frame in page.data["frames"]] == ["1x", "1y", "2x", "2y", "3x", "3y"]
    first, second = page.data["controls"]
    assert first == {"label": "a", "values": ["1", "2", "3"], "start": 1, "ends": [1, 3]}
    assert second["values"] == ["x", "y"] and "ends" not in second
    assert page.data["drag"] == [0]


def test_what_a_drawing_function_raises_is_seen():
    def fail(side):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        frames.Frames("t", fail, side=[1])


def test_a_figure_is_a_picture():
    page = frames.Frames("t", lambda n: Figure(figsize=(2, 1)), n=[1])
    assert picture(page.data["frames"][0]).size == (160, 80)


def test_an_edge_is_where_it_is_said_to_be():
    page = frames.explore_edge(["nearest", "bilinear", "bicubic"])
    values = [float(v) for v in page.data["controls"][0]["values"]]
    for place, frame in zip(values, page.data["frames"], strict=True):
        (row,) = shapes(frame, "dots")
        mean = np.mean([60 if x < place else 190 for x in np.linspace(2.5, 8.5, 6001)])
        assert np.mean(row[1::2]) == pytest.approx(mean, abs=0.6)  # LR holds the scene's mean
        (nearest,) = shapes(frame, "line", "Nearest-neighbor")
        assert set(nearest[1::2]) <= set(row[1::2])
        (bicubic,) = shapes(frame, "line", "Bicubic")
        assert min(bicubic[1::2]) < 60 and max(bicubic[1::2]) > 190


class Enlarge(nn.Module):
    def forward(self, lr):
        return lr.repeat_interleave(2, 2).repeat_interleave(2, 3) * 2 - 1


def test_a_covered_patch_changes_what_it_covers():
    page = frames.explore_patch({"nearest": Enlarge()}, torch.full((3, 32, 32), 0.8), cells=4)
    assert len(page.data["frames"]) == 16 and page.data["drag"] == [1, 0]
    assert page.data["captions"] == ["LR, a patch covered", "nearest: change, log scale"]
    shown = np.asarray(picture(page.data["frames"][4 * 1 + 2]))[..., 0]  # second row, third column
    assert shown.shape == (256, 2 * 256 + 8)
    for left, inside, outside in ((0, 0, 204), (264, 255, 0)):
        cell = shown[64:128, left + 128 : left + 192]
        rest = shown[:, left : left + 256].astype(int).sum() - cell.astype(int).sum()
        assert (cell == inside).all() and rest == outside * (256**2 - 64**2)


def test_gaussians_have_the_distance_of_their_means_and_deviations():
    page = frames.explore_gaussians()
    sizes = [len(control["values"]) for control in page.data["controls"]]
    assert len(page.data["frames"]) == np.prod(sizes)
    start = [control["start"] for control in page.data["controls"]]
    frame = page.data["frames"][np.ravel_multi_index(start, sizes)]
    shift, stretch, tilt = (
        float(control["values"][at])
        for control, at in zip(page.data["controls"], start, strict=True)
    )
    assert tilt == 0  # so that the distance is a sum over axes
    assert frame["title"] == f"squared distance {shift**2 + (stretch - 1) ** 2:.3f}"
    assert shapes(frame, "ellipse")[2:] == [
        [shift, 0, stretch, 1, 0],
        [shift, 0, 2 * stretch, 2, 0],
    ]


def test_an_ellipse_leans_as_its_correlation_does():
    up, down = (frames.draw_gaussians(0.0, 1.0, tilt).shapes[-2][3][-1] for tilt in (0.6, -0.6))
    assert up % 180 == pytest.approx(45) and down % 180 == pytest.approx(135)


def test_attention_has_a_frame_for_each_picture_and_layer():
    network = models.SRUGANGenerator(blocks=1, width=8, wide=8, unet=(8, 8)).eval()
    page = frames.explore_attention(network, {"a": torch.rand(3, 8, 8), "b": torch.rand(3, 8, 8)})
    layers = page.data["controls"][1]["values"]
    assert layers == ["unet, down 1", "unet, down 2", "unet, up 1", "upsample 1"]
    assert len(page.data["frames"]) == 2 * len(layers)


def test_receptive_fields_have_a_frame_for_each_network_and_size():
    networks = {f"{n} blocks": models.SRGANGenerator(blocks=n, width=4) for n in (1, 2)}
    page = frames.explore_receptive_field(networks)
    assert len(set(page.data["frames"])) == 2 * 3
