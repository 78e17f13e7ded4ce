"""Where photographs come from: embedded, in folders, of torchvision, downloaded."""

import tarfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import skimage
from PIL import Image

from srkit import data
from srkit.data import (
    DataError,
    Photos,
    embedded,
    open_photos,
    photo_files,
    photo_folder,
    read_photo,
)
from srkit.files import sha256

# --- Embedded ------------------------------------------------------------------------------------


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


def test_an_unknown_split_is_refused(make_folder):
    with pytest.raises(ValueError, match="train, val, all"):
        photo_folder(make_folder({"a.png": (9, 8)}), "test")


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


@pytest.fixture
def picture(rng):
    return Image.fromarray(rng.integers(0, 256, (24, 20, 3), dtype=np.uint8))


@pytest.fixture
def imagenette(tmp_path, picture, monkeypatch):
    """An archive like Imagenette's, and where it would be downloaded to from a list of parts."""
    pictures = tmp_path / "imagenette2" / "val" / "n01440764"
    pictures.mkdir(parents=True)
    picture.save(pictures / "a.JPEG")
    archive = tmp_path / "whole.tgz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(tmp_path / "imagenette2", "imagenette2")
    begun = []

    def fetch(url, part):
        begun.append(part.stat().st_size if part.is_file() else 0)
        if len(begun) == 1:
            part.write_bytes(archive.read_bytes()[:100])
            raise OSError("timed out")
        part.write_bytes(archive.read_bytes())

    monkeypatch.setattr("srkit.files.downloads.fetch", fetch)
    monkeypatch.setattr("srkit.data.sources.IMAGENETTE_SHA256", sha256(archive))
    return begun


def test_imagenette_goes_on_with_a_download_that_broke_off(tmp_path, imagenette):
    folder = tmp_path / "set"
    with pytest.raises(DataError, match=r"timed out.*; to have it downloaded name a folder"):
        open_photos(f"imagenette:{folder}", "val")
    (folder / "imagenette2.part").mkdir()  # as unpacking leaves it that is killed
    assert len(open_photos(f"imagenette:{folder}", "val")) == 1
    assert imagenette == [0, 100]
    assert sorted(f.name for f in folder.iterdir()) == ["imagenette2", "imagenette2.tgz"]
    open_photos(f"imagenette:{folder}", "val")
    assert len(imagenette) == 2


def test_imagenette_takes_over_what_torchvision_began_and_leaves_other_folders_alone(
    tmp_path, imagenette
):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "imagenette2.tgz").write_bytes(b"begun")
    with pytest.raises(DataError, match="timed out"):
        open_photos(f"imagenette:{folder}", "val")
    assert imagenette == [5]
    with pytest.raises(DataError, match=r"not found\.; to have it downloaded name a folder"):
        open_photos(f"imagenette:{tmp_path / 'imagenette2'}", "val")
    assert imagenette == [5]


def test_a_folder_of_very_many_entries_is_listed_in_seconds(tmp_path, monkeypatch, capsys):
    names = [f"{n}.{'jpg' if n % 2 else 'gif'}" for n in range(200_000)]
    monkeypatch.setattr("os.walk", lambda *_, **__: [(str(tmp_path), [], names)])
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    began = time.monotonic()
    assert len(photo_files(tmp_path)) == 100_000
    assert time.monotonic() - began < 30
    assert capsys.readouterr().err.count("\n") < 20
