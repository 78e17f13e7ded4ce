"""Networks by name, and their initial weights."""

from typing import Any

import torch
from torch import nn

from srkit.models import blocks
from srkit.models.blocks import Attention, DenseBlock, ResidualBlock, UNetBlock, UpBlock
from srkit.models.srgan import SRGANDiscriminator, SRGANGenerator
from srkit.models.srugan import SRUGANDiscriminator, SRUGANGenerator
from srkit.models.unet_discriminator import UNetDiscriminator
from srkit.settings import DISCRIMINATORS, check_model

GENERATORS: dict[str, type[nn.Module]] = {
    "srresnet": SRGANGenerator,
    "srgan": SRGANGenerator,
    "sr-ugan": SRUGANGenerator,
}


def build_generator(settings: dict[str, Any]) -> nn.Module:
    """An untrained generator from settings such as {"model": "sr-ugan", "scale": 2, "wide": 96}."""
    arguments = {key: value for key, value in settings.items() if key != "model"}
    return GENERATORS[check_model(settings["model"])](**arguments)


def build_discriminator(kind: str, classes: int = 1000, width: int = 64) -> nn.Module:
    """An untrained discriminator; only "sr-ugan" has a class head and looks at `classes`.

    Raises ValueError on an unknown kind.
    """
    if kind == "srgan":
        return SRGANDiscriminator(width)
    if kind == "sr-ugan":
        return SRUGANDiscriminator(classes, width)
    if kind == "unet":
        return UNetDiscriminator(width)
    raise ValueError(f"unknown discriminator {kind!r}; accepted: {', '.join(DISCRIMINATORS)}")


@torch.no_grad()
def quick_start(generator: nn.Module) -> None:
    """Initial weights from which short trainings get further; not in the report.

    The branches of residual and dense blocks start at zero (Goyal et al., 2017), so that the blocks
    start as their skips alone, and the pixel shuffles of the upsampling head as nearest-neighbour
    enlargement (Aitken et al., 2017), so that there is no checkerboard to unlearn.
    """
    for name, module in generator.named_modules():
        if isinstance(module, ResidualBlock):
            module.body[-1].get_parameter("weight").zero_()
        elif isinstance(module, DenseBlock | UNetBlock) and not name.startswith("unet"):
            last = module.convs[-1] if isinstance(module, DenseBlock) else module.body[-2]
            for parameter in last.parameters():
                parameter.zero_()
    for part in generator.get_submodule("upsample").children():
        up = [part]
        if isinstance(part, UpBlock):
            up = [part.conv]
            up += [part.attention.mlp[-1]] if isinstance(part.attention, Attention) else []
        for convolution in up:
            if isinstance(convolution, nn.Conv2d):
                for values in convolution.parameters():
                    values.copy_(values[::4].repeat_interleave(4, 0))


@torch.no_grad()
def quick_start_discriminator(discriminator: nn.Module) -> None:
    """Initial weights from which SR-UGAN's, which has no BatchNorm, soon tells SR from HR: He's,
    but each 3x3 kernel without its mean, so blind to brightness, which the two have in common. Not
    in the report. The heads begin at zero: it begins with no opinion."""
    if isinstance(discriminator, SRUGANDiscriminator):
        blocks.he_initialise(discriminator, slope=0.2)
        for module in discriminator.modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
                module.weight -= module.weight.mean((2, 3), keepdim=True)
        for head in (discriminator.validity, discriminator.classifier):
            nn.init.zeros_(head.weight)
