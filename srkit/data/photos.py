"""A labelled set of photographs, decoded when asked for."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from srkit.data.images import DataError, as_rgb, check_mode, resized
from srkit.files import sha256


class Items(list):
    """The photographs of a set that is not packed: files, or uint8 (H, W, 3) arrays in memory."""

    def subset(self, numbers: Sequence[int]) -> "Items":
        """The photographs of these numbers, in this order."""
        return Items(self[number] for number in numbers)

    def identity(self) -> Iterator[str]:
        """A text for each photograph that tells it from others: of a file, "folder/name bytes"; of
        pixels, "HEIGHTxWIDTH sha256". No pixel is read from a disk for it."""
        for item in self:
            if isinstance(item, Path):
                yield f"{item.parent.name}/{item.name} {item.stat().st_size}"
            else:
                yield f"{item.shape[0]}x{item.shape[1]} {pixels_sha256(item).hex()}"

    def content(self, number: int) -> str:
        """The SHA-256 of what photograph `number` is: a file's bytes, or pixels in memory."""
        item = self[number]
        return sha256(item) if isinstance(item, Path) else pixels_sha256(item).hex()


def pixels_sha256(photo: np.ndarray) -> bytes:
    """The SHA-256 of a photograph's pixels."""
    return hashlib.sha256(np.ascontiguousarray(photo).data).digest()


@dataclass
class Photos:
    """A labelled set of photographs. `photos[i]` is photograph i as uint8 (H, W, 3).

    Files are decoded when asked for and kept in memory up to `cache_bytes` (the report filled
    64 GB of RAM with its training set). `short_side` resizes each photograph, antialiased bicubic,
    so that its shorter side has that many pixels. `items` are files or arrays, or a packed set's.
    """

    name: str
    items: Any  # Items, made of any list of files and arrays, or PackedItems
    labels: Sequence[int]
    classes: Sequence[str]
    short_side: int | None = None
    cache_bytes: int = 2 << 30
    _cache: dict[int, np.ndarray] = field(default_factory=dict, repr=False)
    _cached_bytes: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.items, list | tuple):
            self.items = Items(self.items)
        if not self.items:
            raise DataError(f"{self.name}: no photographs")

    def __len__(self) -> int:
        return len(self.items)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_cache": {}, "_cached_bytes": 0}  # loader processes fill their own

    def __getitem__(self, index: int) -> np.ndarray:
        if index in self._cache:
            return self._cache[index]
        photo = self.read(index)
        if self._cached_bytes + photo.nbytes <= self.cache_bytes:
            self._cache[index] = photo
            self._cached_bytes += photo.nbytes
        return photo

    def read(self, index: int) -> np.ndarray:
        """Photograph `index`, decoded anew where it is a file."""
        item = self.items[index]
        return read_photo(item, self.short_side) if isinstance(item, Path) else item

    def identity(self) -> Iterator[str]:
        """A text for each photograph that tells it from others (see `Items.identity`)."""
        return self.items.identity()

    def subset(self, numbers: Sequence[int]) -> "Photos":
        """The photographs of these numbers, in this order, with the same classes."""
        items, labels = self.items.subset(numbers), [self.labels[i] for i in numbers]
        return replace(self, items=items, labels=labels, _cache={}, _cached_bytes=0)

    def first(self, per_class: int | None) -> "Photos":
        """The first `per_class` photographs of each class; all of them for None."""
        if per_class is None:
            return self
        return self.subset([i for i, turn in enumerate(self.turns()) if turn < per_class])

    def turns(self) -> list[int]:
        """How many of its class come before each photograph."""
        seen = dict.fromkeys(self.labels, -1)
        turns = []
        for label in self.labels:
            seen[label] += 1
            turns.append(seen[label])
        return turns

    def evenly_spaced(self, count: int | None) -> "Photos":
        """`count` photographs evenly spaced through the set; all of them for None."""
        if count is None or count >= len(self):
            return self
        return self.subset([int(i) for i in np.linspace(0, len(self) - 1, count).round()])

    def smaller_than(self, side: int) -> list[int]:
        """The photographs with a side under `side` pixels. Only the files' headers are read."""
        if self.short_side is not None and self.short_side >= side:
            return []
        return [i for i in range(len(self)) if min(self.size(i)) < side]

    def require_size(self, side: int) -> "Photos":
        """Self, when every photograph is at least side x side. Raises DataError naming the first
        that is not."""
        small = self.smaller_than(side)
        if small:
            width, height = self.size(small[0])
            what = self.items[small[0]]
            named = what if isinstance(what, Path) else f"photograph {small[0]}"
            raise DataError(
                f"{self.name}: {len(small)} of {len(self)} photographs are smaller than the crop of"
                f" {side}x{side}, the first is {named} ({width}x{height}); use a smaller crop, skip"
                " them (--skip-small), or resize photographs (short_side)"
            )
        return self

    def without_small(self, side: int) -> "Photos":
        """The photographs of at least side x side. Raises DataError where none is left."""
        small = set(self.smaller_than(side))
        if len(small) == len(self):
            self.require_size(side)
        return self.subset([i for i in range(len(self)) if i not in small]) if small else self

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of photograph `index`, from its header or the index of a packed set."""
        if not isinstance(self.items, Items):
            return self.items.size(index)
        item = self.items[index]
        if not isinstance(item, Path):
            return item.shape[1], item.shape[0]
        with opened(item) as image:
            return resized(image.size, self.short_side)


def in_order(function: Callable[[int], Any], count: int, threads: int, ahead: int) -> Iterator[Any]:
    """function(0), function(1), ... computed in threads, only so many `ahead` of who asks."""
    waiting: deque[Any] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for number in range(count):
            waiting.append(pool.submit(function, number))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image file in PIL. Raises DataError, naming it, for whatever PIL raises about it: OSError,
    SyntaxError, ValueError, DecompressionBombError and others."""
    try:
        with Image.open(path) as image:
            check_mode(image)
            yield image
    except DataError:
        raise
    except Exception as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} is no readable image: {what}") from error


def read_photo(path: Path, short_side: int | None = None) -> np.ndarray:
    """A photograph as uint8 (H, W, 3), by `as_rgb`. Raises DataError where the file is no readable
    image or has more than 8 bits."""
    with opened(path) as file:
        image = as_rgb(file)
    if short_side is not None:
        image = image.resize(resized(image.size, short_side), Image.Resampling.BICUBIC)
    return np.array(image)
