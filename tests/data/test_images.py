"""Bicubic and Lanczos conformance; tensors, pictures and their ranges."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from srkit import data
from srkit.data import DataError, bicubic_lr, embedded, lanczos_lr
from srkit.metrics import psnr

# --- Bicubic and Lanczos -------------------------------------------------------------------------

SET5_BICUBIC = {2: 33.68, 4: 28.43}  # published, MATLAB's imresize


def set5_psnr(photos, scale, downsample) -> float:
    """Mean PSNR (Y, border `scale`) of PIL's bicubic enlargement of each photograph's LR."""
    values = []
    for photo in photos:
        hr = data.crop_to_multiple(photo, scale)
        sr = downsample(hr).resize(hr.size, Image.Resampling.BICUBIC)
        values.append(psnr(sr, hr, "y", scale))
    return sum(values) / len(values)


@pytest.mark.parametrize("scale", [2, 4])
def test_set5_bicubic_is_the_published_figure_by_either_path(set5, scale):
    by_pil = set5_psnr(set5, scale, lambda hr: data.bicubic_lr_pil(hr, scale))
    by_torch = set5_psnr(
        set5, scale, lambda hr: data.to_image(bicubic_lr(data.to_tensor(hr)[None], scale)[0])
    )
    # Two decimals are published, and 8-bit rounding differs by up to a level from MATLAB's.
    assert by_pil == pytest.approx(SET5_BICUBIC[scale], abs=0.02)
    assert by_torch == pytest.approx(SET5_BICUBIC[scale], abs=0.02)


@pytest.mark.parametrize(("scale", "known"), [(2, 34.44), (4, 27.80)])
def test_set5_without_antialias_is_off_so_the_conformance_test_can_fail(set5, scale, known):
    def without_antialias(hr):
        lr = F.interpolate(
            data.to_tensor(hr)[None], (hr.height // scale, hr.width // scale), mode="bicubic"
        )
        return data.to_image(lr[0])

    value = set5_psnr(set5, scale, without_antialias)
    assert value == pytest.approx(known, abs=0.02)  # as cv2's, to its two decimals
    assert abs(value - SET5_BICUBIC[scale]) > 0.5


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("size", [(64, 64), (36, 52), (8, 8)])
def test_pil_and_tensor_lr_agree_within_a_level(rng, scale, size):
    # Away from 0 and 255, where PIL clips between its horizontal and its vertical pass.
    hr = Image.fromarray(rng.integers(64, 192, (*size, 3), dtype=np.uint8))
    by_pil = data.to_tensor(data.bicubic_lr_pil(hr, scale))
    by_torch = bicubic_lr(data.to_tensor(hr)[None], scale)[0]
    assert by_pil.shape == by_torch.shape == (3, size[0] // scale, size[1] // scale)
    assert (by_pil - by_torch).abs().max() <= 1 / 255 + 1e-6  # float32 rounding


@pytest.mark.parametrize("scale", [2, 4])
def test_pil_and_tensor_lr_agree_on_photographs(scale):
    photos = embedded("val")
    differences = []
    for i in range(0, len(photos), 3):
        by_pil = data.to_tensor(data.bicubic_lr_pil(Image.fromarray(photos[i]), scale))
        differences.append((by_pil - bicubic_lr(data.to_tensor(photos[i])[None], scale)[0]).abs())
    apart = torch.cat([d.flatten() for d in differences]) * 255
    assert (apart > 1.001).float().mean() < 1e-3  # clipped edges: less than one pixel in 1,000
    assert apart.max() < 8  # and there by a few levels


def lanczos_apart(photo, scale):
    """By how many of 255 levels `lanczos_lr` differs from PIL, a pixel."""
    size = photo.shape[1] // scale, photo.shape[0] // scale
    by_pil = Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS)
    lr = lanczos_lr(data.to_tensor(photo)[None], scale)[0]
    return ((data.to_tensor(by_pil) - lr).abs() * 255).flatten()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lanczos_is_pil_s_to_a_level_in_few_pixels(scale, rng):
    photos = embedded("val")
    cut = 256 // scale * scale
    apart = torch.cat([lanczos_apart(photos[i][:cut, :cut], scale) for i in (0, 4, 5, 7)])
    assert apart.max() <= 1.001 and (apart > 0.5).float().mean() < 0.01
    noisy = rng.integers(0, 256, (4 * scale, 13 * scale, 3), dtype=np.uint8)  # all of it is edge
    assert lanczos_apart(noisy, scale).max() <= 1.001


def test_lanczos_is_not_bicubic():
    photo = data.to_tensor(embedded("val")[0])[None]
    assert (lanczos_lr(photo, 2) - bicubic_lr(photo, 2)).abs().max() > 2 / 255


@pytest.mark.parametrize("downsample", [bicubic_lr, lanczos_lr])
@pytest.mark.parametrize("scale", [2, 4])
def test_lr_of_a_batch_is_that_of_each_bit_for_bit(downsample, scale):
    photos = embedded("val")
    hr = torch.stack([data.to_tensor(photos[i]) for i in range(4)])
    lr = downsample(hr, scale)
    assert torch.equal(lr, torch.cat([downsample(one[None], scale) for one in hr]))
    assert torch.equal(lr, downsample(hr.to(memory_format=torch.channels_last), scale))


def test_lanczos_keeps_its_precision_under_autocast():
    hr = torch.rand(2, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = lanczos_lr(hr, 2)
    assert mixed.dtype == torch.float32 and torch.equal(mixed, lanczos_lr(hr, 2))


@pytest.mark.parametrize("downsample", [bicubic_lr, lanczos_lr])
def test_lr_is_what_an_8_bit_file_can_hold(downsample):
    lr = downsample(torch.rand(1, 3, 16, 16), 2)
    assert torch.equal(lr, (lr * 255).round() / 255)
    assert float(lr.min()) >= 0 and float(lr.max()) <= 1


@pytest.mark.parametrize("downsample", [bicubic_lr, lanczos_lr])
def test_lr_of_a_constant_is_that_constant(downsample):
    hr = torch.full((1, 3, 16, 24), 51 / 255)
    assert torch.equal(downsample(hr, 4), torch.full((1, 3, 4, 6), 51 / 255))


@pytest.mark.parametrize("downsample", [bicubic_lr, lanczos_lr])
@pytest.mark.parametrize(("height", "width"), [(15, 16), (16, 18)])
def test_an_hr_without_an_exact_lr_is_refused(height, width, downsample):
    with pytest.raises(ValueError, match=f"{height}x{width}"):
        downsample(torch.zeros(1, 3, height, width), 4)


def test_crop_to_multiple_cuts_right_and_bottom_only(rng):
    photo = Image.fromarray(rng.integers(0, 256, (11, 14, 3), dtype=np.uint8))
    cut = data.crop_to_multiple(photo, 4)
    assert cut.size == (12, 8)
    assert np.array_equal(np.asarray(cut), np.asarray(photo)[:8, :12])


# --- Tensors, pictures, ranges -------------------------------------------------------------------


def test_picture_to_tensor_and_back_loses_nothing(rng):
    pixels = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    tensor = data.to_tensor(Image.fromarray(pixels))
    assert tensor.shape == (3, 5, 7) and tensor.dtype == torch.float32
    assert torch.equal(tensor, data.to_tensor(pixels))
    assert np.array_equal(np.asarray(data.to_image(tensor)), pixels)


def test_to_image_clips_and_rounds():
    tensor = torch.tensor([-0.2, 0.4999 / 255, 0.5001 / 255, 1.7]).expand(3, 1, 4)
    assert np.asarray(data.to_image(tensor))[0, :, 0].tolist() == [0, 0, 1, 255]


def test_norm_maps_0_to_255_onto_minus_1_to_1():
    levels = torch.tensor([0.0, 127.5, 255.0])
    assert data.norm(levels / 255).tolist() == [-1, 0, 1]
    assert data.denorm(torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0])).tolist() == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "YCbCr", "1"])
def test_any_mode_of_photograph_is_read_as_rgb(tmp_path, mode):
    path = tmp_path / ("photo.tif" if mode in ("CMYK", "YCbCr") else "photo.png")
    Image.new(mode, (6, 5)).save(path)
    assert data.read_photo(path).shape == (5, 6, 3)


@pytest.mark.parametrize(
    ("mode", "file"),
    [
        ("I;16", "a.png"),
        ("I;16", "a.tif"),
        ("I;16B", "a.tif"),
        ("I", "a.pgm"),
        ("I", "a.tif"),
        ("F", "a.tif"),
        ("LAB", "a.tif"),
    ],
)
def test_a_photograph_of_more_than_8_bits_is_refused_by_file_and_mode(tmp_path, mode, file):
    path = tmp_path / file
    Image.new(mode, (6, 5)).save(path)
    found = Image.open(path).mode
    with pytest.raises(DataError, match=rf"{file} has the mode {found}, .*convert it to 8 bits"):
        data.read_photo(path)
    with pytest.raises(DataError, match=f"mode {found}"):
        data.to_tensor(Image.open(path))


def test_alpha_is_dropped_and_a_rotation_is_not_applied(tmp_path):
    Image.new("RGBA", (6, 5), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    assert (data.read_photo(tmp_path / "clear.png") == (10, 20, 30)).all()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    Image.new("RGB", (6, 5)).save(tmp_path / "turned.jpg", exif=exif)
    assert data.read_photo(tmp_path / "turned.jpg").shape == (5, 6, 3)
