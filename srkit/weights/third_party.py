"""Other people's weights: cached under their hash, and read without running any code."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from srkit.files import SrkitError, download, sha256


class WeightsError(SrkitError, ValueError):
    """Weights that are absent, damaged or of something else; the message says what to do."""


def load_state(path: str | Path) -> dict[str, Any]:
    """What torch.save wrote of tensors and plain values, loaded without running any code that the
    file may hold.

    Raises WeightsError where the file is absent or no state dict.
    """
    if not Path(path).is_file():
        raise WeightsError(f"no weights file at {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        what = str(error).partition("\n")[0]
        if "weights" in what.lower() and "only" in what.lower():  # torch would have us allow code
            what = "it is damaged, or holds objects that could run code, which srkit never loads"
        raise WeightsError(
            f"{path} is no readable PyTorch state dict: {what}; get the file anew"
        ) from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} holds a {type(state).__name__}, not a PyTorch state dict")
    return state


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """A state dict of tensors and nothing else, by `load_state`. Raises WeightsError where it has
    something else, or NaN."""
    state = load_state(path)
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            what = f"{key!r} is a {type(value).__name__}"
            raise WeightsError(f"{path} holds no network's weights: {what}, not a tensor")
    return check_finite(path, state)


def check_finite(path: str | Path, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state. Raises WeightsError naming the first tensor that has NaN or infinity."""
    for key, value in state.items():
        if not value.isfinite().all():
            raise WeightsError(
                f"{path} holds NaN or infinity, first in {key}: whatever it makes is black; get"
                " the file anew, or train again with a lower learning rate"
            )
    return state


def cache_of(url: str) -> Path:
    """Where torch keeps (or would put) the file of a URL."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name


def cached(url: str, digest: str, instead: str) -> Path:
    """A third-party file in torch's cache, downloaded where it is absent. Cached or fresh, its
    SHA-256 is `digest`.

    Raises WeightsError where it cannot be had, saying what else can be done (`instead`), or where
    another file has its name.
    """
    path = cache_of(url)
    if not path.is_file():
        try:
            download(url, path, digest)
        except OSError as error:
            raise WeightsError(f"{error}; {instead}") from error
    check_digest(path, digest, instead)
    return path


def check_digest(path: str | Path, digest: str, instead: str) -> None:
    """Raise WeightsError where a file's SHA-256 is not `digest`."""
    found = sha256(path)
    if found != digest:
        raise WeightsError(
            f"{path} is damaged: its SHA-256 is {found[:8]}..., not {digest[:8]}...;"
            f" delete it and {instead}"
        )
