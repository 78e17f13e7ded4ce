"""VGG19 with its weights: torchvision's, the normalised one, srkit's small network in its place, or
untrained and called so."""

import os
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import vgg

from srkit import paths
from srkit.files import sha256
from srkit.models.blocks import he_initialise
from srkit.models.vgg19 import (
    SMALL_LAYERS,
    VGG19,
    VGG19_LAYERS,
    Standardise,
    cut_off,
    first_layers,
)
from srkit.settings import check_layer
from srkit.weights.checkpoints import check_shipped, read_checkpoint, save_generator, write_sum
from srkit.weights.third_party import (
    WeightsError,
    cached,
    check_digest,
    check_finite,
    fetched,
    load_tensors,
)

SMALL = "vgg19-small"


def load_vgg19(weights: str = "auto", layer: str | None = None) -> VGG19:
    """VGG19 up to a layer, and a name that says which weights it has.

    `weights`: "torchvision" (574 MB, downloaded once, its hash checked each time); a path to a
    state dict, torchvision's complete one or the normalised one that ends at relu3_1; "small", the
    network that srkit ships in VGG19's place, or the path of one that `srkit distil` has made;
    "untrained" (random weights of seed 0); "auto": the file named by $SRKIT_VGG19, else
    torchvision's where it is already on the disk, else the small one.
    `layer`: "relu5_4" unless told otherwise, or the last one that the file reaches.
    Raises WeightsError or ValueError where the file or the layer is not as said.
    """
    if layer is not None:
        check_layer(layer)
    if weights == "untrained":
        return _untrained_vgg19(layer or "relu5_4")
    path = vgg19_file(weights)
    if path.suffix == ".safetensors":
        return _small_vgg19(path, layer)
    state = load_tensors(path)
    source = "torchvision, ImageNet" if path.name == cached("vgg19").name else path.name
    if "features.0.weight" in state:
        return _complete_vgg19(state, layer, f"VGG19 ({source})")
    if tuple(state.get("0.weight", torch.empty(0)).shape) == (3, 3, 1, 1):
        return _normalised_vgg19(state, layer, f"VGG19 ({source})")
    raise WeightsError(
        f"{path} holds no VGG19: expected torchvision's keys (features.0.weight, ...) or those"
        " of the normalised one (0.weight of shape 3x3x1x1, ...)"
    )


def vgg19_file(weights: str) -> Path:
    """The file that `load_vgg19` is to read; torchvision's is checked by its hash."""
    if weights == "auto":
        there = "torchvision" if cached("vgg19").is_file() else "small"
        weights = os.environ.get("SRKIT_VGG19") or there
    if weights == "small":
        return small_path()
    if weights == "torchvision":
        return fetched("vgg19")
    if Path(weights).name == cached("vgg19").name and Path(weights).is_file():
        check_digest(weights, "vgg19")
    return Path(weights)


def _untrained_vgg19(layer: str) -> VGG19:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        features = vgg.make_layers(vgg.cfgs["E"])  # without the classifier: seven times as fast
        he_initialise(features, mode="fan_out")  # as torchvision does
    return cut_off(features, layer, "UNTRAINED VGG19 (random weights, seed 0)")


def _complete_vgg19(state: dict[str, Tensor], layer: str | None, name: str) -> VGG19:
    with torch.device("meta"):  # no memory or random numbers for what is replaced at once
        features = torchvision.models.vgg19(weights=None).features
    own = {k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")}
    try:
        features.load_state_dict(own, assign=True)
    except RuntimeError as error:
        what = " ".join(str(error).split())
        raise WeightsError(f"{name} is not the complete VGG19 of torchvision: {what}") from error
    return cut_off(features, layer or "relu5_4", name)


def _normalised_vgg19(state: dict[str, Tensor], layer: str | None, name: str) -> VGG19:
    """The VGG19 of neural style transfer, its activations scaled to a mean of one.

    Its own first layer, a 1x1 convolution, maps RGB in [0, 1] to the network's BGR range. It was
    trained with reflection padding. Features are divided by 12.75, SRGAN's factor for VGG features
    of 0-255 images (Ledig et al., section 3.2).
    """
    network, names = first_layers(nn.Conv2d(3, 3, 1)), ["", *VGG19_LAYERS]
    places = [0, *(names.index(f"conv{which}") for which in ("1_1", "1_2", "2_1", "2_2", "3_1"))]
    keys = dict(zip(("0", "2", "5", "9", "12", "16"), places, strict=True))
    layer = layer or "relu3_1"
    if names.index(layer) >= len(network):
        raise WeightsError(f"these VGG19 weights end at relu3_1 and do not reach {layer}")
    try:
        renamed = {f"{keys[k.split('.')[0]]}.{k.split('.')[1]}": v for k, v in state.items()}
        network.load_state_dict(renamed)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"not the normalised VGG19 that it looked like: {error}") from error
    return VGG19(network[: names.index(layer) + 1], layer, f"{name}, {layer}", feature_scale=12.75)


def small_path() -> Path:
    """Where the small content network lies that srkit ships."""
    return paths.CHECKPOINTS / f"{SMALL}.safetensors"


def _small_vgg19(path: Path, layer: str | None) -> VGG19:
    """The small content network in a file of `save_small`, the shipped one by its SHA-256."""
    layer = layer or SMALL_LAYERS[-1]
    if layer not in SMALL_LAYERS:
        raise WeightsError(
            f"srkit's small content network has the layers {', '.join(SMALL_LAYERS)}, not {layer}:"
            " name one of them (content_layer), or a VGG19 (--content)"
        )
    if not path.is_file():
        raise WeightsError(f"no small content network at {path}")
    check_shipped(path, digest := sha256(path))
    settings, _, state = read_checkpoint(path)
    check_finite(path, state)
    network = first_layers(Standardise())
    try:
        scale = float(settings["feature_scale"])
        network.load_state_dict(state)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        what = " ".join(str(error).split())[:500]
        raise WeightsError(f"{path} holds no small content network: {what}") from error
    name = f"small content network ({digest[:8]}), distilled from VGG19 by srkit, {layer}"
    return VGG19(network[: VGG19_LAYERS[layer] + 2], layer, name, scale)


def save_small(
    path: Path, network: nn.Sequential, feature_scale: float, facts: dict[str, Any]
) -> Path:
    """Write a small content network as our generators are; `facts` say how it was trained. In the
    package's folder of checkpoints it is the shipped one."""
    settings = {"model": SMALL, "scale": 1, "feature_scale": feature_scale}
    save_generator(path, network, settings, facts)
    if path.resolve().parent == paths.CHECKPOINTS.resolve():
        write_sum(path)
    return path
