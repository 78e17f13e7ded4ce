"""LPIPS (Zhang et al., 2018, arXiv:1801.03924): how different two pictures look to AlexNet.

The computation, and the weights of its last layer, are torchmetrics' (`pip install torchmetrics`);
AlexNet is torchvision's, a download of 233 MB.
"""

from collections.abc import Callable

import torch
from PIL import Image

from srkit.data.images import to_tensor
from srkit.weights import THIRD_PARTY, WeightsError, cached, check_digest

LPIPS_PROTOCOL = "torchmetrics, torchvision's AlexNet, RGB, whole picture"
LPIPS = Callable[[Image.Image, Image.Image], float]


def available_lpips(device: str = "cpu") -> tuple[LPIPS | None, str]:
    """LPIPS of two pictures of one size, 0 for equal ones, and a line about it; None where there is
    no torchmetrics or no AlexNet on this disk, and the line then says how to get them."""
    path = cached("alexnet")
    try:
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
    except ImportError:
        return None, "LPIPS: not measured; pip install torchmetrics"
    if not path.is_file():
        return None, f"LPIPS: not measured; put {THIRD_PARTY['alexnet'].url} at {path.parent}"
    try:
        check_digest(path, "alexnet")
    except WeightsError as error:
        return None, f"LPIPS: not measured; {error}"
    network = LearnedPerceptualImagePatchSimilarity("alex", normalize=True).to(device)

    @torch.inference_mode()
    def distance(sr: Image.Image, hr: Image.Image) -> float:
        pair = (to_tensor(picture)[None].to(device) for picture in (sr, hr))
        return float(network.net(*pair, normalize=True).mean())

    return distance, f"LPIPS with torchvision's AlexNet ({path.name})"
