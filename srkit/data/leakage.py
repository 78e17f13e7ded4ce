"""Held-out photographs stay held out: none of them may be in the training set."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from srkit.data.images import DataError
from srkit.data.photos import Photos


def check_apart(training: Photos, held_out: Photos) -> None:
    """Raise DataError where a held-out photograph is trained on, under whatever name.

    Photographs are the same where their contents' SHA-256 are: of a file's bytes, or of the pixels
    of what is held in memory. A copy that was saved anew is not found.
    """
    numbers: dict[object, list[int]] = defaultdict(list)
    files = all(isinstance(one.items, list) for one in (training, held_out))
    for number, key in enumerate(keys(held_out, files)):
        numbers[key].append(number)
    for number, key in enumerate(keys(training, files)):
        for other in numbers.get(key, ()):
            if training.items.content(number) == held_out.items.content(other):
                names = [describe(training, number), describe(held_out, other)]
                raise DataError(
                    f"{names[0]} of {training.name} is {names[1]} of {held_out.name}, which is held"
                    " out: numbers measured on photographs that were trained on mean nothing; take"
                    " it out of the training photographs, or hold out others"
                )


def keys(photos: Photos, hints: bool) -> Iterator[object]:
    """What tells photographs apart at little cost: for files their size and some bytes of their
    middle (`hints`), else their whole content."""
    for number in range(len(photos)):
        item = photos.items[number] if hints else None
        yield hint(item) if isinstance(item, Path) else photos.items.content(number)


def hint(path: Path, length: int = 64) -> tuple[int, bytes]:
    """A file's size and bytes from its middle. Two files of one content have the same."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(size // 2)
        return size, file.read(length)


def describe(photos: Photos, number: int) -> str:
    """A photograph's file as class folder and name, or its number."""
    item = photos.items[number]
    return f"{item.parent.name}/{item.name}" if isinstance(item, Path) else f"photograph {number}"
