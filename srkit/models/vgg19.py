"""VGG19, the fixed network of the content loss, Eq. (2); `srkit.weights` loads its weights."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srkit.settings import VGG19_LAYERS

# The layers that the small content network of srkit has been taught (`training.distil`).
SMALL_LAYERS = ("relu1_2", "relu2_2", "relu3_1")


@dataclass(frozen=True)
class VGG19:
    """A VGG19 cut off after `layer`; `network` takes (B, 3, H, W) in [0, 1]."""

    network: nn.Sequential
    layer: str
    name: str
    feature_scale: float = 1.0


class Standardise(nn.Module):
    """ImageNet's mean and standard deviation, as torchvision's VGG19 wants them."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std


def cut_off(features: nn.Sequential, layer: str, name: str) -> VGG19:
    """torchvision's `features` up to a layer, with ReLUs that do not write over their input."""
    kept = [m if not isinstance(m, nn.ReLU) else nn.ReLU() for m in features]
    network = nn.Sequential(Standardise(), *kept[: VGG19_LAYERS[layer] + 1])
    return VGG19(network, layer, f"{name}, {layer}")


def first_layers(first: nn.Module) -> nn.Sequential:
    """`first`, which prepares a picture in [0, 1], then VGG19's layers up to relu3_1, their padding
    a reflection: the form of the normalised VGG19, and of the small content network."""
    layers: list[nn.Module] = [first]
    widths, channels = {"1": 64, "2": 128, "3": 256}, 3
    for layer in list(VGG19_LAYERS)[: VGG19_LAYERS["relu3_1"] + 1]:
        if layer.startswith("conv"):
            width = widths[layer[4]]
            layers.append(nn.Conv2d(channels, width, 3, padding=1, padding_mode="reflect"))
            channels = width
        else:
            layers.append(nn.ReLU() if layer.startswith("relu") else nn.MaxPool2d(2))
    return nn.Sequential(*layers)
