"""A run's folder: what the run is, its log, and going on exactly where it stopped."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from srkit.data.photos import Photos
from srkit.files import write_text
from srkit.losses import ContentLoss
from srkit.training import checkpoints
from srkit.training.checkpoints import PARTS, found, step_of
from srkit.training.recipe import Recipe, TrainingError
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


def photographs_file(out: Path, key: str) -> Path:
    """The identity of each photograph that a run of this key is trained on, a line each."""
    return out / f"photographs-{key}.txt"


def resume(
    state: State, out: Path, facts: dict[str, Any], photos: Photos, accept_changed: bool = False
) -> None:
    """Load the newest whole checkpoint into a fresh state, and cut log and samples back to it; all
    of them where there is none.

    Raises TrainingError where it was made with other settings or, unless `accept_changed`, other
    photographs, naming them, or where parts of it are absent.
    """
    saved = checkpoints.load(out)
    present = "\n".join(photos.identity())
    if saved is not None:
        try:
            check_same(facts, saved["facts"], out, present, accept_changed)
            for name in PARTS:
                part = getattr(state, name)
                if part is not None:
                    part.load_state_dict(saved[name])
            state.step = int(saved["step"])
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            if isinstance(error, TrainingError):
                raise
            what = " ".join(str(error).split())[:300]
            raise TrainingError(
                f"the newest checkpoint in {out} lacks a part, or has a wrong one ({what}); delete"
                " it to go on from the one before"
            ) from error
    if state.world.first and not photographs_file(out, state.key).is_file():
        write_text(photographs_file(out, state.key), present)
    agree = int(state.world.sum(torch.tensor(state.step, device=state.device)))
    if agree != state.step * state.world.size:
        raise TrainingError(f"the processes see other files in {out}: it must be on a shared disk")
    if state.world.first:
        cut_back(out, state.step)
    state.world.wait()


def check_same(
    facts: dict[str, Any], then: dict[str, Any], out: Path, present: str, accept_changed: bool
) -> None:
    """Raise TrainingError where a run was begun with other settings or photographs. Photographs
    that changed are noted in `facts` where they are accepted."""
    before = {**then, "recipe": asdict(Recipe()) | then["recipe"]}  # with fields newer than the run
    facts |= {name: then[name] for name in ("photographs_changed",) if name in then}
    for what in ("recipe", "content", "classes", "photographs", "key"):
        now, old = ({what: f[what]} if what != "recipe" else f[what] for f in (facts, before))
        different = differences(now, old)
        if different and what in ("photographs", "key"):
            different = f"{different if what == 'photographs' else 'photographs'}: "
            different += changed_photographs(photographs_file(out, then["key"]), present)
            if accept_changed:
                print(f"going on although the {different}")
                facts["photographs_changed"] = True
                return
            different += "; --accept-changed-photos goes on all the same"
        if different:
            raise TrainingError(
                f"{out} holds a run with other settings: {different}; use the same, or another"
                " output folder"
            )


def changed_photographs(file: Path, present: str) -> str:
    """Which photographs were added to those of a run and removed from them, a few by name."""
    if not file.is_file():  # of an earlier srkit
        return "other ones, or changed since"
    before = file.read_bytes().decode(errors="surrogateescape").split("\n")
    now, told = present.split("\n"), []
    for what, some, others in (("added", now, set(before)), ("removed", before, set(now))):
        names = [text for text in some if text not in others]
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            told.append(f"{what} {', '.join(names[:3])}{more}")
    return ", ".join(told) or "in another order, with other labels or of another size"


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


def cut_back(folder: Path, step: int) -> None:
    """Bring checkpoints, log, times and samples of a run back to what they were at a step."""
    for path in found(folder):
        if step_of(path) > step:
            path.unlink()
    for path in (folder / "log.jsonl", folder / "times.jsonl"):
        if path.is_file():
            kept = [row for row in read_rows(path) if row["step"] <= step]
            write_text(path, "".join(json.dumps(row) + "\n" for row in kept))
    for update, sample in sample_files(folder).items():
        if update > step:
            sample.unlink()
    for part in (*folder.glob("*.part"), *folder.glob("samples/*.part")):
        part.unlink()


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
