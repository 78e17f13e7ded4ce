"""Photographs: small and unreadable ones, the cache, and what tells them apart."""

import hashlib
import pickle
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from srkit.data import DataError, Photos, photo_folder
from srkit.data.photos import in_order


def noise(count=3, height=40, width=48, labels=None) -> Photos:
    """Photographs of random pixels, in memory."""
    rng = np.random.default_rng(1)
    items = [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]
    labels = labels or list(range(count))
    return Photos("noise", items, labels, [str(n) for n in range(max(labels) + 1)])


def names(photos: Photos) -> list[str]:
    return [item.name for item in photos.items]


@pytest.mark.parametrize(("size", "resized"), [((30, 20), (24, 16)), ((20, 45), (16, 36))])
def test_short_side_resizes_the_shorter_side_to_it(make_folder, size, resized):
    root = make_folder({"a.png": size})
    photos = photo_folder(root, short_side=16)
    assert photos.size(0) == resized
    assert photos[0].shape == (resized[1], resized[0], 3)
    by_pil = Image.open(root / "a.png").resize(resized, Image.Resampling.BICUBIC)
    assert np.array_equal(photos[0], np.asarray(by_pil))


def test_spread_takes_evenly_from_first_to_last():
    photos = noise(9, 8, 8)
    assert photos.evenly_spaced(3).labels == [0, 4, 8]
    assert photos.evenly_spaced(None) is photos and photos.evenly_spaced(99) is photos
    assert np.array_equal(photos.evenly_spaced(3)[1], photos[4])


def test_a_photograph_too_large_to_be_meant_is_unreadable(make_folder, monkeypatch):
    root = make_folder({"bomb.png": (40, 40)})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # refused from twice as many
    photos = photo_folder(root)
    for read in (photos.read, photos.size):
        with pytest.raises(DataError, match=r"bomb\.png is no readable image: .*exceeds limit"):
            read(0)


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


def test_photographs_stay_in_order_and_few_are_waiting():
    running, most, lock = [0], [0], threading.Lock()

    def work(number):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        return number

    done = []
    for number in in_order(work, 200, threads=3, ahead=12):
        done.append(number)
        with lock:
            running[0] -= 1
    assert done == list(range(200)) and most[0] <= 4 * 3 + 1


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
