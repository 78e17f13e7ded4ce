"""Networks by name, and their initial weights."""

from typing import Any

import torch
from torch import nn

from srkit.models.blocks import Attention, DenseBlock, ResidualBlock, UNetBlock, UpBlock
from srkit.models.srgan import SRGANDiscriminator, SRGANGenerator
from srkit.models.srugan import SRUGANDiscriminator, SRUGANGenerator
from srkit.models.unet_discriminator import UNetDiscriminator

GENERATORS: dict[str, type[nn.Module]] = {
    "srresnet": SRGANGenerator,
    "srgan": SRGANGenerator,
    "sr-ugan": SRUGANGenerator,
}


def check_model(name: str) -> str:
    """Return the model's name. Raises ValueError where it is none of ours."""
    if name not in GENERATORS:
        raise ValueError(f"unknown model {name!r}; accepted: {', '.join(GENERATORS)}")
    return name


# The arguments of a generator: the type of each, and the largest that a file may ask for.
LARGEST = {"scale": 4, "blocks": 64, "width": 1024, "wide": 1024}
SWITCHES = ("attention", "dense")


def check_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a generator as a file has them. Raises ValueError or TypeError for what is
    unknown, of another type or too large to be meant, before anything is built of it."""
    check_model(settings["model"])
    for name, value in settings.items():
        if name in LARGEST:
            least = 0 if name == "blocks" else 1
            if type(value) is not int or not least <= value <= LARGEST[name]:
                raise ValueError(f"{name} must be {least} to {LARGEST[name]}, not {value!r}")
        elif name in SWITCHES and type(value) is not bool:
            raise ValueError(f"{name} must be true or false, not {value!r}")
        elif name == "unet":
            widths = value if isinstance(value, list | tuple) else [None]
            if len(widths) > 8 or not all(type(w) is int and 1 <= w <= 1024 for w in widths):
                raise ValueError(f"unet must be up to 8 widths of 1 to 1024, not {value!r}")
        elif name not in ("model", *SWITCHES):
            raise ValueError(f"unknown setting {name!r}")
    return settings


def build_generator(settings: dict[str, Any]) -> nn.Module:
    """An untrained generator from settings such as {"model": "sr-ugan", "scale": 2, "wide": 96}."""
    arguments = {key: value for key, value in settings.items() if key != "model"}
    return GENERATORS[check_model(settings["model"])](**arguments)


DISCRIMINATORS = ("srgan", "sr-ugan", "unet")


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
