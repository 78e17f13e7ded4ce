"""What is taken for photographs, the three resizes by hand, and features in order and in bounds."""

import re
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from srkit.data import DataError, Photos, to_tensor
from srkit.fid import features
from srkit.fid.features import (
    Extractor,
    as_images,
    batches,
    feature_stream,
    full_precision,
    inception_features,
    inception_statistics,
    measure_name,
    measure_protocol,
    patch_features,
    prepare,
    space,
)
from srkit.fid.frechet import frechet_distance
from srkit.fid.inception import FIDInception, load_inception
from srkit.fid.statistics import Space, Statistics

PROTOCOLS = ("pytorch", "tf", "clean")


class Means(nn.Module):
    """Stands for an Inception: the mean of each channel, and a note of what it was given."""

    layer = width = 3
    name, weights = "Means", "none"

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.sizes, self.notes, self.note = [], [], lambda: None

    def forward(self, x):
        self.sizes.append(len(x))
        self.notes.append(self.note())
        return x.mean((2, 3))


class Echo(Means):
    """Its features are the prepared pictures themselves."""

    layer = width = 3 * 299 * 299

    def forward(self, x):
        return x.flatten(1)


def plain_pictures(rng, count):
    """One colour each, in other sizes: their means are known whatever the resize."""
    colours = rng.integers(0, 256, (count, 3), dtype=np.uint8)
    sizes = rng.integers(4, 40, (count, 2))
    pictures = [np.tile(c, (h, w, 1)) for c, (h, w) in zip(colours, sizes, strict=True)]
    return pictures, colours.astype(float)


# --- What is accepted ----------------------------------------------------------------------------


def levels():
    """Two photographs (2, 4, 5, 3), and what they are as (2, 3, 4, 5) in [0, 1]."""
    array = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    array[0, 0, 0], array[1, 3, 4] = 0, 255
    expected = np.empty((2, 3, 4, 5))
    for b, y, x, c in np.ndindex(2, 4, 5, 3):
        expected[b, c, y, x] = array[b, y, x, c] / 255
    return array, expected


FORMS = {
    "PIL": lambda array: Image.fromarray(array[0]),
    "PIL with alpha": lambda array: Image.fromarray(array[0]).convert("RGBA"),
    "uint8 array": lambda array: array[0],
    "uint8 arrays": lambda array: array,
    "float32 array": lambda array: array[0].astype(np.float32) / 255,
    "float64 arrays": lambda array: array / 255,
    "parts of arrays": lambda array: np.repeat(array, 2, axis=2)[:, :, ::2],
    "uint8 tensor": lambda array: torch.from_numpy(array[0]).permute(2, 0, 1),
    "uint8 tensors": lambda array: torch.from_numpy(array).permute(0, 3, 1, 2),
    "float32 tensor": lambda array: torch.from_numpy(array[0]).permute(2, 0, 1) / 255,
    "float64 tensors": lambda array: torch.from_numpy(array / 255).permute(0, 3, 1, 2),
}


@pytest.mark.parametrize("form", FORMS)
def test_photographs_are_the_same_in_every_form(form):
    array, expected = levels()
    images = FORMS[form](array)
    found = as_images(images)
    assert found.dtype == torch.float32
    expected = expected if form.endswith("s") else expected[:1]
    assert found.shape == expected.shape
    assert np.allclose(found.numpy(), expected, atol=1e-7)  # float32


def test_half_precision_is_accepted_and_becomes_float32():
    array, expected = levels()
    found = as_images(torch.from_numpy(array / 255).permute(0, 3, 1, 2).half())
    assert found.dtype == torch.float32
    assert np.allclose(found.numpy(), expected, atol=2**-12)  # 11 bits below 1, rounded


def test_a_gray_picture_of_pil_has_three_equal_channels():
    gray = np.arange(20, dtype=np.uint8).reshape(4, 5)
    found = as_images(Image.fromarray(gray))
    assert found.shape == (1, 3, 4, 5)
    assert np.allclose(found[0], np.stack([gray] * 3) / 255, atol=1e-7)  # float32


def test_a_view_with_its_channels_turned_round_is_accepted():
    array, expected = levels()  # BGR to RGB, as one writes it with OpenCV
    assert np.allclose(as_images(array[..., ::-1]).numpy(), expected[:, ::-1], atol=1e-7)  # float32


def test_an_array_that_cannot_be_written_is_accepted_without_a_warning():
    array, expected = levels()
    array = np.asarray(Image.fromarray(array[0]))  # as one reads a picture, or np.load maps a file
    assert not array.flags.writeable
    torch.set_warn_always(True)  # not only the first time in a process
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.allclose(as_images(array), expected[:1], atol=1e-7)  # float32
    finally:
        torch.set_warn_always(False)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((4, 5, 3), 200.0), r"in [0, 1]; these span [200, 200]"),
        (torch.rand(1, 3, 8, 8) * 0 + 7, r"in [0, 1]; these span [7, 7] (pass levels of 0-255 as"),
        (torch.tensor([-1.0, 0, 1]).view(1, 3, 1, 1), r"in [0, 1]; these span [-1, 1]"),
        (torch.full((1, 3, 8, 8), 1.01), r"in [0, 1]; these span [1.01, 1.01]"),
        (torch.full((1, 3, 8, 8), -0.01), r"in [0, 1]; these span [-0.01, -0.01]"),
        (torch.full((1, 3, 8, 8), float("nan")), r"in [0, 1]; these span [nan, nan]"),
        (torch.full((1, 3, 8, 8), float("inf")), r"in [0, 1]; these span [inf, inf]"),
        (np.zeros((4, 5, 3), np.int64), r"uint8 or float, not torch.int64"),
        (np.zeros((4, 5, 3), np.uint16), r"uint8 or float, not torch.uint16"),
        (np.full((4, 5, 3), None), r"uint8 or float, not object"),
        (np.zeros((4, 5, 3), bool), r"uint8 or float, not bool"),
        (torch.zeros(3, 8, 8, dtype=torch.bool), r"uint8 or float, not torch.bool"),
        (np.zeros((4, 5), np.uint8), r"(B, H, W, 3) as an array, not (4, 5)"),
        (np.zeros((4, 5, 1)), r"(B, H, W, 3) as an array, not (4, 5, 1)"),
        (np.zeros((4, 5, 4)), r"(B, H, W, 3) as an array, not (4, 5, 4)"),
        (np.zeros((3, 4, 5)), r"(B, H, W, 3) as an array, not (3, 4, 5)"),
        (np.zeros((2, 3, 4, 5)), r"(B, H, W, 3) as an array, not (2, 3, 4, 5)"),
        (np.zeros((0, 4, 5, 3)), r"(B, H, W, 3) as an array, not (0, 4, 5, 3)"),
        (np.zeros((1, 1, 4, 5, 3)), r"(B, H, W, 3) as an array, not (1, 1, 4, 5, 3)"),
        (torch.zeros(4, 5), r"(B, 3, H, W) as a tensor, not (4, 5)"),
        (torch.zeros(4, 5, 3), r"(B, 3, H, W) as a tensor, not (4, 5, 3)"),
        (torch.zeros(2, 4, 5, 3), r"(B, 3, H, W) as a tensor, not (2, 4, 5, 3)"),
        (torch.zeros(1, 1, 8, 8), r"(B, 3, H, W) as a tensor, not (1, 1, 8, 8)"),
        (torch.zeros(1, 3, 0, 8), r"(B, 3, H, W) as a tensor, not (1, 3, 0, 8)"),
        ("photo.png", r"a picture, an array or a tensor, not <class 'str'>"),
        ([[0, 1]], r"a picture, an array or a tensor, not <class 'list'>"),
        (None, r"a picture, an array or a tensor, not <class 'NoneType'>"),
    ],
)
def test_what_is_no_photograph_is_refused_by_shape_type_or_range(images, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        as_images(images)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_a_picture_of_pil_of_more_than_8_bits_is_refused_by_its_mode(mode):
    picture = Image.new(mode, (5, 4), 300)
    with pytest.raises(ValueError, match=f"a picture has the mode {mode}, .*convert it to 8 bits"):
        as_images(picture)
    with pytest.raises(ValueError, match=f"mode {mode}"):
        inception_features([picture], Means())


# --- Sources -------------------------------------------------------------------------------------


def written(folder, pictures):
    """The pictures as files whose names sort as they do."""
    folder.mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number:02}.png")
    return folder


SOURCES = {
    "folder": lambda pictures, tmp: written(tmp / "set", pictures),
    "name of a folder": lambda pictures, tmp: str(written(tmp / "set", pictures)),
    "Photos": lambda pictures, tmp: Photos("set", pictures, [0] * len(pictures), ["a"]),
    "list": lambda pictures, tmp: pictures,
    "PIL pictures": lambda pictures, tmp: [Image.fromarray(picture) for picture in pictures],
    "float tensors": lambda pictures, tmp: [to_tensor(picture) for picture in pictures],
    "generator": lambda pictures, tmp: (picture for picture in pictures),
    "batches of one": lambda pictures, tmp: (picture[None] for picture in pictures),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("batch", [4, 32])
def test_features_come_in_order_from_every_source(rng, tmp_path, source, batch):
    pictures, colours = plain_pictures(rng, 11)
    network = Means()
    found = inception_features(SOURCES[source](pictures, tmp_path), network, batch=batch)
    # means in float32 over 299 x 299 pixels
    assert np.allclose(found, 2 * colours / 255 - 1, atol=1e-5)
    full, rest = divmod(11, batch)
    assert network.sizes == [batch] * full + [rest] * bool(rest)


@pytest.mark.parametrize("batch", [1, 3, 32])
@pytest.mark.parametrize("form", ["array", "tensor", "parts"])
def test_features_of_a_whole_set_come_in_order_whatever_the_batch(rng, batch, form):
    array = rng.integers(0, 256, (10, 1, 1, 3), dtype=np.uint8).repeat(6, 1).repeat(7, 2)
    source = {
        "array": array,
        "tensor": torch.from_numpy(array).permute(0, 3, 1, 2),
        "parts": [array[:1], array[1:8], array[8:]],
    }[form]
    found = inception_features(source, Means(), batch=batch)
    # means in float32 over 299 x 299 pixels
    assert np.allclose(found, array[:, 0, 0] / 127.5 - 1, atol=1e-5)


def test_an_inception_gives_the_same_features_from_every_source(make_folder):
    folder = make_folder({"a/1.png": (20, 16), "a/2.png": (16, 16), "b/1.png": (30, 20)})
    pictures = [Image.open(folder / name) for name in ("a/1.png", "a/2.png", "b/1.png")]
    network = FIDInception(64).eval()
    with torch.no_grad():
        by_hand = [
            network(2 * F.interpolate(to_tensor(p)[None], (299, 299), mode="bilinear") - 1)
            for p in pictures
        ]
    expected = torch.cat(by_hand).numpy()
    assert np.ptp(expected, axis=0).max() > 1e-3  # the photographs differ
    for source in (folder, pictures, (to_tensor(p) for p in pictures)):
        found = inception_features(source, network, batch=2)
        assert np.allclose(found, expected, atol=1e-5)  # float32, in another order


def test_one_picture_is_a_set_of_one(rng):
    picture = rng.integers(0, 256, (9, 8, 3), dtype=np.uint8)
    expected = inception_features(picture[None], Means())
    assert expected.shape == (1, 3)
    for one in (picture, Image.fromarray(picture), to_tensor(picture)):
        assert np.allclose(inception_features(one, Means()), expected, atol=1e-6)  # float32


def test_a_folder_without_photographs_is_refused(tmp_path):
    with pytest.raises(DataError, match="no photographs under"):
        inception_features(tmp_path, Means())
    with pytest.raises(DataError, match=r"no photo folder at .*absent"):
        inception_features(tmp_path / "absent", Means())


@pytest.mark.parametrize("damage", ["no picture", "half of a picture"])
def test_a_damaged_photograph_is_named(make_folder, damage):
    folder = make_folder({f"{name}.png": (20, 20) for name in "abcde"})
    content = (folder / "c.png").read_bytes()
    (folder / "c.png").write_bytes(b"no PNG" if damage == "no picture" else content[:600])
    with pytest.raises(DataError, match=re.escape(f"{folder / 'c.png'} is no readable image")):
        inception_features(folder, Means())


def test_features_and_statistics_of_nothing_are_refused():
    with pytest.raises(ValueError, match="no photographs: the source is empty"):
        inception_features([], Means())
    with pytest.raises(ValueError, match="no features"):
        inception_statistics([], Means())


@pytest.mark.parametrize("number", [0, 4])
def test_a_refused_picture_in_the_middle_is_not_passed_over(number):
    pictures = [np.zeros((4, 4, 3), np.uint8)] * 6
    pictures[number] = np.full((4, 4, 3), 2.0)
    with pytest.raises(ValueError, match="these span"):
        inception_features(pictures, Means(), batch=2)


# --- What waits in memory ------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[1] * 20, [20], [3, 9, 1, 7], [4, 4, 12]])
def test_prepared_pictures_waiting_are_bounded_by_the_batch(rng, monkeypatch, sizes):
    network, waiting, made = Means(), [], prepare
    extractor = Extractor(network, batch=4)

    def watched(images, protocol):
        waiting.append(len(extractor.waiting) + len(images))
        return made(images, protocol)

    monkeypatch.setattr(features, "prepare", watched)
    for size in sizes:
        extractor.add(rng.integers(0, 256, (size, 5, 5, 3), dtype=np.uint8))
        assert len(extractor.waiting) < 4
    assert max(waiting) < 4 + min(4, max(sizes))
    assert len(extractor.finish()) == 20
    assert max(network.sizes) == 4


def test_a_stream_reads_no_further_than_its_batch(rng):
    read = []

    def source():
        for picture in plain_pictures(rng, 20)[0]:
            read.append(picture)
            yield picture

    given = 0
    for part in feature_stream(source(), Means(), batch=4):
        given += len(part)
        assert len(read) - given < 4
    assert given == len(read) == 20


def test_files_are_decoded_a_few_ahead_only_and_not_kept(monkeypatch):
    decoded = []

    def decode(path, short_side):
        photo = np.full((2, 2, 3), int(path.name), np.uint8)
        decoded.append(weakref.ref(photo))
        return photo

    monkeypatch.setattr("srkit.data.photos.read_photo", decode)
    files = [Path(str(number)) for number in range(120)]
    for number, photo in enumerate(batches(Photos("set", files, [0] * 120, ["a"]))):
        assert (photo == number).all()
        assert len(decoded) <= number + 1 + 8
        # this one, 8 to come, and those that the 8 threads have not let go yet
        assert sum(reference() is not None for reference in decoded) <= 1 + 8 + 8
    assert len(decoded) == 120


@pytest.mark.parametrize("batch", [0, -3])
def test_a_batch_of_none_is_refused(batch):
    for make in (
        lambda: Extractor(Means(), batch=batch),
        lambda: inception_features(np.zeros((2, 4, 4, 3)), Means(), batch=batch),
    ):
        with pytest.raises(ValueError, match=f"one photograph or more, not {batch}"):
            make()


def test_photographs_go_to_the_device_before_they_become_float32(monkeypatch):
    moved, own = [], torch.Tensor.to

    def to(self, *args, **kwargs):
        moved.append((self.dtype, kwargs.get("device", args[0] if args else None)))
        return own(self, *args, **kwargs)

    extractor = Extractor(Means(), batch=4)
    monkeypatch.setattr(torch.Tensor, "to", to)
    extractor.add(np.zeros((2, 5, 5, 3), np.uint8))
    assert moved[0] == (torch.uint8, torch.device("cpu"))
    assert as_images(torch.zeros(3, 5, 5, dtype=torch.uint8), "meta").device.type == "meta"


@pytest.mark.gpu
def test_pictures_on_a_gpu_stay_there_and_are_the_cpu_s(rng):
    picture = torch.from_numpy(rng.integers(0, 256, (2, 3, 9, 8), dtype=np.uint8))
    found = as_images(picture.cuda())
    assert found.is_cuda
    assert torch.allclose(found.cpu(), as_images(picture), atol=1e-7)  # float32, x / 255
    assert torch.equal(found, as_images(picture, "cuda"))


def test_what_was_taken_is_not_given_again(rng):
    extractor = Extractor(Means(), batch=4)
    pictures, colours = plain_pictures(rng, 6)
    assert extractor.take().shape == (0, 3)
    for picture in pictures:
        extractor.add(picture)
    first, rest = extractor.take(), extractor.finish()
    assert (len(first), len(rest)) == (4, 2)
    # means in float32
    assert np.allclose(np.concatenate([first, rest]), 2 * colours / 255 - 1, atol=1e-5)
    assert extractor.finish().shape == (0, 3)


# --- The three protocols -------------------------------------------------------------------------


def linear_weights(length, places):
    """(299, length) weights of linear interpolation at places that are clipped to the picture."""
    weights = np.zeros((299, length))
    for i, place in enumerate(np.clip(places, 0, length - 1)):
        low = int(place)
        weights[i, low] += 1 - (place - low)
        weights[i, min(low + 1, length - 1)] += place - low
    return weights


def resized_by_hand(levels, protocol):
    """One channel (H, W) of levels at 299x299: places by their definition in float64, or PIL."""
    if protocol == "clean":
        picture = Image.fromarray(levels.astype(np.float32))
        assert picture.mode == "F"
        return np.array(picture.resize((299, 299), Image.Resampling.BICUBIC)).clip(0, 255)
    i = np.arange(299)
    half = 0.5 if protocol == "pytorch" else 0
    rows, columns = (linear_weights(n, (i + half) * n / 299 - half) for n in levels.shape)
    return rows @ levels @ columns.T


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("size", [(5, 7), (70, 50), (299, 299), (400, 350), (299, 610)])
def test_pictures_are_resized_and_mapped_by_the_protocol(rng, protocol, size):
    picture = rng.integers(0, 256, (*size, 3)).astype(np.float64)
    found = prepare(as_images(picture.astype(np.uint8)), protocol)[0].double().numpy()
    assert found.shape == (3, 299, 299)
    found = (found + 1) / 2 * 255 if protocol == "pytorch" else found * 128 + 128
    for c in range(3):
        # PIL's and torch's bicubic weights differ in their 5th digit; the others are float32, whose
        # places of up to 610 pixels are exact to 6e-5
        tolerance = 0.01 if protocol == "clean" else 0.02
        assert np.abs(found[c] - resized_by_hand(picture[..., c], protocol)).max() < tolerance


def test_tensorflow_1_repeats_the_last_pixels_and_moves_the_picture():
    ramp = torch.arange(5).float().div(4).view(1, 1, 1, 5).expand(1, 3, 5, 5)
    levels = prepare(ramp, "tf")[0, 0, 0] * 128 + 128  # (299,) along x
    # output i lies at i * 5 / 299, so at 4, the last pixel, from i = 240 on
    assert torch.allclose(levels[240:], torch.tensor(255.0), atol=1e-3)  # float32
    assert levels[239] < 254.9
    assert torch.allclose(levels[:240], torch.arange(240) * 5 / 299 / 4 * 255, atol=1e-3)
    centred = prepare(ramp, "pytorch")[0, 0, 0]
    assert torch.allclose(centred, -centred.flip(0), atol=1e-5)  # which pytorch-fid's is not


def test_bicubic_leaves_no_level_outside_of_a_picture_s_range():
    edge = torch.zeros(1, 3, 8, 8)
    edge[..., 4:] = 1
    found = prepare(edge, "clean") * 128 + 128
    assert (found.min(), found.max()) == (0, 255)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_protocol_reaches_the_network(rng, protocol):
    picture = rng.integers(0, 256, (9, 8, 3), dtype=np.uint8)
    found = inception_features(picture, Echo(), protocol)
    assert np.array_equal(found.reshape(1, 3, 299, 299), prepare(as_images(picture), protocol))


def test_an_unknown_protocol_is_refused():
    with pytest.raises(ValueError, match="unknown protocol 'fid'; accepted: pytorch, tf, clean"):
        prepare(torch.zeros(1, 3, 8, 8), "fid")

    def unread():
        raise AssertionError("a picture was read before the protocol was checked")
        yield

    for function in (inception_features, inception_statistics):
        with pytest.raises(ValueError, match="unknown protocol 'fid'; accepted: pytorch, tf"):
            function(unread(), Means(), "fid")


# --- TF32 ----------------------------------------------------------------------------------------


@pytest.fixture
def cudnn():
    """cudnn's settings, put back after the test."""
    convolution = torch.backends.cudnn.conv
    before, allowed = convolution.fp32_precision, torch.backends.cudnn.allow_tf32
    yield torch.backends.cudnn
    torch.backends.cudnn.allow_tf32 = allowed
    convolution.fp32_precision = before


@pytest.mark.parametrize("allowed", [True, False])
def test_full_precision_puts_the_setting_back_after_an_error_too(cudnn, allowed):
    cudnn.allow_tf32 = allowed
    before = cudnn.conv.fp32_precision
    with pytest.raises(KeyError), full_precision():
        assert cudnn.conv.fp32_precision == "ieee"
        raise KeyError
    assert cudnn.conv.fp32_precision == before
    assert cudnn.allow_tf32 is allowed  # torch raises where its two settings disagree


def test_the_network_runs_in_full_precision(cudnn):
    cudnn.allow_tf32 = True
    network = Means()
    network.note = lambda: (cudnn.conv.fp32_precision, torch.is_inference_mode_enabled())
    inception_features(torch.zeros(3, 3, 8, 8), network, batch=2)
    assert network.notes == [("ieee", True)] * 2
    assert cudnn.allow_tf32 is True


# --- Statistics, and what a number may be called -------------------------------------------------


def test_statistics_are_those_of_the_features(rng):
    pictures, _ = plain_pictures(rng, 20)
    network = Means()
    found = inception_statistics(pictures, network, "tf", batch=6)
    expected = Statistics.of(inception_features(pictures, network, "tf"))
    assert found.n == 20
    assert found.space == Space("tf", 3, "none")
    assert np.allclose(found.mean, expected.mean, rtol=1e-6, atol=1e-7)  # float32, other batches
    assert np.allclose(found.covariance, expected.covariance, rtol=1e-5)


def test_protocols_and_layers_do_not_compare(rng):
    pictures, _ = plain_pictures(rng, 5)
    network = FIDInception(64).eval()
    ours, theirs = (inception_statistics(pictures, network, p) for p in ("pytorch", "clean"))
    with pytest.raises(ValueError, match="protocol: pytorch and clean"):
        frechet_distance(ours, theirs)


def test_the_space_and_name_of_features_are_those_of_the_layer_that_they_come_from():
    network = FIDInception(192, collect=(64,))
    assert space(network) == Space("pytorch", 64, "untrained")
    assert measure_name(network) == "FID-64" and measure_name(network, "KID") == "KID-64"
    assert "64 features" in measure_protocol(network)
    network = FIDInception(192)
    network.weights = "a" * 64
    assert space(network, "clean") == Space("clean", 192, "a" * 64)


@pytest.mark.parametrize("collect", [(64, 192), (192, 64)])
def test_features_of_two_layers_side_by_side_are_no_one_set(collect):
    network = FIDInception(192, collect)
    for function in (space, measure_name, measure_protocol):
        with pytest.raises(ValueError, match=f"{collect[0]}, {collect[1]}"):
            function(network)


def test_without_a_network_no_number_is_called_fid():
    assert "FID" not in measure_name(None)
    assert "no network" in measure_protocol(None)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_protocol_and_its_resize_stand_beside_the_number(protocol):
    resize = {"pytorch": "bilinear", "tf": "TensorFlow 1 bilinear", "clean": "antialiased bicubic"}
    named = measure_protocol(FIDInception(64), protocol)
    assert "UNTRAINED" in named
    assert f"64 features, protocol {protocol} ({resize[protocol]} to 299)" in named


def test_real_features_tell_blur_from_sharp(inception_file, set5):
    network = load_inception(inception_file, 192)
    hr = to_tensor(set5[1])[None, :, :256, :256]
    blurred = F.avg_pool2d(F.pad(hr, (2, 2, 2, 2), mode="replicate"), 5, 1)
    sharp, again, blunt = (inception_features(x, network) for x in (hr, hr, blurred))
    assert sharp.shape == (1, 192) and np.array_equal(sharp, again)
    assert np.abs(sharp - blunt).mean() > 0.01 * np.abs(sharp).mean()


# --- Patches -------------------------------------------------------------------------------------


def test_patches_are_cut_from_the_grid_channel_first_in_levels():
    images = torch.rand(2, 3, 17, 25)  # a row and a column to spare
    features = patch_features(images)
    assert features.shape == (2 * 2 * 3, 3 * 8 * 8)
    numbered = [(b, top, left) for b in range(2) for top in (0, 8) for left in (0, 8, 16)]
    for row, (b, top, left) in zip(features, numbered, strict=True):
        by_hand = images[b, :, top : top + 8, left : left + 8].numpy().ravel() * 255
        assert np.allclose(row, by_hand, rtol=1e-6)  # float32 rounding


def test_patches_of_another_side_are_cut_from_levels(rng):
    picture = rng.integers(0, 256, (9, 6, 3), dtype=np.uint8)
    features = patch_features(picture, patch=3)
    assert features.shape == (6, 27)
    by_hand = picture[3:6, 3:6].transpose(2, 0, 1).ravel()  # second row, second column
    assert np.allclose(features[3], by_hand, atol=1e-4)  # float32 of 255 levels


@pytest.mark.parametrize("images", [torch.full((1, 3, 8, 8), 1.01), torch.zeros(8, 8)])
def test_patches_of_another_range_or_shape_are_refused(images):
    with pytest.raises(ValueError, match="images must be"):
        patch_features(images)
