"""What a run is, by which it is known again, and going on with it exactly where it stopped."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from srkit import runfiles
from srkit.data import Photos
from srkit.losses import ContentLoss
from srkit.recipes import Recipe
from srkit.runfiles import TrainingError
from srkit.updates import State
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


PARTS = ("generator", "ema", "discriminator", "generator_optimiser", "discriminator_optimiser")


def pack(state: State, facts: dict[str, Any]) -> dict[str, Any]:
    """All that a run needs to go on: photographs, crops and flips depend on the step alone, and
    nothing else in a step is random."""
    parts = {name: getattr(state, name) for name in PARTS}
    content = {name: part.state_dict() for name, part in parts.items() if part is not None}
    return content | {"step": state.step, "facts": facts}


def resume(state: State, out: Path, facts: dict[str, Any]) -> None:
    """Load the newest whole checkpoint into a fresh state, and cut log and samples back to it; all
    of them where there is none.

    Raises TrainingError where it was made with other settings or photographs, naming them.
    """
    saved = runfiles.load(out)
    if saved is not None:
        then = saved["facts"]
        then["recipe"] = asdict(Recipe()) | then["recipe"]  # fields that are newer than the run
        for what in ("recipe", "content", "photographs", "classes", "key"):
            now, before = ({what: f[what]} if what != "recipe" else f[what] for f in (facts, then))
            different = runfiles.differences(now, before)
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
        runfiles.cut_back(out, state.step)
    state.world.wait()
