"""Photographs decoded once into one file that is memory-mapped: training then waits for no JPEG.

A packed set is a folder with `photos.bin`, the photographs as uint8 (H, W, 3) one after the other,
and `index.npz`, which says where each begins, its size, label and SHA-256 (of its pixels, and of
the file that it came from), and what was packed.
"""

import hashlib
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from srkit.data.images import DataError
from srkit.data.photos import Photos, in_order, pixels_sha256
from srkit.files import LockedError, lock

VERSION = 2  # of the format
PIXELS, INDEX = "photos.bin", "index.npz"
AGAIN = "remove that folder and pack again"


# --- Reading -------------------------------------------------------------------------------------


class PackedItems(Sequence):
    """The photographs of a packed set, each a read-only uint8 (H, W, 3) view of the file.

    The file is opened at first use, once in each process; a pickle holds its path, not its pixels.
    `numbers` chooses some of the photographs; None is all of them.
    Raises DataError at first use where the set is absent, damaged or of another format, and at a
    photograph's first use in a process where its pixels are not those that were packed.
    """

    def __init__(self, folder: str | Path, numbers: np.ndarray | None = None):
        self.folder, self.numbers = Path(folder).resolve(), numbers
        self._about: dict[str, np.ndarray] = {}
        self._checked: set[int] = set()  # places whose pixels were found to be those packed
        self._pixels = np.empty(0, np.uint8)

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "numbers": self.numbers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @property
    def about(self) -> dict[str, np.ndarray]:
        """What `index.npz` holds of the whole set."""
        if not self._about:
            about = read_index(self.folder)
            self._pixels = np.memmap(self.folder / PIXELS, np.uint8, "r").view(np.ndarray)
            self._about = about  # last: another thread may be asking
        return self._about

    def __len__(self) -> int:
        return len(self.about["offsets"] if self.numbers is None else self.numbers)

    def __getitem__(self, number: Any) -> Any:
        about = self.about
        place = int(self.places()[number])
        start, height, width = (int(about[key][place]) for key in ("offsets", "heights", "widths"))
        photo = self._pixels[start : start + height * width * 3].reshape(height, width, 3)
        if place not in self._checked:
            if pixels_sha256(photo) != about["sha256"][place].tobytes():
                raise DataError(
                    f"{self.folder / PIXELS} is damaged: photograph {place} is not what was packed;"
                    f" {AGAIN}"
                )
            self._checked.add(place)
        return photo

    def size(self, number: int) -> tuple[int, int]:
        """Width and height of photograph `number`, from the index alone."""
        place = self.places()[number]
        return int(self.about["widths"][place]), int(self.about["heights"][place])

    def places(self) -> Sequence[int] | np.ndarray:
        """Where in the whole set the photographs are."""
        return range(len(self)) if self.numbers is None else self.numbers

    def subset(self, numbers: Sequence[int]) -> "PackedItems":
        """The photographs of these numbers, in this order; their pixels stay where they are."""
        chosen = np.asarray(numbers, np.int64)
        return PackedItems(self.folder, chosen if self.numbers is None else self.numbers[chosen])

    def identity(self) -> Iterator[str]:
        """A text for each photograph that tells it from others, "HEIGHTxWIDTH sha256", from the
        index alone."""
        about = self.about
        for place in self.places():
            size = f"{about['heights'][place]}x{about['widths'][place]}"
            yield f"{size} {about['sha256'][place].tobytes().hex()}"

    def content(self, number: int) -> str:
        """The SHA-256 of what photograph `number` was packed from."""
        return self.about["contents"][self.places()[number]].tobytes().hex()


def read_index(folder: Path) -> dict[str, np.ndarray]:
    """What `index.npz` holds, checked against the size of `photos.bin`.

    Raises DataError where either is absent or damaged, or the format is of another version.
    """
    path, pixels = folder / INDEX, folder / PIXELS
    if not path.is_file():
        raise DataError(f"no packed photographs in {folder}; make them with `python -m srkit pack`")
    try:
        with np.load(path) as file:
            index = dict(file)
        version = int(index["version"])
        if version == VERSION:
            check_index(index)
    except Exception as error:  # of zip, zlib, NumPy or ours: the file is damaged or another
        raise DataError(f"{path} is damaged ({error}); {AGAIN}") from error
    if version != VERSION:
        raise DataError(f"{path} is of format {version}, this srkit reads {VERSION}; {AGAIN}")
    there, expected = pixels.stat().st_size if pixels.is_file() else 0, int(sum(sizes_of(index)))
    if there != expected:
        raise DataError(f"{pixels} has {there} bytes and not the {expected} of its index; {AGAIN}")
    return index


def sizes_of(index: dict[str, np.ndarray]) -> np.ndarray:
    """How many bytes each photograph has."""
    return index["heights"].astype(np.int64) * index["widths"] * 3


def check_index(index: dict[str, np.ndarray]) -> None:
    """Raise ValueError or KeyError where the parts of an index do not fit each other."""
    count = index["labels"].size
    for name in ("labels", "offsets", "heights", "widths"):
        if index[name].shape != (count,) or index[name].dtype.kind not in "iu":
            raise ValueError(f"{name} are not {count} whole numbers")
    for name in ("sha256", "contents"):
        if index[name].shape != (count, 32) or index[name].dtype != np.uint8:
            raise ValueError(f"{name} are not {count} SHA-256")
    for name, kind, shape in (("name", "U", ()), ("classes", "U", None), ("short_side", "iu", ())):
        if index[name].dtype.kind not in kind or shape not in (None, index[name].shape):
            raise ValueError(f"{name} is {index[name].dtype} {index[name].shape}")
    labels, sides = index["labels"], np.stack([index["heights"], index["widths"]])
    if not count or labels.min() < 0 or labels.max() >= len(index["classes"]) or sides.min() < 1:
        raise ValueError("it has no photographs, or labels without a class, or sides of 0")
    if not np.array_equal(index["offsets"], np.cumsum(sizes_of(index)) - sizes_of(index)):
        raise ValueError("the photographs do not lie one after the other")


# --- Writing -------------------------------------------------------------------------------------


def fingerprint(photos: Photos) -> str:
    """A hash of which photographs these are, at which size and with which labels."""
    parts = [photos.name, photos.short_side, *photos.classes, *photos.labels, *photos.identity()]
    text = "\n".join(map(str, parts))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def is_packed(photos: Photos, folder: str | Path) -> bool:
    """Whether a folder holds these photographs, packed; False where there is no such folder.

    Raises DataError where it holds anything else.
    """
    folder = Path(folder)
    if not folder.exists():
        return False
    if not (folder / INDEX).is_file():
        raise DataError(f"{folder} is there already, and is no packed set; choose another folder")
    index = read_index(folder)
    if str(index["source"]) != fingerprint(photos):
        side, count = int(index["short_side"]) or None, len(index["labels"])
        raise DataError(
            f"{folder} holds another set ({index['name']}, {count} photographs, short side {side});"
            " remove it or choose another folder"
        )
    return True


def pack(photos: Photos, folder: str | Path, progress: bool = False, threads: int = 0) -> Path:
    """Decode every photograph once into a packed set; returns its folder.

    Photographs are decoded in `threads` threads (0: one a core). The set is written aside, to
    `folder`.part, and renamed when it is whole; where `folder` holds these photographs already,
    nothing is done. Raises DataError where it holds anything else, a photograph is unreadable or
    the disk is full, LockedError where another process packs into `folder`.
    """
    folder = Path(folder).absolute()
    if is_packed(photos, folder):
        return folder
    try:
        with lock(folder.with_name(f"{folder.name}.lock")):
            return folder if is_packed(photos, folder) else write(photos, folder, progress, threads)
    except LockedError:
        raise
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error}") from error


def write(photos: Photos, folder: Path, progress: bool, threads: int) -> Path:
    """Write a packed set aside, and rename it when it is whole; nothing is left where it is not."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    needed = sum(3 * math.prod(photos.size(number)) for number in range(len(photos)))
    if needed > (free := shutil.disk_usage(folder.parent).free):
        raise DataError(
            f"{folder} needs {needed:,} bytes, and {free:,} are free: choose another disk, or"
            " --short-side or --per-class for fewer"
        )
    aside = folder.with_name(folder.name + ".part")
    try:
        aside.mkdir(parents=True, exist_ok=True)
        index = write_pixels(photos, aside / PIXELS, progress, threads or os.cpu_count() or 1)
        np.savez(aside / INDEX, **index, **describe(photos))
        os.replace(aside, folder)
    except BaseException:
        with suppress(OSError):
            for name in (PIXELS, INDEX):
                (aside / name).unlink(missing_ok=True)
            aside.rmdir()
        raise
    return folder


def describe(photos: Photos) -> dict[str, Any]:
    """The part of the index that is about the set, not about each photograph's pixels."""
    return {
        "version": VERSION,
        "name": photos.name,
        "short_side": photos.short_side or 0,
        "classes": np.array(photos.classes, np.str_),
        "labels": np.array(photos.labels, np.int64),
        "source": fingerprint(photos),
    }


def write_pixels(photos: Photos, path: Path, progress: bool, threads: int) -> dict[str, Any]:
    """Write all photographs to one file; returns the index's part about their pixels."""

    def decode(number: int) -> tuple[np.ndarray, bytes, bytes]:
        photo = np.ascontiguousarray(photos.read(number))
        return photo, pixels_sha256(photo), bytes.fromhex(photos.items.content(number))

    shapes, digests, contents = [], [], []
    decoded = in_order(decode, len(photos), threads, 4 * threads)
    hidden = None if progress else True
    with path.open("wb") as file:
        for photo, digest, whole in tqdm(
            decoded, photos.name, len(photos), unit="photo", disable=hidden
        ):
            file.write(photo)
            shapes.append(photo.shape[:2])
            digests.append(digest)
            contents.append(whole)
    heights, widths = np.array(shapes, np.int64).T
    sizes = heights * widths * 3
    return {
        "offsets": np.cumsum(sizes) - sizes,
        "heights": heights.astype(np.int32),
        "widths": widths.astype(np.int32),
        "sha256": np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32),
        "contents": np.frombuffer(b"".join(contents), np.uint8).reshape(-1, 32),
    }
