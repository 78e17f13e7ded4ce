"""Our generators in files: saved, checked when they are loaded, found, and shipped.

Nothing here falls back in silence: what is loaded says in its metadata what it is.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor, nn

from srkit import paths
from srkit.files import lock, replacing, sha256, write_text
from srkit.models.build import build_generator
from srkit.settings import check_settings
from srkit.weights.table import METHODS, methods
from srkit.weights.third_party import WeightsError, check_finite

MOST_BYTES = 32_000_000  # of a shipped checkpoint

ANEW = "get the file anew, or name another"

METADATA = "srkit"  # the key of what a checkpoint says of itself, as JSON


def check_trained(name: str) -> str:
    """Return the name of a trained network. Raises ValueError where it is none of ours."""
    if name not in methods("network"):
        raise ValueError(f"unknown model {name!r}; accepted: {', '.join(methods('network'))}")
    return name


def checkpoint_path(name: str, scale: int) -> Path:
    """Where the shipped checkpoint of that name lies, whether or not it is there."""
    return paths.CHECKPOINTS / f"{check_trained(name)}_x{scale}.safetensors"


def trained_path(name: str, scale: int, preset: str) -> Path:
    """Where notebooks 04 and 06 leave the generator that they train in a preset."""
    return paths.runs(preset) / f"train-{check_trained(name)}-x{scale}" / "generator.safetensors"


def find_checkpoint(name: str, scale: int, preset: str | None = None) -> Path:
    """The generator to show: in the long presets the one that they trained, where it is there;
    otherwise the shipped one. Print its path or metadata beside what it made."""
    if preset in paths.LONG_PRESETS and trained_path(name, scale, preset).is_file():
        return trained_path(name, scale, preset)
    return checkpoint_path(name, scale)


def sums_file() -> Path:
    """The SHA-256 of each shipped checkpoint, as `sha256sum -c` reads them."""
    return paths.CHECKPOINTS / "SHA256SUMS"


def read_sums() -> dict[str, str]:
    """File name -> SHA-256 of the shipped checkpoints."""
    lines = sums_file().read_text(encoding="utf-8").splitlines() if sums_file().is_file() else []
    return {name: digest for digest, name in (line.split() for line in lines)}


def check_shipped(path: Path, digest: str) -> None:
    """Raise WeightsError where a shipped checkpoint is not the one that was shipped."""
    shipped_there = path.resolve().parent == paths.CHECKPOINTS.resolve()
    if shipped_there and read_sums().get(path.name) != digest:
        raise WeightsError(
            f"{path.name} is not the checkpoint that srkit ships (sha256 {digest[:12]}, not in"
            f" {sums_file().name}): restore it with git or by installing srkit again, or keep your"
            " own outside of the package and pass it as a checkpoint"
        )


def check_trained_enough(source: str | Path, training: dict[str, Any]) -> None:
    """Raise WeightsError for a generator that is not to be shown as what its recipe makes: trained
    in a toy preset, or not to the end."""
    done, wanted = training.get("iterations", 0), training.get("recipe", {}).get("iterations", 0)
    preset = training.get("preset")
    why = f"of the preset {preset}" if preset in paths.TOY_PRESETS else ""
    why = f"of {done} updates, its recipe has {wanted}" if done < wanted else why
    if why:
        raise WeightsError(
            f"{source} is {why}: train to the end in a longer preset, or ship it all the same with"
            " --force"
        )


def ship(source: str | Path, name: str, facts: dict[str, Any], force: bool = False) -> Path:
    """Make a trained generator the shipped one of that name and its scale, with `facts` added to
    what it says of its training.

    Raises WeightsError where it is another model's, too large to be shipped or, unless `force`,
    not trained to the end.
    """
    generator, found = load_generator(source, METHODS[check_trained(name)].source)
    if not force:
        check_trained_enough(source, found["training"])
    path = checkpoint_path(name, found["settings"]["scale"])
    if Path(source).stat().st_size > MOST_BYTES:
        raise WeightsError(f"{source} is larger than {MOST_BYTES:,} bytes, too large to be shipped")
    with lock(paths.CHECKPOINTS / "lock"):
        save_generator(path, generator, found["settings"], found["training"] | facts)
        write_sum(path)
    return path


def write_sum(path: Path) -> None:
    """Add a shipped checkpoint's SHA-256 to the list, in place of what it had."""
    sums = read_sums() | {path.name: sha256(path)}
    write_text(sums_file(), "".join(f"{sums[file]}  {file}\n" for file in sorted(sums)))


def save_generator(
    path: str | Path, generator: nn.Module, settings: dict[str, Any], metadata: dict[str, Any]
) -> Path:
    """Write a generator as fp16 safetensors: aside first, then renamed over the old file.

    `settings` are the model's name and constructor arguments; `metadata` says how it was trained.
    """
    state = {
        key: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for key, value in generator.state_dict().items()
    }
    about = json.dumps({"settings": settings, "training": metadata})
    with replacing(path) as file:
        file.write(serialise(state, {METADATA: about}))  # one key: several come in any order
    return Path(path)


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Tensor]]:
    """A checkpoint's settings, training and tensors. Raises WeightsError where they cannot be
    read."""
    try:
        with safe_open(path, framework="pt") as file:
            text = file.metadata() or {}
            if METADATA in text:
                about = json.loads(text[METADATA])
            else:  # earlier files have two keys
                about = {name: json.loads(text[name]) for name in ("settings", "training")}
            settings, training = about["settings"], about["training"]
            _ = settings["model"], settings["scale"]
            recipe = training.get("recipe", {}) if isinstance(training, dict) else None
            if not isinstance(recipe, dict) or type(training.get("iterations", 0)) is not int:
                raise ValueError("it does not say how it was trained")
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise WeightsError(
            f"{path} is no srkit checkpoint, or is damaged: {error}; {ANEW}"
        ) from error
    return settings, training, state


def load_generator(
    path: str | Path, model: str | None = None, scale: int | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """A trained generator in evaluation mode, and its metadata: `settings`, `training`, `sha256`.

    Raises WeightsError where the file is absent or damaged, or holds another model or scale.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(
            f"no checkpoint at {path}; shipped: {', '.join(paths.shipped()) or 'none'}"
        )
    check_shipped(path, digest := sha256(path))
    settings, training, state = read_checkpoint(path)
    found = (settings["model"], settings["scale"])
    for what, wanted, have in (("model", model, found[0]), ("scale", scale, found[1])):
        if wanted is not None and wanted != have:
            raise WeightsError(f"{path} holds {found[0]} at {found[1]}x, not {what} {wanted}")
    try:
        check_settings(settings)
        with torch.device("meta"):  # sizes alone: no memory until they are those of the file
            build_generator(settings).load_state_dict(state, assign=True)
        generator = build_generator(settings)
        generator.load_state_dict(state)
    except (RuntimeError, TypeError, ValueError) as error:
        what = " ".join(str(error).split())[:500]
        raise WeightsError(f"{path} does not fit its own settings: {what}; {ANEW}") from error
    check_finite(path, state)
    return generator.eval(), {"settings": settings, "training": training, "sha256": digest}
