"""Other people's weights: cached under their hash, and read without running any code."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torchvision
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
        with warnings.catch_warnings():  # torch's, of how a file that is then refused was pickled
            warnings.filterwarnings("ignore", "Detected pickle protocol")
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


# --- Files that are downloaded -------------------------------------------------------------------


class ThirdPartyFile(NamedTuple):
    """A file of other people, and what else can be done where it cannot be had."""

    url: str
    sha256: str
    instead: str


_FID = "pt_inception-2015-12-05-6726825d.pth"

THIRD_PARTY = {
    "vgg19": ThirdPartyFile(
        torchvision.models.VGG19_Weights.IMAGENET1K_V1.url,
        "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        "try again, or name another VGG19 with --content FILE",
    ),
    "alexnet": ThirdPartyFile(
        torchvision.models.AlexNet_Weights.IMAGENET1K_V1.url,
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        "load it anew",
    ),
    "inception": ThirdPartyFile(
        f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{_FID}",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        f"get {_FID} from the release fid_weights of github.com/mseitzer/pytorch-fid and set"
        " SRKIT_INCEPTION to its path",
    ),
}


def cached(name: str) -> Path:
    """Where torch, torchvision and pytorch-fid keep (or would put) a file of `THIRD_PARTY`."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(THIRD_PARTY[name].url).name


def fetched(name: str) -> Path:
    """A file of `THIRD_PARTY` in torch's cache, downloaded where it is absent; cached or fresh, its
    SHA-256 is checked.

    Raises WeightsError where it cannot be had, saying what else can be done, or where another file
    has its name.
    """
    file, path = THIRD_PARTY[name], cached(name)
    if not path.is_file():
        try:
            download(file.url, path, file.sha256)
        except OSError as error:
            raise WeightsError(f"{error}; {file.instead}") from error
    check_digest(path, name)
    return path


def check_digest(path: str | Path, name: str) -> None:
    """Raise WeightsError where a file is not, by its SHA-256, the one of `THIRD_PARTY`."""
    found, file = sha256(path), THIRD_PARTY[name]
    if found != file.sha256:
        raise WeightsError(
            f"{path} is damaged: its SHA-256 is {found[:8]}..., not {file.sha256[:8]}...;"
            f" delete it and {file.instead}"
        )
