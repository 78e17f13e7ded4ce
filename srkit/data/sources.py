"""Where photographs come from: embedded, a folder, torchvision's ImageNet, a packed set."""

import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import skimage

from srkit.data.images import DataError
from srkit.data.packed import PackedItems
from srkit.data.photos import Photos, read_photo
from srkit.data.readable import readable, tell_left_out
from srkit.files import download, lock, sha256
from srkit.files.picture_files import FORMATS

SUFFIXES = set(FORMATS)

# The colour photographs in scikit-image's wheel: subject -> files, split by photograph.
EMBEDDED: dict[str, dict[str, tuple[str, ...]]] = {
    "train": {
        "motorcycle": ("motorcycle_left.png", "motorcycle_right.png"),
        "galaxies": ("hubble_deep_field.jpg",),
        "tissue": ("ihc.png",),
        "retina": ("retina.jpg",),
    },
    "val": {
        "astronaut": ("astronaut.png",),
        "cat": ("chelsea.png",),
        "coffee": ("coffee.png",),
        "rocket": ("rocket.jpg",),
    },
}

IMAGENETTE_URL = "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2.tgz"
IMAGENETTE_SHA256 = "6cbfac238434d89fe99e651496f0812ebc7a10fa62bd42d6874042bf01de4efd"
NAMED = ("embedded", "imagenette")  # what `open_photos` knows by name alone


def embedded(split: str = "val", tile: int = 256) -> Photos:
    """scikit-image's own colour photographs, cut into tile x tile HR tiles, labelled by subject.

    The split is by photograph: no tile of "val" comes from a photograph of "train".
    """
    if split not in EMBEDDED:
        raise ValueError(f"unknown split {split!r}; accepted: {', '.join(EMBEDDED)}")
    folder = Path(skimage.__file__).parent / "data"
    tiles, labels = [], []
    for label, files in enumerate(EMBEDDED[split].values()):
        for file in files:
            photo = read_photo(folder / file)
            for top in range(0, photo.shape[0] - tile + 1, tile):
                for left in range(0, photo.shape[1] - tile + 1, tile):
                    tiles.append(photo[top : top + tile, left : left + tile].copy())
                    labels.append(label)
    return Photos(f"embedded-{split}", tiles, labels, list(EMBEDDED[split]))


def photo_folder(
    root: str | Path,
    split: str = "all",
    per_class: int | None = None,
    short_side: int | None = None,
) -> Photos:
    """Photographs in a folder, with one subfolder a class (ImageNet layout) or none at all.

    Where `root` has the subfolders `train` or `val`, `split` chooses between them. Otherwise
    "val" is every tenth photograph, in the order of their names, "train" the rest, and "all" all.
    `per_class` keeps the first n photographs of each class (the report has n = 180).
    Raises DataError where the folder or its photographs are missing.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"no photo folder at {root}")
    if split not in ("train", "val", "all"):
        raise ValueError(f"unknown split {split!r}; accepted: train, val, all")
    own_split = split != "all" and any((root / part).is_dir() for part in ("train", "val"))
    folder = root / split if own_split else root
    files = photo_files(folder)
    if not own_split and split != "all":
        files = [f for i, f in enumerate(files) if (i % 10 == 0) == (split == "val")]
    if not files:
        raise DataError(f"{root} has too few photographs for a split {split!r} of its own")
    names = [f.relative_to(folder).parts[0] if f.parent != folder else "" for f in files]
    classes, labels = np.unique(names, return_inverse=True)
    name = root.resolve().name if split == "all" else f"{root.resolve().name}-{split}"
    return Photos(name, files, labels.tolist(), classes.tolist(), short_side).first(per_class)


def photo_files(root: Path) -> list[Path]:
    """The pictures in a folder and below it, sorted, without hidden ones (macOS's `._x.jpg`, say).
    Hidden folders, GIFs, broken links and folders that cannot be read are named on stderr.
    Raises DataError where there are no pictures."""
    files, skipped = [], []

    def unreadable(error: OSError) -> None:
        skipped.append(f"{error.filename}: {error.strerror}")

    for folder, inner, names in os.walk(root, onerror=unreadable):
        hidden = [name for name in inner if name.startswith(".")]
        skipped += [f"{Path(folder, name)}: a hidden folder" for name in hidden]
        inner[:] = [name for name in inner if name not in hidden]
        for file in (Path(folder, name) for name in names if not name.startswith(".")):
            if file.suffix.lower() == ".gif":
                skipped.append(f"{file}: a GIF, of at most 256 colours")
            elif file.suffix.lower() in SUFFIXES:
                if file.is_file():
                    files.append(file)
                else:
                    skipped.append(f"{file}: a broken link, or no file")
    if skipped:
        tell_left_out(f"{len(skipped)} entries of {root}", sorted(skipped))
    if not files:
        raise DataError(f"no photographs under {root}; looked for {', '.join(sorted(SUFFIXES))}")
    return sorted(files)


def from_torchvision(
    dataset, per_class: int | None = None, short_side: int | None = None
) -> Photos:
    """Any of torchvision's datasets that lists its files (ImageNet, Imagenette, ImageFolder)."""
    samples = getattr(dataset, "samples", None) or dataset._samples
    classes = [c if isinstance(c, str) else c[0] for c in dataset.classes]
    split = getattr(dataset, "split", None) or getattr(dataset, "_split", "all")
    name = f"{type(dataset).__name__.lower()}-{split}"
    files, labels = [Path(file) for file, _ in samples], [int(label) for _, label in samples]
    return Photos(name, files, labels, classes, short_side).first(per_class)


def open_packed(
    folder: str | Path, split: str, per_class: int | None = None, short_side: int | None = None
) -> Photos:
    """What `python -m srkit pack` made, memory-mapped; the split "all" is "val", as torchvision's.

    A `short_side` of None takes the photographs as they were packed.
    Raises DataError where there are none, or they were packed with another short side.
    """
    if split not in ("train", "val", "all"):
        raise ValueError(f"unknown split {split!r}; accepted: train, val, all")
    items = PackedItems(Path(folder) / ("train" if split == "train" else "val"))
    side = int(items.about["short_side"]) or None
    if short_side not in (None, side):
        raise DataError(
            f"{items.folder} was packed with a short side of {side}, not {short_side};"
            f" pack again, into another folder, with --short-side {short_side}"
        )
    name, labels, classes = (items.about[key].tolist() for key in ("name", "labels", "classes"))
    return Photos(name, items, labels, classes, side, cache_bytes=0).first(per_class)


def torchvision_set(kind: str, folder: Path, split: str) -> Any:
    """torchvision's ImageNet or Imagenette in a folder; the latter is downloaded into one that is
    absent or empty. Raises DataError where it is not there, or the download fails or stalls."""
    import torchvision

    part = "train" if split == "train" else "val"
    try:
        if kind == "imagenet":
            return torchvision.datasets.ImageNet(folder, part)
        there = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
        if all(name.startswith("imagenette2.") for name in there):  # nothing, or what was begun
            fetch_imagenette(folder)
        return torchvision.datasets.Imagenette(folder, part)
    except (RuntimeError, OSError) as error:
        what = " ".join(str(error).split()).partition(" You can use download=True")[0]
        how = "to have it downloaded name a folder that is empty or absent"
        how = how if kind == "imagenette" else "put the official archives there"
        raise DataError(f"no {kind} in {folder}: {what}; {how}") from error


def fetch_imagenette(folder: Path) -> None:
    """Imagenette's archive, downloaded or gone on with, unpacked aside and renamed. Raises OSError
    where that fails, LockedError where another process does the same."""
    archive, aside = folder / "imagenette2.tgz", folder / "imagenette2.part"
    with lock(folder / "imagenette2.lock"):
        if archive.is_file() and sha256(archive) != IMAGENETTE_SHA256:  # broken off elsewhere
            archive.rename(f"{archive}.part")
        if not archive.is_file():
            download(IMAGENETTE_URL, archive, IMAGENETTE_SHA256)
        shutil.rmtree(aside, ignore_errors=True)
        with tarfile.open(archive) as file:
            file.extractall(aside, filter="data")
        (aside / "imagenette2").rename(folder / "imagenette2")
        aside.rmdir()


def open_photos(
    data: str = "embedded",
    split: str = "val",
    per_class: int | None = None,
    short_side: int | None = None,
    strict: bool = False,
) -> Photos:
    """Photographs by the name that commands and notebooks take.

    "embedded"; "imagenette" or "imagenette:FOLDER" (torchvision downloads it into the folder,
    1.6 GB, where it is absent); "imagenet:FOLDER" (torchvision's ImageNet over the official
    archives); "packed:FOLDER" (`open_packed`); or any folder of photographs. Those that cannot be
    read are left out and listed (`readable`).
    Raises DataError where there is nothing to open, or at the first bad one when it is `strict`.
    """
    kind, _, folder = str(data).partition(":")
    if kind == "packed" and folder:
        return open_packed(folder, split, per_class, short_side)
    if kind == "embedded":
        return embedded("val" if split == "all" else split)
    if kind == "imagenette" or (kind == "imagenet" and folder):
        dataset = torchvision_set(kind, Path(folder or kind), split)
        return readable(from_torchvision(dataset, per_class, short_side), strict)
    return readable(photo_folder(data, split, per_class, short_side), strict)
