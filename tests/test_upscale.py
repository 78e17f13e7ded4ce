"""Interpolation against PIL, and tiles against the whole picture."""

import importlib
import itertools
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from srkit import models, upscale
from srkit.cli import main
from srkit.data import norm, to_tensor
from srkit.files.deep_colour import DeepPicture
from srkit.models import build_generator
from srkit.upscale import (
    GRID,
    INTERPOLATIONS,
    Upscaler,
    checkpoint_scale,
    free_tile,
    in_tiles,
    kernel,
    super_resolve,
    tile_overlap,
    tile_spans,
    visible_colours,
)
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


def test_a_palette_comes_back_as_rgb_and_alpha_stays():
    picture = Image.new("RGBA", (5, 4), (10, 20, 30, 200))
    sr = upscale.upscale(picture, "nearest")
    assert sr.mode == "RGBA" and sr.size == (10, 8) and sr.getpixel((3, 3)) == (10, 20, 30, 200)
    assert upscale.upscale(picture.convert("RGB").convert("P")).mode == "RGB"


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


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "I;16"])
def test_a_network_gives_the_mode_it_was_given(mode, checkpoint, rng):
    high = 65_536 if mode == "I;16" else 256
    shape = {"LA": (9, 13, 2), "RGBA": (9, 13, 4)}.get(mode, (9, 13))
    pixels = rng.integers(0, high, shape, dtype=np.uint16 if high > 256 else np.uint8)
    picture = Image.fromarray(pixels)
    sr = upscale.upscale(picture, "srgan", 2, checkpoint)
    assert sr.mode == picture.mode == mode and sr.size == (26, 18)
    if mode.endswith("A"):
        alpha = picture.getchannel("A").resize(sr.size, Image.Resampling.BICUBIC)
        assert np.array_equal(np.asarray(sr.getchannel("A")), np.asarray(alpha))


def test_what_is_transparent_does_not_colour_the_edge():
    picture = Image.new("RGBA", (20, 20), (0, 0, 0, 0))  # hidden black
    picture.paste((250, 200, 100, 255), (6, 6, 14, 14))
    colours = np.asarray(visible_colours(picture))
    assert np.abs(colours[4:16, 4:16].astype(int) - (250, 200, 100)).max() <= 6  # of premultiplying
    grey = visible_colours(picture.convert("LA"))
    assert grey.mode == "L" and grey.getpixel((5, 5)) > 190


def test_sixteen_bits_are_kept_by_a_network():
    ramp = np.arange(0, 65_536, 1_024, dtype=np.uint16).reshape(8, 8) + 3
    sr = np.asarray(super_resolve(Nearest(), Image.fromarray(ramp)))
    assert np.abs(sr.astype(int) - ramp.repeat(2, 0).repeat(2, 1)).max() <= 1  # float32


def test_twice_is_one_after_the_other(picture, checkpoint):
    twice = Upscaler("srgan", 4, checkpoint, twice=True)(picture)
    once = upscale.upscale(picture, "srgan", 2, checkpoint)
    expected = upscale.upscale(once, "srgan", 2, checkpoint)
    assert np.array_equal(np.asarray(twice), np.asarray(expected))
    with pytest.raises(ValueError, match="4 times, not 2"):
        Upscaler("srgan", 2, checkpoint, twice=True)


@pytest.mark.parametrize("name", ["srresnet_x2", "srgan_x2", "srgan_x4", "sr-ugan_x2"])
def test_bf16_differs_from_fp32_by_at_most_1_of_255_in_nearly_all_values(name):
    model, _, scale = name.rpartition("_x")
    photo = Image.open(Path(skimage.__file__).parent / "data" / "chelsea.png")
    photo = photo.crop((100, 60, 164, 124))
    fp32, bf16 = (
        np.asarray(upscale.upscale(photo, model, int(scale), precision=precision)).astype(int)
        for precision in ("fp32", "bf16")
    )
    difference = np.abs(fp32 - bf16)
    assert 0 < difference.max() <= 3 and (difference <= 1).mean() >= 0.999


def test_an_unknown_precision_is_refused(picture):
    with pytest.raises(ValueError, match="accepted: fp32, bf16"):
        upscale.upscale(picture, precision="fp16")


# --- Tiles ---------------------------------------------------------------------------------------


class Nearest(nn.Module):
    """Repeats pixels, and remembers the sizes that it was given."""

    def __init__(self, scale=2):
        super().__init__()
        self.scale, self.seen = scale, []
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, lr):
        self.seen.append(tuple(lr.shape[-2:]))
        return norm(lr.repeat_interleave(self.scale, -2).repeat_interleave(self.scale, -1))


def random_picture(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def largest_difference(one: Image.Image, other: Image.Image) -> int:
    return int(np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).max())


def strong(generator: nn.Module) -> nn.Module:
    """With a last layer strong enough for edges to show."""
    nn.init.normal_(generator.tail.weight, std=0.3)
    return generator.eval()


@pytest.mark.parametrize("size", [(53, 37), (16, 64), (17, 16), (200, 33), (20, 20)])
@pytest.mark.parametrize("overlap", [(0, 0), (3, 0), (4, 8)])
@pytest.mark.parametrize("scale", [2, 4])
def test_tiles_of_a_pointwise_network_are_the_whole(size, overlap, scale, monkeypatch):
    monkeypatch.setattr(upscale, "tile_overlap", lambda _: overlap)
    picture, network = random_picture(*size), Nearest(scale)
    sr = super_resolve(network, picture, tile=32)
    expected = np.asarray(picture).repeat(scale, 0).repeat(scale, 1)
    assert np.array_equal(np.asarray(sr), expected)
    assert max(max(size) for size in network.seen) <= 32  # bounded memory


@pytest.mark.parametrize("mode", ["L", "I;16"])
@pytest.mark.parametrize("overlap", [(3, 0), (4, 8)])
def test_tiles_of_grey_are_the_whole(mode, overlap, monkeypatch):
    monkeypatch.setattr(upscale, "tile_overlap", lambda _: overlap)
    high = 65_536 if mode == "I;16" else 256
    pixels = np.random.default_rng(2).integers(0, high, (70, 90))
    pixels = pixels.astype(np.uint16 if mode == "I;16" else np.uint8)
    sr = super_resolve(Nearest(), Image.fromarray(pixels), tile=32)
    assert sr.mode == mode
    assert np.abs(np.asarray(sr).astype(int) - pixels.repeat(2, 0).repeat(2, 1)).max() <= 1


def test_tiles_of_16_bits_a_colour_are_the_whole(monkeypatch):
    monkeypatch.setattr(upscale, "tile_overlap", lambda _: (4, 8))
    pixels = np.random.default_rng(0).integers(0, 65_536, (50, 70, 3), dtype=np.uint16)
    sr = super_resolve(Nearest(), DeepPicture(pixels), tile=32)
    difference = np.asarray(sr).astype(int) - pixels.repeat(2, 0).repeat(2, 1)
    assert sr.mode == "RGB;16" and np.abs(difference).max() <= 1  # float32


def test_a_small_picture_is_taken_whole():
    network = Nearest()
    super_resolve(network, random_picture(9, 16), tile=16)
    assert network.seen == [(16, 9)]


@pytest.mark.parametrize("size", [(83, 37), (100, 130), (41, 90)])
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("blocks", [0, 2])
def test_tiles_overlap_by_the_receptive_field_and_equal_the_whole(size, scale, blocks):
    generator = strong(models.SRGANGenerator(scale, blocks=blocks, width=8))
    margin, fade = tile_overlap(generator)
    # 9x9, `blocks` of two 3x3 and 3x3 at the input's size; at the output's the rest, rounded up.
    assert fade == 0 and margin - (4 + 2 * blocks + 1) in (2, 3, 4, 5)
    picture = random_picture(*size)
    tiled = super_resolve(generator, picture, tile=64)
    assert largest_difference(super_resolve(generator, picture), tiled) <= 1


def test_without_overlap_the_seams_show_so_the_comparison_can_fail(monkeypatch):
    generator, picture = strong(models.SRGANGenerator(2, blocks=0, width=8)), random_picture(50, 50)
    whole = super_resolve(generator, picture)
    for margin in (0, 4):  # too little shows as well
        monkeypatch.setattr(upscale, "tile_overlap", lambda _, margin=margin: (margin, 0))
        assert largest_difference(super_resolve(generator, picture, tile=32), whole) > 1


def test_srugan_s_tiles_are_as_close_to_the_whole_as_is_said():
    photo = Image.open(Path(skimage.__file__).parent / "data" / "chelsea.png")
    photo = photo.crop((60, 30, 316, 286))
    whole, tiled = (
        np.asarray(upscale.upscale(photo, "sr-ugan", 2, tile=tile)).astype(int)
        for tile in (256, 128)
    )
    difference = np.abs(whole - tiled)
    assert difference.mean() <= 0.35 and difference.max() <= 4  # as the module's docstring says
    rows = difference.mean((1, 2))
    assert rows.max() <= 3 * rows.mean()  # no row of a seam stands out
    assert tile_overlap(Upscaler("sr-ugan").loaded()) == (16, 16)


def test_tiles_fade_into_each_other_where_they_differ():
    class Brighter(Nearest):
        """A constant that grows with every tile."""

        def forward(self, lr):
            sr = super().forward(lr)
            return torch.full_like(sr, -1 + 0.16 * len(self.seen))

    picture = Image.new("L", (56, 20))
    sr = np.asarray(in_tiles(Brighter(), picture, 40, (4, 8), lambda _: None)).astype(int)
    levels = [round(0.08 * number * 255) for number in (1, 2)]
    # The second tile begins at 16 of LR, is left out up to 20, and fades in up to 28.
    assert (sr[:, : 2 * 20] == levels[0]).all() and (sr[:, 2 * 28 :] == levels[1]).all()
    assert np.diff(sr[0]).max() <= 2 and np.diff(sr[0]).min() >= 0  # 21 levels in 16 pixels


def test_the_prediction_is_in_0_to_255():
    generator = models.SRGANGenerator(2, blocks=0, width=4).eval()
    nn.init.constant_(generator.tail.bias, 7)
    assert np.asarray(super_resolve(generator, random_picture(5, 5))).max() == 255


@pytest.mark.parametrize(
    ("length", "tile", "overlap"),
    [(53, 32, (4, 0)), (33, 32, (4, 8)), (200, 48, (0, 0)), (976, 352, (24, 0)), (56, 40, (4, 8))],
)
def test_tiles_cover_everything_and_overlap_by_as_much_as_said(length, tile, overlap):
    spans = tile_spans(length, tile, overlap)
    assert spans[0][0] == 0 and spans[-1][1] == length
    assert all(start % GRID == 0 and 0 < end - start <= tile for start, end in spans)
    shared = 2 * overlap[0] + overlap[1]
    assert all(end - start == shared for (_, end), (start, _) in itertools.pairwise(spans))
    each = (tile - shared) // GRID * GRID  # what one tile adds
    assert len(spans) == 1 + -(-(length - tile) // each)
    assert tile_spans(tile, tile, overlap) == [(0, tile)]


def test_a_tile_too_small_for_its_overlap_is_refused():
    generator = models.SRGANGenerator(2, blocks=0, width=4)
    with pytest.raises(ValueError, match=r"a tile of 16 is too small here: take \d+"):
        super_resolve(generator, random_picture(40, 40), tile=16)


class Hungry(Nearest):
    """Runs out of memory over `most` pixels, in the way of a library."""

    def __init__(self, error: Exception, most: int):
        super().__init__()
        self.error, self.most = error, most

    def forward(self, lr):
        if lr.shape[-1] * lr.shape[-2] > self.most:
            raise self.error
        return super().forward(lr)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_means_smaller_tiles(error, monkeypatch):
    monkeypatch.setattr(upscale, "tile_overlap", lambda _: (4, 0))
    picture, network, told = random_picture(150, 90), Hungry(error, 50 * 50), []
    sr = super_resolve(network, picture, 512, told.append)
    assert np.array_equal(np.asarray(sr), np.asarray(picture).repeat(2, 0).repeat(2, 1))
    assert sum(told) == 150 * 90 and max(max(size) for size in network.seen) <= 50
    with pytest.raises(type(error)):
        super_resolve(Hungry(error, 0), picture, 512)
    with pytest.raises(RuntimeError, match="shape"):  # any other error is none of memory
        super_resolve(Hungry(RuntimeError("shape mismatch"), 0), picture, 512)


def test_the_progress_of_tiles_adds_up_to_the_picture(monkeypatch):
    monkeypatch.setattr(upscale, "tile_overlap", lambda _: (4, 8))
    told = []
    super_resolve(Nearest(), random_picture(101, 77), 48, told.append)
    assert len(told) > 4 and sum(told) == 101 * 77 and min(told) >= 0


def test_the_tile_grows_with_the_free_memory_within_bounds(monkeypatch):
    class Free:
        available = 0

    monkeypatch.setattr(upscale.psutil, "virtual_memory", lambda: Free)
    sides = []
    for gib in (0, 0.25, 0.5, 64):
        Free.available = int(gib * 2**30)
        generator = models.SRGANGenerator(2, blocks=0, width=32)  # each is probed anew
        sides.append(free_tile(generator))
        assert sides[-1] % GRID == 0 or gib == 0
    smallest = 2 * tile_overlap(generator)[0] + GRID
    assert sides[0] == smallest < sides[1] < sides[2] < sides[3] == 384
    # A layer of 4 * 32 channels of float32 for each pixel, six times, in a quarter of half a GiB.
    assert sides[2] == int((2**27 / (6 * 4 * 128)) ** 0.5) // GRID * GRID


# --- Other architectures -------------------------------------------------------------------------


@pytest.fixture
def other(tmp_path) -> dict[str, Path]:
    """The same tiny RealESRGAN-Compact of random weights, as .pth (nested) and as safetensors."""
    pytest.importorskip("spandrel", reason="spandrel is not installed")
    from spandrel.architectures.Compact import Compact

    network = Compact(num_feat=4, num_conv=2, upscale=2)
    torch.save({"params_ema": network.state_dict()}, tmp_path / "other.pth")
    save_file(network.state_dict(), tmp_path / "other.safetensors")
    files = {suffix: tmp_path / f"other.{suffix}" for suffix in ("pth", "safetensors")}
    return files | {"network": network.eval()}


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_network_of_another_architecture_enlarges(other, suffix, picture):
    sr = np.asarray(upscale.upscale(picture, "", 2, other[suffix]))
    with torch.no_grad():
        lr = to_tensor(picture)[None]
        expected = other["network"](lr)[0].clamp(0, 1).permute(1, 2, 0).mul(255).round().numpy()
    assert sr.shape == (18, 26, 3) and np.abs(sr - expected).max() <= 1  # to [-1, 1] and back
    assert checkpoint_scale(other[suffix]) == 2
    with pytest.raises(WeightsError, match="Compact at 2x, not scale 4"):
        upscale.upscale(picture, "", 4, other[suffix])


def test_its_tiles_equal_the_whole(other):
    photo = random_picture(90, 70)
    whole, tiled = (upscale.upscale(photo, "", 2, other["pth"], tile=n) for n in (256, 48))
    assert largest_difference(whole, tiled) <= 1


FAMILIES: dict[str, tuple[str, str, dict]] = {
    "SwinIR": ("SwinIR", "SwinIR", {"depths": [2], "embed_dim": 12, "num_heads": [2]}),
    "ESRGAN": ("ESRGAN.__arch.RRDB", "RRDBNet", {"num_filters": 8, "num_blocks": 1}),
    "PLKSR": ("PLKSR", "PLKSR", {"dim": 16, "n_blocks": 2}),  # has no gradient where it is trained
}
SCALES = {"SwinIR": ("upscale", 2), "ESRGAN": ("scale", 4), "PLKSR": ("upscaling_factor", 4)}


@pytest.mark.parametrize("family", FAMILIES)
def test_networks_of_the_field_enlarge_and_are_measured_by_command(tmp_path, capsys, family):
    pytest.importorskip("spandrel", reason="spandrel is not installed")
    module, name, settings = FAMILIES[family]
    option, scale = SCALES[family]
    if family == "SwinIR":
        settings = settings | {"img_size": 16, "window_size": 8, "upsampler": "pixelshuffle"}
    network = getattr(importlib.import_module(f"spandrel.architectures.{module}"), name)
    network = network(**settings, **{option: scale}).eval()
    file, photos = tmp_path / "theirs.safetensors", tmp_path / "photos"
    save_file({key: value.clone() for key, value in network.state_dict().items()}, file)
    photos.mkdir()
    random_picture(44, 36).save(photos / "a.png")
    common = ["--checkpoint", str(file), "--device", "cpu"]
    out = ["-o", str(tmp_path / "out"), "--precision", "fp32"]
    assert main(["upscale", str(photos), *out, *common]) == 0
    with Image.open(tmp_path / "out" / "a.png") as sr:
        assert sr.size == (44 * scale, 36 * scale)
        lr = to_tensor(random_picture(40, 32))[None]  # whole windows: SwinIR need not pad
        with torch.no_grad():
            expected = network(lr)[0].clamp(0, 1).permute(1, 2, 0).mul(255).round().numpy()
    ours = np.asarray(upscale.upscale(random_picture(40, 32), "", scale, file))
    assert np.abs(ours - expected).max() <= 1
    command = ["evaluate", "--data", str(photos), "--scale", str(scale), "--methods", "bicubic"]
    assert main([*command, *common]) == 0
    assert "| theirs |" in capsys.readouterr().out


def test_a_padded_network_is_cut_back():
    class Found:
        """What spandrel says of a network that wants multiples of 8."""

        input_channels = output_channels = 3
        scale, model, supports_bfloat16 = 2, nn.Upsample(scale_factor=2), False

        class architecture:
            name = "Padded"

        class size_requirements:
            @staticmethod
            def get_padding(width, height):
                return -width % 8, -height % 8

        @staticmethod
        def _call_fn(model, lr):
            assert lr.shape[-1] % 8 == lr.shape[-2] % 8 == 0
            return model(lr)

    lr = torch.rand(1, 3, 5, 13)
    sr = models.OtherGenerator(Found)(lr)
    assert torch.allclose(sr, norm(nn.functional.interpolate(lr, scale_factor=2)))
    Found.input_channels = 1
    with pytest.raises(ValueError, match="1 channels to 3"):
        models.OtherGenerator(Found)


def test_a_pickle_is_never_executed(tmp_path, picture):
    pytest.importorskip("spandrel", reason="spandrel is not installed")

    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"body.0.weight": Evil()}))
    with pytest.raises(WeightsError, match="no readable PyTorch state dict"):
        upscale.upscale(picture, "", 2, tmp_path / "evil.pth")
    assert not (tmp_path / "executed").exists()


def test_weights_of_nothing_known_are_refused(tmp_path, picture):
    pytest.importorskip("spandrel", reason="spandrel is not installed")
    save_file({"what": torch.zeros(1)}, tmp_path / "what.safetensors")
    with pytest.raises(WeightsError, match=r"what\.safetensors holds no network that spandrel"):
        upscale.upscale(picture, "", 2, tmp_path / "what.safetensors")


def test_without_spandrel_the_extra_is_named(tmp_path, picture, monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    torch.save({}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"srkit\[any-model\]"):
        upscale.upscale(picture, "", 2, tmp_path / "a.pth")


@pytest.mark.gpu
def test_gpu_and_cpu_enlarge_alike(picture, checkpoint):
    on_cpu, on_gpu = (
        np.asarray(upscale.upscale(picture, "srgan", 2, checkpoint, device)).astype(int)
        for device in ("cpu", "cuda")
    )
    assert np.abs(on_cpu - on_gpu).max() <= 2  # TF32 convolutions keep 10 bits
