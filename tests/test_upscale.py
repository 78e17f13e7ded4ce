"""Interpolation against PIL, and tiles against the whole picture."""

import itertools
import os

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from srkit import models, upscale
from srkit.data import norm
from srkit.models import build_generator
from srkit.upscale import INTERPOLATIONS, fade_in_out, kernel, super_resolve, tile_starts
from srkit.weights import WeightsError, save_generator

SETTINGS = {"model": "srgan", "scale": 2, "blocks": 0, "width": 4}


@pytest.fixture
def picture(rng) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (9, 13, 3), dtype=np.uint8))


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "tiny.safetensors"
    return save_generator(path, build_generator(SETTINGS), SETTINGS, {})


# --- Interpolation -------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
def test_interpolation_is_pil_s(picture, method, scale):
    ours = upscale.upscale(picture, method, scale)
    theirs = picture.resize((13 * scale, 9 * scale), Image.Resampling[method.upper()])
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))


def test_nearest_repeats_every_pixel(picture):
    ours = np.asarray(upscale.upscale(picture, "nearest", 3))
    assert np.array_equal(ours, np.asarray(picture).repeat(3, 0).repeat(3, 1))


def test_any_mode_of_picture_comes_back_as_rgb():
    sr = upscale.upscale(Image.new("RGBA", (5, 4), (10, 20, 30, 255)), "bicubic")
    assert sr.mode == "RGB" and sr.size == (10, 8) and sr.getpixel((3, 3)) == (10, 20, 30)


@pytest.mark.parametrize("method", INTERPOLATIONS)
def test_kernels_sum_to_one_and_meet_the_known_pixels(method):
    for phase in (0.0, 0.1, 0.37):
        distances = phase + np.arange(-4, 5)
        assert kernel(method, distances).sum() == pytest.approx(1, abs=1e-12)  # float64
    at_pixels = kernel(method, np.arange(-3, 4))
    assert np.allclose(at_pixels, [0, 0, 0, 1, 0, 0, 0])


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_kernels_are_those_of_the_pictures(method):
    # A step of one bright pixel, enlarged 4 times, shows the kernel at the sampled distances.
    row = np.zeros((1, 15), np.float32)
    row[0, 7] = 1
    enlarged = Image.fromarray(row).resize((60, 1), INTERPOLATIONS[method])
    positions = (np.arange(60) + 0.5) / 4 - 0.5
    # float32 in PIL
    assert np.allclose(np.asarray(enlarged)[0], kernel(method, positions - 7), atol=1e-5)


def test_an_unknown_kernel_is_refused():
    with pytest.raises(ValueError, match="nearest, bilinear, bicubic"):
        kernel("lanczos", 0.0)


# --- What is refused -----------------------------------------------------------------------------


def test_an_unknown_model_is_refused_with_those_there_are(picture):
    with pytest.raises(ValueError, match="'esrgan'; accepted: nearest, bilinear, bicubic, srr"):
        upscale.upscale(picture, "esrgan")


@pytest.mark.parametrize("scale", [0, -2, 1.5, "2"])
def test_a_scale_that_is_no_whole_number_is_refused(picture, scale):
    with pytest.raises(ValueError, match="whole number"):
        upscale.upscale(picture, "bicubic", scale)


def test_a_scale_without_a_checkpoint_is_refused_by_path(picture):
    with pytest.raises(WeightsError, match=r"srgan_x3\.safetensors"):
        upscale.upscale(picture, "srgan", 3)


def test_a_checkpoint_of_another_scale_is_refused(picture, checkpoint):
    with pytest.raises(WeightsError, match="not scale 4"):
        upscale.upscale(picture, "srgan", 4, checkpoint)


# --- Networks ------------------------------------------------------------------------------------


def test_a_checkpoint_enlarges_any_size(checkpoint, rng):
    for height, width in ((37, 53), (1, 1), (8, 3)):
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        sr = upscale.upscale(Image.fromarray(pixels), "srgan", 2, checkpoint)
        assert sr.size == (2 * width, 2 * height)


def test_a_checkpoint_trained_anew_is_loaded_anew(picture, checkpoint):
    before = np.asarray(upscale.upscale(picture, "srgan", 2, checkpoint))
    other = build_generator(SETTINGS)
    nn.init.constant_(other.tail.bias, 0.5)
    save_generator(checkpoint, other, SETTINGS, {})
    os.utime(checkpoint, ns=(1, 1))  # clocks may be coarse
    after = np.asarray(upscale.upscale(picture, "srgan", 2, checkpoint))
    assert not np.array_equal(before, after)


def test_a_checkpoint_is_loaded_once(picture, checkpoint, monkeypatch):
    upscale.upscale(picture, "srgan", 2, checkpoint)
    monkeypatch.setattr(upscale, "load_generator", lambda *_: pytest.fail("loaded twice"))
    upscale.upscale(picture, "srgan", 2, checkpoint)


class Nearest(nn.Module):
    """Repeats pixels, and remembers the sizes that it was given."""

    def __init__(self, scale=2):
        super().__init__()
        self.scale, self.seen = scale, []
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, lr):
        self.seen.append(tuple(lr.shape[-2:]))
        return norm(lr.repeat_interleave(self.scale, -2).repeat_interleave(self.scale, -1))


@pytest.mark.parametrize(("height", "width"), [(37, 53), (64, 16), (16, 17), (33, 200), (20, 20)])
@pytest.mark.parametrize("overlap", [0, 3, 8])
@pytest.mark.parametrize("scale", [2, 4])
def test_tiles_of_a_pointwise_network_are_the_whole(height, width, overlap, scale):
    lr = torch.rand(3, height, width)
    network = Nearest(scale)
    sr = super_resolve(network, lr, tile=16, overlap=overlap)
    expected = lr.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
    assert sr.shape == expected.shape
    assert torch.allclose(sr, expected, atol=1e-6)  # float32 weights
    assert max(max(size) for size in network.seen) <= 16  # bounded memory


def test_a_small_picture_is_taken_whole():
    network = Nearest()
    super_resolve(network, torch.rand(3, 16, 9), tile=16, overlap=4)
    assert network.seen == [(16, 9)]


@pytest.mark.parametrize(("height", "width"), [(37, 83), (100, 80), (90, 41)])
@pytest.mark.parametrize("scale", [2, 4])
def test_tiles_equal_the_whole_where_the_network_reaches_less_than_a_quarter_overlap(
    height, width, scale
):
    generator = models.SRGANGenerator(scale, blocks=0, width=8).eval()
    nn.init.normal_(generator.tail.weight, std=0.3)  # strong enough for edges to show
    lr, overlap = torch.rand(3, height, width), 36
    assert models.receptive_radius(generator, 64) / scale <= overlap / 4
    whole = super_resolve(generator, lr, tile=256)
    tiled = super_resolve(generator, lr, tile=72, overlap=overlap)
    assert torch.allclose(whole, tiled, atol=1e-5)  # float32 rounding


def test_without_overlap_the_seams_show_so_the_comparison_can_fail():
    generator = models.SRGANGenerator(2, blocks=0, width=8).eval()
    nn.init.normal_(generator.tail.weight, std=0.3)
    lr = torch.rand(3, 50, 50)
    seamed = super_resolve(generator, lr, tile=40, overlap=0)
    assert (seamed - super_resolve(generator, lr)).abs().max() > 1e-2


def test_srugan_s_tiles_are_close_to_the_whole():
    generator = models.SRUGANGenerator(2, blocks=1, width=4, wide=4, unet=(4, 4)).eval()
    lr = torch.rand(3, 60, 60)
    tiled, whole = super_resolve(generator, lr, 48, 20), super_resolve(generator, lr)
    assert (tiled - whole).abs().mean() < 1 / 255  # under a level of 8 bits on average


def test_the_prediction_is_in_0_to_1():
    generator = models.SRGANGenerator(2, blocks=0, width=4).eval()
    nn.init.constant_(generator.tail.bias, 7)
    assert float(super_resolve(generator, torch.rand(3, 5, 5)).max()) == 1


@pytest.mark.parametrize(("length", "tile", "overlap"), [(53, 16, 4), (17, 16, 8), (200, 32, 0)])
def test_tiles_cover_everything_and_overlap_by_as_much_as_said(length, tile, overlap):
    starts = tile_starts(length, tile, overlap)
    assert starts[0] == 0 and starts[-1] == length - tile
    assert all(b - a <= tile - overlap for a, b in itertools.pairwise(starts))
    assert tile_starts(tile, tile, overlap) == [0]


@pytest.mark.parametrize("overlap", [0, 1, 7, 16])
def test_weights_fade_at_inner_edges_only(overlap):
    first, inner, last = (fade_in_out(start, 32, 96, overlap) for start in (0, 20, 64))
    assert torch.equal(first[:16], torch.ones(16)) and torch.equal(last[16:], torch.ones(16))
    assert torch.equal(first, last.flip(0)) and torch.equal(inner, torch.minimum(first, last))
    assert (inner[: overlap // 4] == 0).all() and (inner[overlap : -overlap or None] == 1).all()


@pytest.mark.parametrize(("length", "tile", "overlap"), [(53, 16, 4), (17, 16, 8), (41, 40, 20)])
def test_every_pixel_has_some_weight(length, tile, overlap):
    total = torch.zeros(length)
    for start in tile_starts(length, tile, overlap):
        total[start : start + tile] += fade_in_out(start, tile, length, overlap)
    assert float(total.min()) >= 0.5  # 1 where exactly two tiles meet in one overlap


def test_an_overlap_over_half_a_tile_is_refused():
    with pytest.raises(ValueError, match="overlap of 9"):
        super_resolve(Nearest(), torch.rand(3, 40, 40), tile=16, overlap=9)


@pytest.mark.gpu
def test_gpu_and_cpu_enlarge_alike(picture, checkpoint):
    on_cpu, on_gpu = (
        np.asarray(upscale.upscale(picture, "srgan", 2, checkpoint, device)).astype(int)
        for device in ("cpu", "cuda")
    )
    assert np.abs(on_cpu - on_gpu).max() <= 2  # TF32 convolutions keep 10 bits
