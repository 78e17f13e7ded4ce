"""LPIPS (Zhang et al., 2018, arXiv:1801.03924): how different two pictures look to AlexNet.

The computation, and the weights of its last layer, are torchmetrics' (`pip install torchmetrics`);
AlexNet is torchvision's, a download of 233 MB.
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from PIL import Image

from srkit.data.images import to_tensor
from srkit.files import sha256
from srkit.weights import cache_of

ALEXNET_URL = torchvision.models.AlexNet_Weights.IMAGENET1K_V1.url
ALEXNET_SHA256 = "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02"

LPIPS_PROTOCOL = "torchmetrics, torchvision's AlexNet, RGB, whole picture"

LPIPS = Callable[[Image.Image, Image.Image], float]


def alexnet_cached() -> Path:
    """Where torchvision keeps (or would put) its AlexNet."""
    return cache_of(ALEXNET_URL)


def available_lpips(device: str = "cpu") -> tuple[LPIPS | None, str]:
    """LPIPS of two pictures of one size, 0 for equal ones, and a line about it; None where there is
    no torchmetrics or no AlexNet on this disk, and the line then says how to get them."""
    path = alexnet_cached()
    try:
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
    except ImportError:
        return None, "LPIPS: not measured; pip install torchmetrics"
    if not path.is_file():
        return None, f"LPIPS: not measured; put {ALEXNET_URL} at {path.parent}"
    if sha256(path) != ALEXNET_SHA256:
        return None, f"LPIPS: not measured; {path.name} is damaged, delete it and load it anew"
    network = LearnedPerceptualImagePatchSimilarity("alex", normalize=True).to(device)

    @torch.inference_mode()
    def distance(sr: Image.Image, hr: Image.Image) -> float:
        pair = (to_tensor(picture)[None].to(device) for picture in (sr, hr))
        return float(network.net(*pair, normalize=True).mean())

    return distance, f"LPIPS with torchvision's AlexNet ({path.name})"
