"""Generators as they are run, not trained: in bf16, mixed, and of other people's architectures."""

from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srkit.models.blocks import UpBlock

FP32_LAYERS = ("head", "merge")  # what all of SRGAN's residual blocks add to


class InFp32(nn.Module):
    """A layer that runs in float32 among others in bf16."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self.layer(x.float())


class InBf16(nn.Module):
    """A generator that multiplies in bf16. SRGAN's first layer and the last of its long skip, a
    tenth of its work, stay in float32: its blocks then add to a float32 sum, and the shipped SRGAN
    and SRResNet differ from float32 by at most 1 of 255 everywhere, not in 98% of all values.

    Shape: (B, 3, H, W) in [0, 1] -> (B, 3, scale*H, scale*W), float32. Changes `generator`, but
    for its mode, training or not, which becomes this one's.
    """

    def __init__(self, generator: nn.Module):
        super().__init__()
        for name in FP32_LAYERS:
            if hasattr(generator, name):
                setattr(generator, name, InFp32(getattr(generator, name)))
        self.generator, self.scale = generator, generator.scale
        self.train(generator.training)

    def forward(self, lr: Tensor) -> Tensor:
        with torch.autocast(lr.device.type, torch.bfloat16):
            return self.generator(lr).float()


def with_early_tail(generator: nn.Module) -> nn.Module:
    """A generator whose last 9x9 convolution, with 3 channels out, stands before the last pixel
    shuffle as a 5x5 one with 12: the same sums in another order, in a third of the time, since
    processors multiply for 16 channels at once. Changes `generator`, one of ours."""
    upsample, tail = generator.get_submodule("upsample"), generator.get_submodule("tail")
    assert isinstance(upsample, nn.Sequential) and isinstance(tail, nn.Conv2d)
    kernel, bias = tail.weight.detach(), tail.get_parameter("bias").detach()
    if isinstance(last := upsample[-1], UpBlock):
        last.add_module("shuffle", nn.Identity())
    else:  # convolution, shuffle, PReLU
        upsample[-2] = nn.Identity()
    places = [(x, 1 - x, y, 1 - y) for y in (0, 1) for x in (0, 1)]  # of 9x9 in 10x10
    phases = [F.pixel_unshuffle(F.pad(kernel, place), 2) for place in places]
    early = nn.Conv2d(4 * tail.in_channels, 12, 5, padding=2)
    early.weight = nn.Parameter(torch.stack(phases, 1).flatten(0, 1))  # (12, 4C, 5, 5)
    early.bias = nn.Parameter(bias.repeat_interleave(4))
    generator.tail = nn.Sequential(early, nn.PixelShuffle(2))
    return generator


def interpolated(first: nn.Module, second: nn.Module, share: float) -> nn.Module:
    """The network between two of one architecture: (1 - share) of the first's weights and share of
    the second's, BatchNorm's statistics included (network interpolation: ESRGAN, Wang et al., 2018,
    section 3.4). It means something where one was trained on from the other, as SRGAN is from
    SRResNet.

    Raises ValueError where the networks have other weights, or share is outside of 0 to 1.
    """
    a, b = first.state_dict(), second.state_dict()
    if {k: v.shape for k, v in a.items()} != {k: v.shape for k, v in b.items()}:
        raise ValueError("networks of two architectures or sizes cannot be interpolated")
    if not 0 <= share <= 1:
        raise ValueError(f"share must be from 0 to 1, not {share}")
    mixed = {k: v.lerp(b[k], share) if v.is_floating_point() else v for k, v in a.items()}
    network = deepcopy(first)
    network.load_state_dict(mixed)
    return network.eval()


class OtherGenerator(nn.Module):
    """A generator of an architecture that the spandrel library knows, in our ranges.

    `found` is spandrel's description: its own network takes and gives [0, 1], may have to be padded
    to a multiple (which spandrel does), and has scale and channels as its weights say.

    Shape: (B, 3, H, W) in [0, 1] -> (B, 3, scale*H, scale*W) in [-1, 1].
    Raises ValueError where it is not from RGB to RGB.
    """

    def __init__(self, found: Any):
        super().__init__()
        channels = (found.input_channels, found.output_channels)
        if channels != (3, 3):
            raise ValueError(f"it maps {channels[0]} channels to {channels[1]}, not RGB to RGB")
        self.network, self.found, self.scale = found.model, found, found.scale
        self.architecture, self.can_bf16 = found.architecture.name, found.supports_bfloat16

    def forward(self, lr: Tensor) -> Tensor:
        height, width = lr.shape[-2:]
        wide, high = self.found.size_requirements.get_padding(width, height)
        mode = "reflect" if wide < width and high < height else "replicate"
        padded = nn.functional.pad(lr, (0, wide, 0, high), mode)
        sr = self.found._call_fn(self.network, padded)  # its __call__ cannot be differentiated
        return 2 * sr[..., : self.scale * height, : self.scale * width] - 1
