"""Other people's generators: the peer that is measured beside ours, and any that spandrel knows."""

import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from srkit.models.inference import OtherGenerator
from srkit.models.leftthomas import LeftthomasGenerator
from srkit.weights.checkpoints import ANEW, METADATA
from srkit.weights.table import METHODS, methods
from srkit.weights.third_party import WeightsError, load_state, load_tensors


def find_peer(name: str, scale: int) -> Path | None:
    """The file that $SRKIT_LEFTTHOMAS names, or the one of this scale in the folder that it names;
    None where it is not set, or the folder has none of this scale."""
    if name not in methods("peer"):
        raise ValueError(f"unknown peer {name!r}; accepted: {', '.join(methods('peer'))}")
    variable = METHODS[name].source
    named = os.environ.get(variable)
    if not named:
        return None
    path = Path(named)
    if path.is_dir():
        found = sorted(path.glob(f"*netG*x{scale}*.pth"))
        return found[0] if found else None
    if not path.is_file():
        raise WeightsError(f"{variable} names {path}, and nothing is there")
    return path


def load_peer(path: str | Path, scale: int) -> nn.Module:
    """The peer's generator in evaluation mode. Raises WeightsError where the file holds another."""
    state = load_tensors(path)
    generator = LeftthomasGenerator(scale)
    try:
        generator.load_state_dict({_own_name(key, scale): value for key, value in state.items()})
    except (RuntimeError, KeyError, ValueError) as error:
        what = " ".join(str(error).split())
        raise WeightsError(f"{path} is no {scale}x leftthomas generator: {what}; {ANEW}") from error
    return generator.eval()


def _own_name(key: str, scale: int) -> str:
    """A parameter's name there as it is in `SRGANGenerator`."""
    block, rest = key.removeprefix("block").split(".", 1)
    number = int(block)
    if number == 1:
        return f"head.{rest}"
    if number < 7:
        layer, what = rest.split(".")
        place = {"conv1": 0, "bn1": 1, "prelu": 2, "conv2": 3, "bn2": 4}[layer]
        return f"blocks.{number - 2}.body.{place}.{what}"
    if number == 7:
        return f"merge.{rest}"
    stage, rest = rest.split(".", 1)
    if int(stage) == scale // 2:
        return f"tail.{rest}"
    layer, what = rest.split(".")
    return f"upsample.{3 * int(stage) + {'conv': 0, 'prelu': 2}[layer]}.{what}"


def is_ours(path: str | Path) -> bool:
    """Whether a file is to be loaded by `load_generator`: a safetensors file that says what of ours
    it holds, or one that is damaged or absent, which is said there."""
    if Path(path).suffix.lower() in (".pth", ".pt", ".ckpt"):
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return bool({METADATA, "settings"} & set(file.metadata() or {}))
    except (SafetensorError, OSError):
        return True


def load_other(path: str | Path, scale: int | None = None) -> OtherGenerator:
    """A generator of any architecture that spandrel recognises by its weights, in evaluation mode:
    safetensors or a PyTorch state dict, of which no code is run.

    Raises WeightsError where spandrel is not installed, does not know it, or the scale is another.
    """
    try:
        import spandrel
    except ImportError as error:
        more = 'pip install "srkit[any-model]"'
        raise WeightsError(f"{path} is no srkit checkpoint; for others: {more}") from error
    safe = Path(path).suffix.lower() == ".safetensors"
    state = load_file(path) if safe else load_state(path)
    try:
        found = spandrel.MAIN_REGISTRY.load(spandrel.canonicalize_state_dict(state))
        generator = OtherGenerator(found)
    except Exception as error:  # architectures fail in as many ways as there are of them
        what = " ".join(str(error).split()) or type(error).__name__
        what = f"{path} holds no network that spandrel can load: {what}"
        raise WeightsError(f"{what}; {ANEW}") from error
    if scale not in (None, generator.scale):
        name = generator.architecture
        raise WeightsError(f"{path} holds {name} at {generator.scale}x, not scale {scale}")
    return generator.eval()
