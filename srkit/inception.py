"""The FID Inception: the 2015-12-05 TensorFlow Inception-v3 that FID was defined on.

It is not torchvision's Inception-v3: 1,008 classes, average pooling that does not count padding,
and max pooling in its last block. BatchNorm (epsilon 1e-3) is folded into the convolutions, so
each of them is a convolution with bias and a ReLU, under pytorch-fid's module names.
"""

import os
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.inception import InceptionA, InceptionB, InceptionC, InceptionD, InceptionE

from srkit.weights import WeightsError, load_state, sha256

STANDARD_FILE = "pt_inception-2015-12-05-6726825d.pth"
STANDARD_URL = (
    f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{STANDARD_FILE}"
)

# Feature dimension -> the last module that it needs, in pytorch-fid's order.
LAYERS = {64: "Conv2d_2b_3x3", 192: "Conv2d_4a_3x3", 768: "Mixed_6e", 2048: "Mixed_7c"}

HOW_TO_GET = (
    f"get {STANDARD_FILE} from the release fid_weights of github.com/mseitzer/pytorch-fid and set"
    " SRKIT_INCEPTION to its path"
)


class FoldedConv(nn.Conv2d):
    """Convolution and ReLU; BatchNorm is already in the weight and the bias."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x))


_average_pool = partial(F.avg_pool2d, kernel_size=3, stride=1, padding=1, count_include_pad=False)


class FIDInceptionA(InceptionA):
    def _forward(self, x: Tensor) -> list[Tensor]:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        pooled = self.branch_pool(_average_pool(x))
        return [self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, pooled]


class FIDInceptionC(InceptionC):
    def _forward(self, x: Tensor) -> list[Tensor]:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return [self.branch1x1(x), single, double, self.branch_pool(_average_pool(x))]


class FIDInceptionE(InceptionE):
    """Mixed_7b pools by average, Mixed_7c by maximum."""

    def __init__(self, channels: int, pool, conv_block) -> None:
        super().__init__(channels, conv_block)
        self.pool = pool

    def _forward(self, x: Tensor) -> list[Tensor]:
        single = self.branch3x3_1(x)
        single = torch.cat([self.branch3x3_2a(single), self.branch3x3_2b(single)], 1)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        double = torch.cat([self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)], 1)
        return [self.branch1x1(x), single, double, self.branch_pool(self.pool(x))]


def _modules() -> dict[str, nn.Module]:
    """Inception-v3 in order, under torchvision's and pytorch-fid's names."""
    c = FoldedConv
    max_pool = partial(F.max_pool2d, kernel_size=3, stride=1, padding=1)
    return {
        "Conv2d_1a_3x3": c(3, 32, 3, stride=2),
        "Conv2d_2a_3x3": c(32, 32, 3),
        "Conv2d_2b_3x3": c(32, 64, 3, padding=1),
        "maxpool1": nn.MaxPool2d(3, 2),
        "Conv2d_3b_1x1": c(64, 80, 1),
        "Conv2d_4a_3x3": c(80, 192, 3),
        "maxpool2": nn.MaxPool2d(3, 2),
        "Mixed_5b": FIDInceptionA(192, 32, c),
        "Mixed_5c": FIDInceptionA(256, 64, c),
        "Mixed_5d": FIDInceptionA(288, 64, c),
        "Mixed_6a": InceptionB(288, c),
        "Mixed_6b": FIDInceptionC(768, 128, c),
        "Mixed_6c": FIDInceptionC(768, 160, c),
        "Mixed_6d": FIDInceptionC(768, 160, c),
        "Mixed_6e": FIDInceptionC(768, 192, c),
        "Mixed_7a": InceptionD(768, c),
        "Mixed_7b": FIDInceptionE(1280, _average_pool, c),
        "Mixed_7c": FIDInceptionE(2048, max_pool, c),
    }


class FIDInception(nn.Sequential):
    """The network up to the layer of `dims` features (64, 192, 768 or 2048).

    Shape: (B, 3, 299, 299) in [-1, 1] -> (B, dims), the global average.
    """

    name = "UNTRAINED FID Inception"

    def __init__(self, dims: int = 2048):
        if dims not in LAYERS:
            raise ValueError(f"no layer of {dims} features; accepted: {sorted(LAYERS)}")
        super().__init__()
        self.dims = dims
        # pytorch-fid's blocks of 64 and 192 features end in their max pooling.
        last = {64: "maxpool1", 192: "maxpool2"}.get(dims, LAYERS[dims])
        for name, module in _modules().items():
            self.add_module(name, module)
            if name == last:
                break

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mean((2, 3))


def fold_batchnorm(state: dict[str, Tensor], eps: float = 1e-3) -> dict[str, Tensor]:
    """The standard file's `X.conv.weight` and `X.bn.*` as one `X.weight` and `X.bias`.

    Folded files come back as they are.
    """
    folded = {}
    for key, weight in state.items():
        if key.endswith(".conv.weight"):
            name = key.removesuffix(".conv.weight")
            gamma, beta, mean, var = (
                state[f"{name}.bn.{part}"].double()
                for part in ("weight", "bias", "running_mean", "running_var")
            )
            factor = gamma / (var + eps).sqrt()
            folded[f"{name}.weight"] = (weight.double() * factor.view(-1, 1, 1, 1)).float()
            folded[f"{name}.bias"] = (beta - mean * factor).float()
    return folded or dict(state)


def find_inception(weights: str | None = None) -> Path | None:
    """The weights file: as given, else $SRKIT_INCEPTION, else torch's cache, else None."""
    cached = Path(torch.hub.get_dir()) / "checkpoints" / STANDARD_FILE
    named = weights or os.environ.get("SRKIT_INCEPTION")
    if named:
        if not Path(named).is_file():
            raise WeightsError(f"no Inception weights at {named}; {HOW_TO_GET}")
        return Path(named)
    return cached if cached.is_file() else None


def load_inception(weights: str | Path, dims: int = 2048) -> FIDInception:
    """The FID Inception with weights from the standard file or a BatchNorm-folded one.

    Raises WeightsError where the file lacks a layer that `dims` needs, or holds something else.
    """
    network = FIDInception(dims)
    state = fold_batchnorm(load_state(weights))
    wanted = network.state_dict()
    missing = [key for key in wanted if key not in state]
    if missing:
        reach = [d for d in LAYERS if not _lacks(state, d)]
        able = f"it is complete up to {max(reach)} features" if reach else "it is no FID Inception"
        raise WeightsError(f"{weights} cannot give {dims} features: no {missing[0]}; {able}")
    network.load_state_dict({key: state[key] for key in wanted})
    network.name = f"FID Inception ({Path(weights).name}, sha256 {sha256(weights)[:8]})"
    return network.eval().requires_grad_(False)


def _lacks(state: dict[str, Tensor], dims: int) -> bool:
    return any(key not in state for key in FIDInception(dims).state_dict())
