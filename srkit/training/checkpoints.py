"""Checkpoints to resume from, with their hash in the name.

A checkpoint is written aside and renamed, and carries the first digits of its SHA-256 in its name,
as torch's downloads do. The last two are kept. A damaged newest one falls back to the one before.
"""

import re
from pathlib import Path
from typing import Any

import torch

from srkit.files import replacing, sha256
from srkit.training.recipe import TrainingError
from srkit.training.state import State
from srkit.weights import WeightsError, load_state

KEPT = 2
NAME = re.compile(r"checkpoint-(\d{7,})-([0-9a-f]{16})\.pt")


def save(folder: Path, step: int, content: dict[str, Any]) -> Path:
    """Write checkpoint-STEP-HASH.pt, then delete all but the last two."""
    whole = folder / "checkpoint.part"  # its name needs its hash; `cut_back` removes a stray one
    with replacing(whole) as file:
        torch.save(content, file)
    path = folder / f"checkpoint-{step:07d}-{sha256(whole)[:16]}.pt"
    whole.replace(path)
    for old in found(folder)[KEPT:]:
        old.unlink()
    return path


def found(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    files = [file for file in folder.glob("checkpoint-*.pt") if NAME.fullmatch(file.name)]
    return sorted(files, key=step_of, reverse=True)


def step_of(path: Path) -> int:
    """The updates done at a checkpoint, by its name."""
    return int(path.name.split("-")[1])


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


PARTS = ("generator", "ema", "discriminator", "generator_optimiser", "discriminator_optimiser")


def pack(state: State, facts: dict[str, Any]) -> dict[str, Any]:
    """All that a run needs to go on: photographs, crops and flips depend on the step alone, and
    nothing else in a step is random."""
    parts = {name: getattr(state, name) for name in PARTS}
    content = {name: part.state_dict() for name, part in parts.items() if part is not None}
    return content | {"step": state.step, "facts": facts}
