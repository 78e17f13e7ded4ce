"""One way to write a file: aside, then renamed over the old one."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """Write a file that is there whole or not at all: `with replacing(path) as file: ...`.

    The bytes go to a file of its own name beside `path`, reach the disk, and are renamed over
    `path` in one instant. Whatever fails or interrupts before leaves the old file as it was, and
    nothing beside it. Folders that are missing are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)  # it is still there only where something failed


def write_text(path: str | Path, text: str) -> None:
    """Write a text as UTF-8 with plain line ends, by `replacing`."""
    with replacing(path) as file:
        file.write(text.encode())


def sha256(path: str | Path) -> str:
    """The hex SHA-256 of a file."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
