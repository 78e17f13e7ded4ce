"""A run's folder: what the run is, its log, and going on exactly where it stopped."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from srkit.data.photos import Photos
from srkit.files import write_aside
from srkit.losses import ContentLoss
from srkit.training import checkpoints
from srkit.training.checkpoints import PARTS, found, step_of
from srkit.training.recipes import Recipe, TrainingError
from srkit.training.state import State
from srkit.weights import load_generator


def describe(state: State, photos: Photos) -> dict[str, Any]:
    """What a checkpoint says of its own training."""
    recipe, gpu = state.recipe, state.device.type == "cuda"
    settings, start = described(recipe)
    return {
        "key": state.key,
        "content": state.content.name if state.content else "none",
        "recipe": settings,
        "start": start,  # the training that this one went on from
        "data": photos.name,
        "photographs": len(photos),
        "classes": len(photos.classes),
        "seed": recipe.seed,
        "device": torch.cuda.get_device_name(state.device) if gpu else "CPU",
        "torch": str(torch.__version__),  # the string alone loads with weights_only
    }


def described(recipe: Recipe) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """A recipe's settings, and the training of the checkpoint that it starts from: named by its
    hash, not by where somebody keeps it."""
    settings = asdict(recipe)
    if not recipe.start_from:
        return settings, None
    trained = load_generator(recipe.start_from)[1]
    settings["start_from"] = f"{trained['settings']['model']}, sha256 {trained['sha256'][:12]}"
    return settings, trained["training"]


def run_key(recipe: Recipe, content: ContentLoss | None, photos: Photos) -> str:
    """A hash of all that decides a run's outcome: recipe, content network and photographs.

    Fields at their defaults are left out, so that a field that is new changes no key.
    """
    name = content.name if content else "none"
    plain = asdict(Recipe())
    fields = {k: v for k, v in described(recipe)[0].items() if v != plain[k]}
    parts = [fields, name, photos.short_side, *photos.labels, *photos.identity()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def resume(state: State, out: Path, facts: dict[str, Any]) -> None:
    """Load the newest whole checkpoint into a fresh state, and cut log and samples back to it; all
    of them where there is none.

    Raises TrainingError where it was made with other settings or photographs, naming them.
    """
    saved = checkpoints.load(out)
    if saved is not None:
        then = saved["facts"]
        then["recipe"] = asdict(Recipe()) | then["recipe"]  # fields that are newer than the run
        for what in ("recipe", "content", "photographs", "classes", "key"):
            now, before = ({what: f[what]} if what != "recipe" else f[what] for f in (facts, then))
            different = differences(now, before)
            if different and what == "key":
                different = f"photographs: other ones, or changed since ({then['data']} then)"
            if different:
                raise TrainingError(
                    f"{out} holds a run with other settings: {different}; use the same, or another"
                    " output folder"
                )
        for name in PARTS:
            part = getattr(state, name)
            if part is not None:
                part.load_state_dict(saved[name])
        state.step = saved["step"]
    agree = int(state.world.sum(torch.tensor(state.step, device=state.device)))
    if agree != state.step * state.world.size:
        raise TrainingError(f"the processes see other files in {out}: it must be on a shared disk")
    if state.world.first:
        cut_back(out, state.step)
    state.world.wait()


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
    for update, sample in sample_files(folder).items():
        if update > step:
            sample.unlink()
    for aside in (*folder.glob("*.part"), *folder.glob("samples/*.part")):
        aside.unlink()


def sample_files(out: str | Path) -> dict[int, Path]:
    """The pictures that a run kept of one held-out crop, by update, in order."""
    files = Path(out).glob("samples/step_*.png")
    return dict(sorted((int(file.stem.removeprefix("step_")), file) for file in files))


def read_samples(out: str | Path, newest: int = 0) -> dict[str, Image.Image]:
    """A run's held-out crop over time, "update 1" and so on, and at last its "HR" where it is kept;
    only the `newest` of them where that is not 0.

    Raises ValueError where the run has no samples yet.
    """
    samples = list(sample_files(out).items())[-newest:]
    if not samples:
        raise ValueError(f"no samples in {out}; train first")
    files = {f"update {update}": file for update, file in samples}
    hr = Path(out) / "held_out.png"
    files |= {"HR": hr} if hr.is_file() else {}
    pictures = {}
    for name, file in files.items():
        with Image.open(file) as image:
            pictures[name] = image.convert("RGB")
    return pictures


def minutes_of(folder: Path) -> float:
    """How long a run has computed, by its times.jsonl, over all the parts that it was cut into."""
    total = last = 0.0
    for row in read_rows(folder / "times.jsonl"):
        total += row["seconds"] - (last if row["seconds"] >= last else 0.0)
        last = row["seconds"]
    return round(total / 60, 1)


def read_log(out: str | Path) -> list[dict[str, Any]]:
    """The rows of a run's log.jsonl."""
    return read_rows(Path(out) / "log.jsonl")
