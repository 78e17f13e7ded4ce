"""One way to write a file: aside, then renamed over the old one."""

import hashlib
import os
from pathlib import Path


def write_aside(path: Path, text: str) -> None:
    """Replace a text file by another in one instant."""
    aside = path.with_name(path.name + ".part")
    with aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def sha256(path: str | Path) -> str:
    """The hex SHA-256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
