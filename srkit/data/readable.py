"""Folders as people have them: photographs that cannot be read are left out, and said so."""

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from srkit.data.images import DataError
from srkit.data.photos import Items, Photos, in_order, opened, read_photo

LISTED = 10  # photographs that are left out, by name; more are counted
SMALLEST = 4  # pixels of a side, of which a 4x network's input is one
ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89PNG": b"IEND"}  # beginning -> what the end must have


def readable(photos: Photos, strict: bool = False) -> Photos:
    """The photographs without those that cannot be read, which are listed with the reason. Of
    files, headers are read and their ends looked at, not each pixel.

    Raises DataError where none is left, or at the first bad one when it is `strict`.
    """
    if not isinstance(photos.items, Items):
        return photos
    threads = min(8, os.cpu_count() or 1)
    bad = {}
    for number, why in enumerate(in_order(partial(fault, photos), len(photos), threads, 64)):
        if why and strict:
            raise DataError(f"{photos.items[number]}: {why}; mend or remove it (--strict)")
        if why:
            bad[number] = why
    told = [f"{photos.items[number]}: {why}" for number, why in bad.items()]
    if len(bad) == len(photos):
        raise DataError(f"{photos.name}: none of {len(photos)} photographs is readable: {told[0]}")
    if bad:
        tell_left_out(f"{len(bad)} of {len(photos)} photographs of {photos.name}", told)
    return photos.subset([i for i in range(len(photos)) if i not in bad]) if bad else photos


def fault(photos: Photos, index: int) -> str:
    """What is wrong with photograph `index`, "" where nothing is, without decoding it."""
    item = photos.items[index]
    if not isinstance(item, Path):
        return ""
    try:
        with opened(item) as image:
            width, height = image.size
        if min(width, height) < SMALLEST:
            return f"{width}x{height} pixels are too few"
        if looks_cut_off(item):
            read_photo(item)  # to be sure
    except DataError as error:
        return str(error).removeprefix(f"{item} is ").removeprefix(f"{item} has ")
    return ""


def looks_cut_off(path: Path) -> bool:
    """Whether a JPEG or PNG lacks its end mark, or a file of another kind is to be decoded to
    know. Raises DataError where it cannot be read at all."""
    try:
        with path.open("rb") as file:
            first = file.read(4)
            mark = next((end for start, end in ENDS.items() if first.startswith(start)), None)
            file.seek(max(0, path.stat().st_size - 1024))
            return mark is None or mark not in file.read()
    except OSError as error:
        raise DataError(f"{path} is no readable image: {error}") from error


_told: set[str] = set()  # what this process has said already


def tell_left_out(what: str, told: Sequence[str]) -> None:
    """Say on stderr what was left out and why, once in a process."""
    more = [f"... and {len(told) - LISTED} more"] if len(told) > LISTED else []
    text = "\n  ".join([f"left out {what}:", *told[:LISTED], *more])
    if text not in _told:
        _told.add(text)
        print(text.encode(errors="replace").decode(), file=sys.stderr)
