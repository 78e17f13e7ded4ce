"""Other projects' trained generators, measured beside ours.

Their weights are not shipped: name the file by argument or by environment variable.
"""

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from srkit.models import SRGANGenerator
from srkit.weights import WeightsError, load_state

PEERS = {"leftthomas-srgan": "SRKIT_LEFTTHOMAS"}  # name -> the variable that names file or folder


class LeftthomasGenerator(SRGANGenerator):
    """The generator of github.com/leftthomas/SRGAN (MIT): SRGAN's with five blocks, PReLU for the
    BatchNorm before the long skip, and tanh at the end.

    Shape: (B, 3, H, W) in [0, 1] -> (B, 3, scale*H, scale*W) in [-1, 1].
    """

    def __init__(self, scale: int = 2):
        super().__init__(scale, blocks=5)
        self.merge[1] = nn.PReLU()

    def forward(self, lr: Tensor) -> Tensor:
        return torch.tanh(super().forward(lr))


def find_peer(name: str, scale: int) -> Path | None:
    """The file that $SRKIT_LEFTTHOMAS names, or the one of this scale in the folder that it names;
    None where it is not set, or the folder has none of this scale."""
    if name not in PEERS:
        raise ValueError(f"unknown peer {name!r}; accepted: {', '.join(PEERS)}")
    named = os.environ.get(PEERS[name])
    if not named:
        return None
    path = Path(named)
    if path.is_dir():
        found = sorted(path.glob(f"*netG*x{scale}*.pth"))
        return found[0] if found else None
    if not path.is_file():
        raise WeightsError(f"{PEERS[name]} names {path}, and nothing is there")
    return path


def load_peer(path: str | Path, scale: int) -> nn.Module:
    """The peer's generator in evaluation mode. Raises WeightsError where the file holds another."""
    state = load_state(path)
    generator = LeftthomasGenerator(scale)
    try:
        generator.load_state_dict({_own_name(key, scale): value for key, value in state.items()})
    except (RuntimeError, KeyError, ValueError) as error:
        what = " ".join(str(error).split())
        raise WeightsError(f"{path} is no {scale}x leftthomas generator: {what}") from error
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
