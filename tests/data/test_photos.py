"""Bicubic and Lanczos conformance, and photographs in folders, by name and in memory."""

import hashlib
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import skimage
import torch
import torch.nn.functional as F
from PIL import Image

from srkit import data
from srkit.data import (
    DataError,
    Photos,
    bicubic_lr,
    embedded,
    lanczos_lr,
    open_photos,
    photo_folder,
    read_photo,
)
from srkit.metrics import psnr


def noise(count=3, height=40, width=48, labels=None) -> Photos:
    """Photographs of random pixels, in memory."""
    rng = np.random.default_rng(1)
    items = [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]
    labels = labels or list(range(count))
    return Photos("noise", items, labels, [str(n) for n in range(max(labels) + 1)])


# --- Bicubic -------------------------------------------------------------------------------------

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


# --- The embedded photographs --------------------------------------------------------------------


def test_embedded_split_is_by_photograph():
    files = {s: {f for fs in data.EMBEDDED[s].values() for f in fs} for s in ("train", "val")}
    assert files["train"] and files["val"] and not files["train"] & files["val"]
    subjects = [set(data.EMBEDDED[split]) for split in ("train", "val")]
    assert not subjects[0] & subjects[1]


@pytest.mark.parametrize("split", ["train", "val"])
def test_embedded_tiles_are_256_pixels_of_8_bits(split):
    photos = embedded(split)
    assert len(photos) >= 4
    for i in range(len(photos)):
        assert photos[i].shape == (256, 256, 3) and photos[i].dtype == np.uint8
    assert set(photos.labels) == set(range(len(photos.classes)))


def test_embedded_tiles_lie_side_by_side():
    photos = embedded("val")
    whole = read_photo(Path(skimage.__file__).parent / "data" / "astronaut.png")
    tiles = [photos[i] for i in range(4)]
    assert np.array_equal(np.block([[[tiles[0]], [tiles[1]]], [[tiles[2]], [tiles[3]]]]), whole)


def test_embedded_split_must_be_one_of_two():
    with pytest.raises(ValueError, match="train, val"):
        embedded("test")


# --- Folders -------------------------------------------------------------------------------------


def names(photos: Photos) -> list[str]:
    return [item.name for item in photos.items]


def test_a_folder_a_class_is_read_as_imagenet_is(make_folder):
    root = make_folder({"dog/b.png": (9, 8), "cat/a.png": (9, 8), "cat/deep/c.jpg": (9, 8)})
    (root / "cat" / "notes.txt").write_text("no photograph")
    photos = photo_folder(root)
    assert photos.classes == ["cat", "dog"]
    assert sorted(zip(names(photos), photos.labels, strict=True)) == [
        ("a.png", 0),
        ("b.png", 1),
        ("c.jpg", 0),
    ]


def test_train_and_val_subfolders_are_the_split(make_folder):
    root = make_folder(
        {"train/cat/a.png": (9, 8), "train/dog/b.png": (9, 8), "val/cat/c.png": (9, 8)}
    )
    assert names(photo_folder(root, "train")) == ["a.png", "b.png"]
    assert names(photo_folder(root, "val")) == ["c.png"]
    assert photo_folder(root, "train").classes == ["cat", "dog"]


def test_a_missing_val_subfolder_never_takes_training_photographs(make_folder):
    root = make_folder({f"train/cat/{n}.png": (9, 8) for n in range(12)})
    assert len(photo_folder(root, "train")) == 12
    with pytest.raises(DataError, match="val"):
        photo_folder(root, "val")


def test_a_plain_folder_is_split_without_overlap_or_loss(make_folder):
    root = make_folder({f"{n:02}.png": (9, 8) for n in range(23)})
    train, val = (set(names(photo_folder(root, split))) for split in ("train", "val"))
    assert val == {"00.png", "10.png", "20.png"}
    assert not train & val
    assert train | val == set(names(photo_folder(root))) and len(train | val) == 23
    assert photo_folder(root).classes == [""] and set(photo_folder(root).labels) == {0}


def test_per_class_keeps_the_first_of_each_class(make_folder):
    files = {f"{c}/{n}.png": (9, 8) for c, count in (("a", 5), ("b", 1)) for n in range(count)}
    photos = photo_folder(make_folder(files), per_class=3)
    assert photos.labels == [0, 0, 0, 1]
    assert names(photos) == ["0.png", "1.png", "2.png", "0.png"]


@pytest.mark.parametrize(("size", "resized"), [((30, 20), (24, 16)), ((20, 45), (16, 36))])
def test_short_side_resizes_the_shorter_side_to_it(make_folder, size, resized):
    root = make_folder({"a.png": size})
    photos = photo_folder(root, short_side=16)
    assert photos.size(0) == resized
    assert photos[0].shape == (resized[1], resized[0], 3)
    by_pil = Image.open(root / "a.png").resize(resized, Image.Resampling.BICUBIC)
    assert np.array_equal(photos[0], np.asarray(by_pil))


def test_real_photographs_in_imagenet_layout(val_folder):
    photos = photo_folder(val_folder, per_class=2)
    assert len(photos) == 20 and len(photos.classes) == 10
    assert photos[19].shape == (224, 224, 3)
    train, val = (photo_folder(val_folder.parent, s, per_class=1).items for s in ("train", "val"))
    assert len(train) == 1000 and len(val) == 10
    assert not {f.name for f in train} & {f.name for f in val}


def test_any_torchvision_set_with_a_file_list_will_do(make_folder):
    root = make_folder({"x/a.png": (9, 8), "x/b.png": (9, 8), "y/c.png": (9, 8)})
    samples = [(str(root / f), label) for f, label in (("x/a.png", 0), ("x/b.png", 0))]
    listed = SimpleNamespace(samples=samples, classes=[("tench", "Tinca tinca"), "golden"])
    photos = data.from_torchvision(listed, per_class=1)
    assert names(photos) == ["a.png"] and photos.classes == ["tench", "golden"]


def test_open_photos_knows_the_embedded_and_any_folder(make_folder):
    root = make_folder({"a.png": (9, 8)})
    assert open_photos("embedded", "train").name == "embedded-train"
    assert open_photos("embedded", "all").name == "embedded-val"
    assert names(open_photos(str(root), "all")) == ["a.png"]


# --- Bad folders ---------------------------------------------------------------------------------


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        open_photos(str(tmp_path / "nowhere"))


def test_an_empty_folder_is_named_with_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("no photograph")
    with pytest.raises(DataError) as caught:
        open_photos(str(tmp_path), "all")
    assert str(tmp_path) in str(caught.value) and ".jpg" in str(caught.value)


def test_hidden_files_are_no_photographs(make_folder):
    root = make_folder({"cat/a.png": (9, 8), "cat/b.png": (9, 8)})
    (root / "cat" / "._a.png").write_bytes(b"what macOS leaves beside a file")
    assert names(photo_folder(root)) == ["a.png", "b.png"]


def test_netpbm_files_are_photographs(make_folder):
    root = make_folder({"a.ppm": (9, 8)})
    Image.new("L", (9, 8), 7).save(root / "b.pgm")
    photos = photo_folder(root)
    assert names(photos) == ["a.ppm", "b.pgm"]
    assert (photos[1] == np.full((8, 9, 3), 7)).all()


def test_a_photograph_too_large_to_be_meant_is_unreadable(make_folder, monkeypatch):
    root = make_folder({"bomb.png": (40, 40)})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # refused from twice as many
    photos = photo_folder(root)
    for read in (photos.read, photos.size):
        with pytest.raises(DataError, match=r"bomb\.png is no readable image: .*exceeds limit"):
            read(0)


def test_an_unknown_split_is_refused(make_folder):
    with pytest.raises(ValueError, match="train, val, all"):
        photo_folder(make_folder({"a.png": (9, 8)}), "test")


def test_a_set_without_photographs_is_refused():
    with pytest.raises(DataError, match="no photographs"):
        Photos("nothing", [], [], [])


def break_file(path, how):
    whole = path.read_bytes()
    path.write_bytes(
        {
            "text": b"this is no picture",
            "empty": b"",
            "cut": whole[: len(whole) // 2],
            "garbled": whole[:60] + bytes(40) + whole[100:],
        }[how]
    )


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("how", ["text", "empty", "cut"])
def test_an_unreadable_photograph_is_named(make_folder, suffix, how):
    root = make_folder({f"bad.{suffix}": (64, 64)})
    break_file(root / f"bad.{suffix}", how)
    with pytest.raises(DataError, match=rf"bad\.{suffix} is no readable image"):
        photo_folder(root)[0]


def test_a_garbled_png_is_named(make_folder):
    root = make_folder({"bad.png": (64, 64)})
    break_file(root / "bad.png", "garbled")
    with pytest.raises(DataError, match=r"bad\.png is no readable image"):
        photo_folder(root)[0]


def test_an_unreadable_photograph_is_named_before_training_starts(make_folder):
    root = make_folder({"a.png": (64, 64), "bad.png": (64, 64)})
    break_file(root / "bad.png", "text")
    with pytest.raises(DataError, match=r"bad\.png"):
        photo_folder(root).require_size(32)


def test_a_photograph_smaller_than_the_crop_is_named(make_folder):
    photos = photo_folder(make_folder({"big.png": (40, 40), "small.png": (90, 31)}))
    with pytest.raises(DataError, match=r"1 of 2 .*small\.png \(90x31\)"):
        photos.require_size(32)


def test_without_small_leaves_exactly_those_out(make_folder):
    root = make_folder({"a/0.png": (40, 40), "a/1.png": (90, 31), "b/2.png": (32, 32)})
    photos = photo_folder(root)
    kept = photos.without_small(32)
    assert names(kept) == ["0.png", "2.png"] and kept.labels == [0, 1]
    assert kept.classes == photos.classes
    kept.require_size(32)
    assert kept[1].shape == (32, 32, 3)
    with pytest.raises(DataError, match="3 of 3"):
        photos.without_small(1000)


def test_short_side_makes_every_photograph_large_enough(make_folder):
    root = make_folder({"a.png": (20, 31)})
    assert photo_folder(root, short_side=32).smaller_than(32) == []
    assert photo_folder(root, short_side=32)[0].shape[:2] == (50, 32)


# --- The cache -----------------------------------------------------------------------------------


def test_a_photograph_is_decoded_once(make_folder):
    root = make_folder({"a.png": (9, 8)})
    photos = photo_folder(root)
    first = photos[0]
    shutil.rmtree(root)
    assert photos[0] is first


def test_the_cache_stays_within_its_bytes(make_folder):
    root = make_folder({"a.png": (10, 10), "b.png": (10, 10)})
    photos = photo_folder(root)
    photos.cache_bytes = 300  # one of the two
    first, second = photos[0], photos[1]
    assert photos[0] is first
    assert photos[1] is not second and np.array_equal(photos[1], second)


def test_the_cache_stays_out_of_a_pickle(make_folder):
    photos = photo_folder(make_folder({"a.png": (90, 80)}))
    photos[0]
    assert photos._cached_bytes == 90 * 80 * 3
    pickled = pickle.dumps(photos)
    assert len(pickled) < 2_000
    again = pickle.loads(pickled)
    assert again._cached_bytes == 0 and np.array_equal(again[0], photos[0])


# --- What tells photographs apart ----------------------------------------------------------------


def test_the_identity_of_files_is_folder_name_and_bytes(make_folder):
    root = make_folder({"cat/a.png": (9, 8), "dog/a.png": (5, 5)})
    sizes = [(root / file).stat().st_size for file in ("cat/a.png", "dog/a.png")]
    expected = [f"cat/a.png {sizes[0]}", f"dog/a.png {sizes[1]}"]
    assert list(photo_folder(root).identity()) == expected
    assert list(photo_folder(root).subset([1]).identity()) == expected[1:]


def test_the_identity_of_pixels_is_their_size_and_sha256():
    photos = noise(2, 6, 8)
    digest = hashlib.sha256(photos[1].tobytes()).hexdigest()
    assert list(photos.identity())[1] == f"6x8 {digest}"
    turned = Photos("turned", [photos[1].reshape(8, 6, 3)], [0], ["x"])
    assert next(turned.identity()) == f"8x6 {digest}"
    mirrored = Photos("mirrored", [photos[1][:, ::-1]], [0], ["x"])  # not contiguous
    assert next(mirrored.identity()) != f"6x8 {digest}"


# --- torchvision's sets by name ------------------------------------------------------------------


def test_imagenette_in_a_folder_is_read_by_torchvision(make_folder):
    files = {
        f"imagenette2/val/{wnid}/{n}.JPEG": (9, 8)
        for wnid in ("n01440764", "n02102040")
        for n in range(3)
    }
    photos = open_photos(f"imagenette:{make_folder(files)}", "val", per_class=2)
    assert photos.name == "imagenette-val" and photos.labels == [0, 0, 1, 1]
    assert photos.classes[:2] == ["tench", "English springer"]
    assert photos[3].shape == (8, 9, 3)


@pytest.mark.parametrize("kind", ["imagenet", "imagenette"])
def test_an_absent_set_of_torchvision_s_is_named_in_one_line(tmp_path, kind):
    with pytest.raises(DataError) as caught:
        open_photos(f"{kind}:{tmp_path}", "val")
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_spread_takes_evenly_from_first_to_last():
    photos = noise(9, 8, 8)
    assert photos.evenly_spaced(3).labels == [0, 4, 8]
    assert photos.evenly_spaced(None) is photos and photos.evenly_spaced(99) is photos
    assert np.array_equal(photos.evenly_spaced(3)[1], photos[4])
