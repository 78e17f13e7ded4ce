"""Packed sets: what went in comes out, damaged ones are refused, pickles are small."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from srkit.cli import main
from srkit.data import DataError, Pairs, Photos, check_apart, open_photos, packed, photo_folder
from srkit.data.packed import INDEX, PIXELS, PackedItems, is_packed, pack
from srkit.files import LockedError

FILES = {"cat/a.png": (9, 8), "cat/b.png": (7, 12), "dog/c.png": (20, 10), "dog/d.png": (8, 8)}


@pytest.fixture
def folder(make_folder):
    return make_folder(FILES)


@pytest.fixture
def photos(folder) -> Photos:
    return photo_folder(folder)


@pytest.fixture
def train(photos, tmp_path):
    """The folder of a packed train split in a packed set."""
    return pack(photos, tmp_path / "packed" / "train")


def open_train(train, **options) -> Photos:
    return open_photos(f"packed:{train.parent}", "train", **options)


def same_pixels(a, b) -> bool:
    return len(a) == len(b) and all(np.array_equal(a[i], b[i]) for i in range(len(a)))


def rewrite_index(folder, **changes):
    with np.load(folder / INDEX) as file:
        index = dict(file) | changes
    np.savez(folder / INDEX, **{name: value for name, value in index.items() if value is not None})


# --- There and back ------------------------------------------------------------------------------


def test_what_is_packed_comes_back(photos, train):
    again = open_train(train)
    assert same_pixels(again, photos)
    assert (again.name, again.labels, again.classes) == ("photos", [0, 0, 1, 1], ["cat", "dog"])
    assert again.short_side is None and [again.size(i) for i in range(4)] == [*FILES.values()]
    assert {f.name for f in train.iterdir()} == {PIXELS, INDEX}
    assert [f.name for f in train.parent.iterdir()] == ["train"]


def test_photographs_are_views_of_the_file_that_cannot_be_written(train):
    photos = open_train(train)
    photo = photos[1]
    assert photo.dtype == np.uint8 and not photo.flags.owndata and not photo.flags.writeable
    assert photos.cache_bytes == 0 and not photos._cache
    with pytest.raises(ValueError, match="read-only"):
        photo[0] = 0


def test_items_are_a_sequence(photos, train):
    items = open_train(train).items
    assert len(items) == 4 and len(list(items)) == 4
    assert np.array_equal(items[-1], photos[3])
    with pytest.raises(IndexError):
        items[4]


def test_short_side_is_packed_in(folder, tmp_path):
    photos = photo_folder(folder, short_side=16)
    train = pack(photos, tmp_path / "packed" / "train")
    for asked in (None, 16):
        again = open_train(train, short_side=asked)
        assert again.short_side == 16 and same_pixels(again, photos)
    with pytest.raises(DataError, match=r"short side of 16, not 24; pack .* --short-side 24"):
        open_train(train, short_side=24)
    with pytest.raises(DataError, match="short side of None, not 24"):
        open_train(pack(photo_folder(folder), tmp_path / "own" / "train"), short_side=24)


def test_per_class_and_subsets_are_lazy_too(photos, train):
    again = open_train(train, per_class=1)
    assert isinstance(again.items, PackedItems) and again.labels == [0, 1]
    assert same_pixels(again, photos.subset([0, 2]))
    twice = open_train(train).subset([3, 1, 2]).subset([2, 0])
    assert isinstance(twice.items, PackedItems) and same_pixels(twice, photos.subset([2, 3]))
    large = open_train(train).without_small(9)
    assert isinstance(large.items, PackedItems) and same_pixels(large, photos.subset([2]))


def test_crops_are_those_of_the_folder(photos, train):
    sets = photos.subset([0, 2]), open_train(train, per_class=1)
    by_file, by_pack = (Pairs(some, 2, 8, 12, seed=2) for some in sets)
    for (hr, label), (packed_hr, packed_label) in zip(by_file, by_pack, strict=True):
        assert torch.equal(hr, packed_hr) and label == packed_label


def test_splits_lie_side_by_side(folder, tmp_path):
    with pytest.raises(DataError, match=r"no packed photographs in .*train"):
        open_photos(f"packed:{tmp_path}", "train")
    for split, number in (("train", 1), ("val", 2)):
        pack(photo_folder(folder).subset([number]), tmp_path / split)
        assert open_photos(f"packed:{tmp_path}", split).labels == [number // 2]
    assert open_photos(f"packed:{tmp_path}", "all").labels == [1], "as torchvision's: val"
    with pytest.raises(ValueError, match="accepted: train, val, all"):
        open_photos(f"packed:{tmp_path}", "test")


def test_identity_is_that_of_the_pixels(photos, train):
    in_memory = Photos("memory", [photos[i] for i in range(4)], [0, 0, 1, 1], ["a", "b"])
    again = open_train(train)
    assert list(again.identity()) == list(in_memory.identity())
    assert list(again.subset([2, 0]).identity()) == list(in_memory.subset([2, 0]).identity())


# --- Processes -----------------------------------------------------------------------------------


def test_a_pickle_holds_the_path_and_no_pixels(tmp_path, rng):
    pixels = rng.integers(0, 256, (64, 200, 200, 3), dtype=np.uint8)
    train = pack(Photos("noise", list(pixels), [0] * 64, ["x"]), tmp_path / "packed" / "train")
    photos = open_train(train)
    photos[5]
    for some in (photos, photos.subset(range(0, 64, 2))):
        pickled = pickle.dumps(some)
        assert len(pickled) < 2_000
        again = pickle.loads(pickled)
        assert same_pixels(again, some) and not again[0].flags.owndata


def test_the_file_is_opened_at_first_use(train):
    items = PackedItems(train)
    assert not items._about and items._pixels.size == 0
    items[0]
    assert items._about and items._pixels.size == (train / PIXELS).stat().st_size


def test_the_path_is_absolute(train, monkeypatch):
    monkeypatch.chdir(train.parent)
    items = PackedItems("train")
    monkeypatch.chdir("/")
    assert len(items) == 4


# --- Damaged sets --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, -1, 1])
def test_a_file_of_another_size_is_named(train, size):
    pixels = (train / PIXELS).read_bytes()
    (train / PIXELS).write_bytes(pixels + b"x" if size > 0 else pixels[:size])
    found = len(pixels) + size if size else 0
    complaint = rf"photos\.bin has {found} bytes and not the {len(pixels)} .* remove that folder"
    with pytest.raises(DataError, match=complaint):
        open_train(train)


def test_missing_halves_are_named(train):
    (train / PIXELS).rename(train / "moved")
    with pytest.raises(DataError, match=r"photos\.bin has 0 bytes"):
        open_train(train)
    (train / INDEX).unlink()
    with pytest.raises(DataError, match=r"no packed photographs in .*`python -m srkit pack`"):
        open_train(train)


def test_another_format_is_refused(train):
    rewrite_index(train, version=1, heights=None)
    with pytest.raises(DataError, match=r"index\.npz is of format 1, this srkit reads 2; remove"):
        open_train(train)


@pytest.mark.parametrize("how", ["cut", "text", "empty", "no widths"])
def test_a_damaged_index_is_named(train, how):
    index = train / INDEX
    if how == "no widths":
        rewrite_index(train, widths=None)
    else:
        index.write_bytes({"cut": index.read_bytes()[:-40], "text": b"text", "empty": b""}[how])
    with pytest.raises(DataError, match=r"index\.npz is damaged .*remove that folder"):
        open_train(train)


# --- Packing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"offsets": np.array([0, 9, 30, 900])},
        {"offsets": np.array([-9, 216, 468, 1068])},
        {"labels": np.array([0, 0, 1, 7])},
        {"labels": np.array([0.0, 0, 1, 1])},
        {"labels": np.array([0, 1])},
        {"heights": np.array([8, 12, 10, -8])},
        {"sha256": np.zeros((4, 31), np.uint8)},
        {"sha256": np.zeros((3, 32), np.uint8)},
        {"contents": np.zeros(4)},
        {"classes": np.array([1, 2])},
        {"name": np.array(["a", "b"])},
        {"short_side": np.array("x")},
        {"version": np.array("x")},
        {"labels": np.array([{}, 0, 1, 1], object)},
    ],
)
def test_an_edited_index_is_named(train, change):
    rewrite_index(train, **change)
    with pytest.raises(DataError, match=r"index\.npz is damaged .*; remove that folder and pack"):
        open_train(train)


def test_a_flipped_byte_of_the_pixels_is_found_at_first_use(train, monkeypatch):
    pixels = bytearray((train / PIXELS).read_bytes())
    pixels[300] ^= 1  # of the second photograph
    (train / PIXELS).write_bytes(pixels)
    photos = open_train(train)
    for number in (0, 2, 3, 0):
        photos[number]
    with pytest.raises(
        DataError, match=r"photos\.bin is damaged: photograph 1 is not what was pac"
    ):
        photos[1]
    monkeypatch.setattr(packed, "pixels_sha256", lambda photo: 1 / 0)
    photos[0]  # once in a process is enough
    fresh = open_train(train)  # sizes and contents are the index's: no pixel is read for them
    assert fresh.without_small(9).size(0) == (20, 10)
    check_apart(fresh, Photos("other", [np.zeros((4, 4, 3), np.uint8)], [0], ["a"]))


def test_a_disk_that_is_too_small_is_refused_before_the_work(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(packed.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DataError, match=r"needs 1,260 bytes, and 1,000 are free: choose another"):
        pack(photos, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_two_packs_into_one_folder_are_refused(photos, tmp_path):
    class Again(Photos):
        def read(self, index):
            with pytest.raises(LockedError, match="is being written by another process"):
                pack(photos, tmp_path / "packed")
            return super().read(index)

    first = Again(photos.name, photos.items, photos.labels, photos.classes)
    again = open_folder(pack(first, tmp_path / "packed"))
    assert same_pixels(again.items, photos)
    assert [f.name for f in tmp_path.iterdir() if f.name != "photos"] == ["packed"]


def open_folder(folder) -> Photos:
    items = PackedItems(folder)
    return Photos("packed", items, [0] * len(items), ["a"])


def test_a_finished_pack_is_left_as_it_is(photos, train):
    before = (train / PIXELS).stat().st_mtime_ns
    assert is_packed(photos, train) and not is_packed(photos, train.parent / "val")
    assert pack(photos, train) == train
    assert (train / PIXELS).stat().st_mtime_ns == before


def test_another_set_is_never_overwritten(photos, train, folder, tmp_path):
    for other in (photos.subset([0]), photo_folder(folder, short_side=16)):
        with pytest.raises(DataError, match=r"holds another set \(photos, 4 photographs, .*None\)"):
            pack(other, train)
    assert same_pixels(open_train(train), photos)
    with pytest.raises(DataError, match="is there already, and is no packed set"):
        pack(photos, folder)
    assert photo_folder(folder)[0] is not None
    (train / PIXELS).write_bytes(b"")
    with pytest.raises(DataError, match="remove that folder and pack again"):
        pack(photos, train)


def test_an_unreadable_photograph_leaves_nothing_behind(folder, tmp_path):
    good = (folder / "dog" / "d.png").read_bytes()
    (folder / "dog" / "d.png").write_bytes(good[:60])
    with pytest.raises(DataError, match=r"d\.png is no readable image"):
        pack(photo_folder(folder), tmp_path / "packed" / "train")
    assert list((tmp_path / "packed").iterdir()) == []
    (folder / "dog" / "d.png").write_bytes(good)
    assert len(open_train(pack(photo_folder(folder), tmp_path / "packed" / "train"))) == 4


@pytest.mark.parametrize("call", ["savez", "replace"])
def test_an_interrupted_pack_does_not_look_finished(photos, tmp_path, monkeypatch, call):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(np if call == "savez" else packed.os, call, interrupt)
        pack(photos, tmp_path / "train")
    assert not (tmp_path / "train").exists() and not (tmp_path / "train.part").exists()
    (tmp_path / "train.part").mkdir()  # as a power cut leaves it
    (tmp_path / "train.part" / PIXELS).write_bytes(b"x" * 9_000)
    assert not is_packed(photos, tmp_path / "train")
    assert same_pixels(PackedItems(pack(photos, tmp_path / "train")), photos)


def test_a_place_that_cannot_be_written_is_named(photos, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match=r"cannot write .*file"):
        pack(photos, tmp_path / "file" / "train")


def test_packing_keeps_no_photograph_in_memory(photos, tmp_path):
    pack(photos, tmp_path / "train")
    assert not photos._cache


# --- The command ---------------------------------------------------------------------------------


@pytest.fixture
def command(make_folder, tmp_path):
    files = {f"{part}/cat/{n}.png": (40, 36) for part in ("train", "val") for n in range(3)}
    source = make_folder(files, "source")
    return ["pack", "--data", str(source), "--out", str(tmp_path / "out")]


def test_the_command_packs_both_splits_once(command, tmp_path, capsys):
    options = ["--short-side", "32", "--per-class", "2"]
    assert main([*command, *options]) == 0
    printed = capsys.readouterr().out
    assert f"{tmp_path / 'out' / 'train'}: 2 photographs, {2 * 36 * 32 * 3:,} bytes" in printed
    assert f"{tmp_path / 'out' / 'val'}: 3 photographs, {3 * 40 * 36 * 3:,} bytes" in printed
    assert printed.endswith(f"--data packed:{tmp_path / 'out'}\n") and "already" not in printed
    assert open_photos(f"packed:{tmp_path / 'out'}", "val")[0].shape == (36, 40, 3)
    assert main([*command, *options]) == 0
    assert capsys.readouterr().out.count("packed already") == 2


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--short-side", "16"], "holds another set"),
        (["--split", "val", "--per-class", "1"], "are for the train split"),
        (["--data", "nowhere"], "no photo folder at nowhere"),
    ],
)
def test_bad_input_ends_in_one_line(command, capsys, options, complaint):
    assert main(command) == 0
    capsys.readouterr()
    assert main([*command, *options]) == 2
    printed = capsys.readouterr().err
    assert complaint in printed and printed.startswith("srkit: ") and printed.count("\n") == 1
