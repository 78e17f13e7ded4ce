"""The FID Inception: the 2015-12-05 TensorFlow Inception-v3 that FID was defined on.

It is not torchvision's Inception-v3: 1,008 classes, average pooling that does not count padding,
and max pooling in its last block. BatchNorm (epsilon 1e-3) is folded into the convolutions, so
each of them is a convolution with bias and a ReLU, under pytorch-fid's module names.
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.inception import InceptionA, InceptionB, InceptionC, InceptionD, InceptionE

from srkit.files import sha256
from srkit.weights import (
    THIRD_PARTY,
    WeightsError,
    cached,
    check_digest,
    check_finite,
    fetched,
    load_tensors,
)

STANDARD_FILE = cached("inception").name

# Feature dimension -> the module that they leave, as pytorch-fid's `dims`.
LAYERS = {64: "maxpool1", 192: "maxpool2", 768: "Mixed_6e", 2048: "Mixed_7c"}
HOW_TO_GET = THIRD_PARTY["inception"].instead


class FoldedConv(nn.Conv2d):
    """Convolution and ReLU; BatchNorm is already in the weight and the bias."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(super().forward(x))  # in place: a fifth faster on a CPU


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

    `collect` may name several layers up to there, whose features are then put side by side.

    Shape: (B, 3, 299, 299) in [-1, 1] -> (B, width), global averages; width is dims, or the sum.
    """

    name = "UNTRAINED FID Inception"
    weights = "untrained"  # the SHA-256 of the weights file

    def __init__(self, dims: int = 2048, collect: Sequence[int] = ()):
        if dims not in LAYERS:
            raise ValueError(f"no layer of {dims} features; accepted: {sorted(LAYERS)}")
        if not set(collect) <= {layer for layer in LAYERS if layer <= dims}:
            raise ValueError(f"cannot collect {tuple(collect)} up to the layer of {dims} features")
        super().__init__()
        self.dims = dims
        self.collect = tuple(collect) or (dims,)
        self.width = sum(self.collect)
        for name, module in _modules().items():
            self.add_module(name, module)
            if name == LAYERS[dims]:
                break

    @property
    def layer(self) -> int:
        """The one layer that is collected. Raises ValueError where there are several."""
        if len(self.collect) > 1:
            raise ValueError(f"features of the layers {self.collect} side by side are no one set")
        return self.collect[0]

    def forward(self, x: Tensor) -> Tensor:
        found = {}
        for name, module in self.named_children():
            x = module(x)
            if name in LAYERS.values():
                found[name] = x.mean((2, 3))
        return torch.cat([found[LAYERS[layer]] for layer in self.collect], 1)


def fold_batchnorm(state: dict[str, Tensor], eps: float = 1e-3) -> dict[str, Tensor]:
    """The standard file's `X.conv.weight` and `X.bn.*` as one `X.weight` and `X.bias`.

    Folded files come back as they are.
    Raises ValueError where a BatchNorm does not fit its convolution, KeyError where it is absent.
    """
    folded = {}
    for key, weight in state.items():
        if key.endswith(".conv.weight"):
            name = key.removesuffix(".conv.weight")
            norm = [f"{name}.bn.{p}" for p in ("weight", "bias", "running_mean", "running_var")]
            for part in norm:
                if weight.ndim != 4 or state[part].shape != weight.shape[:1]:
                    shapes = f"{tuple(state[part].shape)} for {tuple(weight.shape)}"
                    raise ValueError(f"{part} does not fit its convolution: {shapes}")
            gamma, beta, mean, var = (state[part].double() for part in norm)
            factor = gamma / (var + eps).sqrt()
            folded[f"{name}.weight"] = (weight.double() * factor.view(-1, 1, 1, 1)).float()
            folded[f"{name}.bias"] = (beta - mean * factor).float()
    return folded or dict(state)


def find_inception(weights: str | Path | None = None) -> Path | None:
    """The weights file: as given (the file, or a folder that holds the standard one), else what
    $SRKIT_INCEPTION names, else the standard one in torch's cache, else None.

    Raises WeightsError where what is given is not there.
    """
    named = weights or os.environ.get("SRKIT_INCEPTION")
    if not named:
        there = cached("inception")
        return there if there.is_file() else None
    path = Path(named) / STANDARD_FILE if Path(named).is_dir() else Path(named)
    if not path.is_file():
        raise WeightsError(f"no Inception weights at {path}; {HOW_TO_GET}")
    return path


def fetch_inception() -> Path:
    """The standard file (91 MB) in torch's cache, downloaded where it is not yet there and checked
    by its hash. Raises WeightsError where it cannot be had."""
    return fetched("inception")


def load_inception(
    weights: str | Path, dims: int = 2048, collect: Sequence[int] = ()
) -> FIDInception:
    """The FID Inception with weights from the standard file or a BatchNorm-folded one.

    Raises WeightsError where the file lacks a layer that `dims` needs, holds something else, or is
    under the standard file's name and is not that.
    """
    network = FIDInception(dims, collect)
    if not Path(weights).is_file():
        raise WeightsError(f"no weights file at {weights}; {HOW_TO_GET}")
    if Path(weights).name == STANDARD_FILE:
        check_digest(weights, "inception")
    digest = sha256(weights)
    state = _folded(weights)
    wanted = network.state_dict()
    missing = [key for key in wanted if key not in state]
    if missing:
        with torch.device("meta"):
            reach = [d for d in LAYERS if FIDInception(d).state_dict().keys() <= state.keys()]
        able = f"it is complete up to {max(reach)} features" if reach else "it is no FID Inception"
        raise WeightsError(f"{weights} cannot give {dims} features: no {missing[0]}; {able}")
    try:
        network.load_state_dict({key: state[key] for key in wanted})
    except RuntimeError as error:
        what = " ".join(str(error).split())
        raise WeightsError(f"{weights} is no FID Inception: {what}") from error
    network.name = f"FID Inception ({Path(weights).name}, sha256 {digest[:8]})"
    network.weights = digest
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def deepest_inception(weights: str | Path, every_layer: bool = False) -> tuple[FIDInception, str]:
    """`load_inception` at 2048 features, or at 768 where the file reaches no further, and then why;
    `every_layer` collects the layers before it too."""

    def load(dims: int) -> FIDInception:
        return load_inception(weights, dims, [d for d in LAYERS if d <= dims and every_layer])

    try:
        return load(2048), ""
    except WeightsError as error:  # tables name no machine's folders
        return load(768), str(error).replace(str(weights), Path(weights).name)


def _folded(weights: str | Path) -> dict[str, Tensor]:
    """The file's state, folded. Raises WeightsError where that cannot be, and for torchvision's
    Inception, trained on ImageNet, which has the same names and gives other features."""
    state = load_tensors(weights)
    last = state.get("fc.weight")
    if (last is not None and getattr(last, "shape", ())[:1] != (1008,)) or any(
        str(key).startswith("AuxLogits") for key in state
    ):
        raise WeightsError(
            f"{weights} is no FID Inception but another, such as torchvision's: it has AuxLogits,"
            f" or not 1008 classes; {HOW_TO_GET}"
        )
    try:
        return check_finite(weights, fold_batchnorm(state))
    except KeyError as error:
        raise WeightsError(f"{weights} is no FID Inception: no {error}") from error
    except WeightsError:
        raise
    except (AttributeError, ValueError, RuntimeError) as error:
        what = " ".join(str(error).split())
        raise WeightsError(f"{weights} is no FID Inception: {what}") from error
