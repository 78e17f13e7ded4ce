"""A labelled set of photographs, decoded when asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from srkit.data.images import DataError, as_rgb, resized
from srkit.data.packed import choose, identity

UNREADABLE = (OSError, Image.DecompressionBombError)  # what PIL raises for a file


@dataclass
class Photos:
    """A labelled set of photographs. `photos[i]` is photograph i as uint8 (H, W, 3).

    Files are decoded when asked for and kept in memory up to `cache_bytes` (the report filled
    64 GB of RAM with its training set). `short_side` resizes each photograph, antialiased bicubic,
    so that its shorter side has that many pixels.
    """

    name: str
    items: Sequence[Path | np.ndarray]
    labels: Sequence[int]
    classes: Sequence[str]
    short_side: int | None = None
    cache_bytes: int = 2 << 30
    _cache: dict[int, np.ndarray] = field(default_factory=dict, repr=False)
    _cached_bytes: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
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
        """A text for each photograph that tells it from others (see `packed.identity`)."""
        return identity(self.items)

    def subset(self, numbers: Sequence[int]) -> "Photos":
        """The photographs of these numbers, in this order, with the same classes."""
        items, labels = choose(self.items, numbers), [self.labels[i] for i in numbers]
        return replace(self, items=items, labels=labels, _cache={}, _cached_bytes=0)

    def first(self, per_class: int | None) -> "Photos":
        """The first `per_class` photographs of each class; all of them for None."""
        if per_class is None:
            return self
        kept, seen = [], dict.fromkeys(self.labels, 0)
        for number, label in enumerate(self.labels):
            seen[label] += 1
            if seen[label] <= per_class:
                kept.append(number)
        return self.subset(kept)

    def spread(self, count: int | None) -> "Photos":
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
        """Width and height of photograph `index`, from its header where it is a file."""
        item = self.items[index]
        if not isinstance(item, Path):
            return item.shape[1], item.shape[0]
        try:
            with Image.open(item) as image:
                return resized(image.size, self.short_side)
        except UNREADABLE as error:
            raise DataError(f"{item} is no readable image: {error}") from error


def read_photo(path: Path, short_side: int | None = None) -> np.ndarray:
    """A photograph as uint8 (H, W, 3), by `as_rgb`. Raises DataError where the file is no readable
    image or has more than 8 bits."""
    try:
        with Image.open(path) as opened:
            image = as_rgb(opened)
    except UNREADABLE as error:
        raise DataError(f"{path} is no readable image: {error}") from error
    if short_side is not None:
        image = image.resize(resized(image.size, short_side), Image.Resampling.BICUBIC)
    return np.array(image)
