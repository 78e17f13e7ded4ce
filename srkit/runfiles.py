"""Files that a killed run leaves whole: checkpoints with their hash in the name, and the log.

A checkpoint is written aside and renamed, and carries the first digits of its SHA-256 in its name,
as torch's downloads do. The last two are kept. A damaged newest one falls back to the one before.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import torch

from srkit.weights import WeightsError, load_state, sha256

KEPT = 2

NAME = re.compile(r"checkpoint-(\d{7,})-([0-9a-f]{16})\.pt")


class TrainingError(RuntimeError):
    """A run that cannot start, resume or go on; the message says why and what to do."""


def write_aside(path: Path, text: str) -> None:
    """Replace a text file by another in one instant."""
    aside = path.with_name(path.name + ".part")
    with aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def save(folder: Path, step: int, content: dict[str, Any]) -> Path:
    """Write checkpoint-STEP-HASH.pt, then delete all but the last two."""
    aside = folder / "checkpoint.part"
    with aside.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    path = folder / f"checkpoint-{step:07d}-{sha256(aside)[:16]}.pt"
    os.replace(aside, path)
    for old in found(folder)[KEPT:]:
        old.unlink()
    return path


def found(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    files = [file for file in folder.glob("checkpoint-*.pt") if NAME.fullmatch(file.name)]
    return sorted(files, key=step_of, reverse=True)


def step_of(path: Path) -> int:
    """The updates done at a checkpoint, by its name."""
    match = NAME.fullmatch(path.name)
    assert match is not None
    return int(match.group(1))


def load(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint that is whole, or None where there is none at all. Damaged ones are
    named aloud; `cut_back` deletes them, since the run will write them anew.

    Raises TrainingError where there are only damaged ones.
    """
    files = found(folder)
    damaged = []
    for path in files:
        try:
            if sha256(path)[:16] != path.stem.rpartition("-")[2]:
                raise WeightsError("its content does not fit the hash in its name")
            content = load_state(path)
        except WeightsError as error:
            print(f"{path.name} is damaged ({error})")
            damaged.append(path)
            continue
        if damaged:
            print(f"going on from {path.name}, the one before")
        return content
    if files:
        raise TrainingError(
            f"every checkpoint in {folder} is damaged ({', '.join(f.name for f in files)}); delete"
            " them to begin anew, or restore them from a copy"
        )
    return None


def differences(now: dict[str, Any], then: dict[str, Any]) -> str:
    """The settings in which two runs differ, such as "batch 16 (now) and 8 (then)"."""
    different = [
        f"{name} {now.get(name)} (now) and {then.get(name)} (then)"
        for name in sorted({*now, *then})
        if json.dumps(now.get(name)) != json.dumps(then.get(name))
    ]
    return ", ".join(different)


# --- What is written beside them -----------------------------------------------------------------


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a .jsonl file; a last line that was cut off is left out.

    Raises TrainingError naming the line where another one is damaged.
    """
    lines = path.read_bytes().split(b"\n") if path.is_file() else [b""]
    rows = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            row = json.loads(line)
            rows.append(row | {"step": int(row["step"])})
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(
                f"line {number} of {path} is damaged ({error}); restore the file from a copy, or"
                " begin the run anew in another folder"
            ) from error
    return rows


def cut_rows(path: Path, step: int) -> None:
    """Take the rows after `step` out of a .jsonl file, in one instant."""
    if path.is_file():
        kept = [row for row in read_rows(path) if row["step"] <= step]
        write_aside(path, "".join(json.dumps(row) + "\n" for row in kept))


def cut_back(folder: Path, step: int) -> None:
    """Bring checkpoints, log, times and samples of a run back to what they were at a step."""
    for path in found(folder):
        if step_of(path) > step:
            path.unlink()
    for name in ("log.jsonl", "times.jsonl"):
        cut_rows(folder / name, step)
    for sample in folder.glob("samples/step_*.png"):
        if int(sample.stem.removeprefix("step_")) > step:
            sample.unlink()
    for aside in (*folder.glob("*.part"), *folder.glob("samples/*.part")):
        aside.unlink()


def minutes_of(folder: Path) -> float:
    """How long a run has computed, by its times.jsonl, over all the parts that it was cut into."""
    total = last = 0.0
    for row in read_rows(folder / "times.jsonl"):
        total += row["seconds"] - (last if row["seconds"] >= last else 0.0)
        last = row["seconds"]
    return round(total / 60, 1)
