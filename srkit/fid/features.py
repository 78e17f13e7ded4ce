"""From photographs to features: pixel patches, or the FID Inception under a named protocol.

The three protocols in print differ in the resize to 299x299 and in the range that the network sees.
Their numbers do not compare:

- `pytorch` (pytorch-fid, the default here): bilinear without antialias, 2 v / 255 - 1;
- `tf` (TTUR, torch-fidelity): TensorFlow 1's bilinear without half-pixel centres, (v - 128) / 128;
- `clean` (clean-fid): antialiased bicubic in float, (v - 128) / 128.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from srkit.data.images import as_rgb
from srkit.data.photos import Photos, in_order
from srkit.data.sources import photo_folder
from srkit.fid.inception import FIDInception
from srkit.fid.statistics import Space, Statistics, statistics

PROTOCOLS = {
    "pytorch": "bilinear to 299",
    "tf": "TensorFlow 1 bilinear to 299",
    "clean": "antialiased bicubic to 299",
}

SIDE = 299  # pixels, the FID Inception's input
Images = Tensor | np.ndarray | Image.Image
Source = Images | Photos | str | Path | Iterable[Images]


# --- What is accepted ----------------------------------------------------------------------------


def as_images(images: Images, device: torch.device | str | None = None) -> Tensor:
    """Photographs in any usual form as float32 (B, 3, H, W) in [0, 1], moved to a `device` if any.

    A PIL image; a uint8 or float NumPy array (H, W, 3) or (B, H, W, 3); a uint8 or float tensor
    (3, H, W) or (B, 3, H, W). Integers are levels of 0-255, floats are in [0, 1].
    Raises ValueError for another shape, type or range, or more than 8 bits in PIL, naming it.
    """
    if isinstance(images, Image.Image):
        images = np.array(as_rgb(images))
    if not isinstance(images, Tensor | np.ndarray):
        raise ValueError(f"images must be a picture, an array or a tensor, not {type(images)}")
    last = isinstance(images, np.ndarray)  # arrays have their channels last, tensors first
    if isinstance(images, np.ndarray):
        if images.dtype.kind not in "uif":
            raise ValueError(f"images must be uint8 or float, not {images.dtype}")
        images = torch.from_numpy(np.require(images, requirements=["C", "W"]))
    tensor = images
    batch = tensor[None] if tensor.ndim == 3 else tensor
    wanted = "(B, H, W, 3) as an array" if last else "(B, 3, H, W) as a tensor"
    if batch.ndim != 4 or batch.shape[-1 if last else 1] != 3 or 0 in batch.shape:
        raise ValueError(f"images must be {wanted}, not {tuple(tensor.shape)}")
    batch = batch.permute(0, 3, 1, 2) if last else batch
    if batch.dtype == torch.uint8:
        return batch.to(device=device).float().div(255)  # moved first: a quarter of the bytes
    if not batch.is_floating_point():
        raise ValueError(f"images must be uint8 or float, not {batch.dtype}")
    low, high = float(batch.min()), float(batch.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"float images must be in [0, 1]; these span [{low:.3g}, {high:.3g}] (pass levels of"
            " 0-255 as uint8)"
        )
    return batch.float().to(device=device)


def batches(source: Images | Photos | Iterable[Images]) -> Iterator[Images]:
    """Photos, one array or tensor, or an iterable of these, as parts; files are decoded ahead, by
    threads."""
    if isinstance(source, Photos):
        # Each is read once. 8 of them wait at most: 0.6 GB at 24 megapixels each.
        photos = replace(source, cache_bytes=0, _cache={}, _cached_bytes=0)
        yield from in_order(photos.__getitem__, len(photos), threads=8, ahead=8)
    elif isinstance(source, Tensor | np.ndarray | Image.Image):
        yield source
    else:
        yield from source


# --- Pixel patches -------------------------------------------------------------------------------


def patch_features(images: Images, patch: int = 8) -> np.ndarray:
    """Every patch x patch x 3 square of a grid, in levels of 0-255: features without a network.

    Their Frechet distance compares colours and fine texture and knows nothing of objects.

    Shape: B photographs of H x W -> (B * (H // patch) * (W // patch), 3 * patch * patch).
    """
    columns = F.unfold(as_images(images), patch, stride=patch)  # (B, 3*patch*patch, patches)
    return columns.transpose(1, 2).flatten(0, 1).mul(255).cpu().numpy()


# --- Inception -----------------------------------------------------------------------------------


def prepare(images: Tensor, protocol: str = "pytorch") -> Tensor:
    """Resize to 299x299 and map to the network's range, as the protocol has it.

    Shape: (B, 3, H, W) in [0, 1] -> (B, 3, 299, 299) in [-1, 1]. Runs where the images are.
    Raises ValueError for an unknown protocol.
    """
    size = (SIDE, SIDE)
    if protocol == "pytorch":
        return 2 * F.interpolate(images, size, mode="bilinear", align_corners=False) - 1
    if protocol == "tf":
        levels = _bilinear_tf1(images * 255)
    elif protocol == "clean":
        levels = F.interpolate(images * 255, size, mode="bicubic", antialias=True).clamp(0, 255)
    else:
        raise ValueError(f"unknown protocol {protocol!r}; accepted: {', '.join(PROTOCOLS)}")
    return (levels - 128) / 128


def _bilinear_tf1(images: Tensor) -> Tensor:
    """TensorFlow 1's bilinear resize: output pixel i lies at i * in / 299, without the half pixels
    that its centre asks for, so that the picture moves by a fraction of a pixel; enlarged, its last
    row and column are repeated."""
    for dim in (2, 3):
        length = images.shape[dim]
        place = torch.arange(SIDE, device=images.device) * (length / SIDE)
        low = place.long()
        high = (low + 1).clamp(max=length - 1)
        weight = (place - low).view(-1, 1) if dim == 2 else place - low
        near, far = images.index_select(dim, low), images.index_select(dim, high)
        images = near + (far - near) * weight
    return images


@contextmanager
def full_precision() -> Iterator[None]:
    """Convolutions in whole float32: without TF32, whose 10 bits move an FID's third digit."""
    convolution = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = convolution.fp32_precision
    convolution.fp32_precision = "ieee"
    try:
        yield
    finally:
        convolution.fp32_precision = before


class Extractor:
    """Inception features of photographs that come bit by bit and in any sizes.

    They are resized one by one and go through the network `batch` at a time.
    """

    def __init__(self, network: FIDInception, protocol: str = "pytorch", batch: int = 32):
        if protocol not in PROTOCOLS:
            raise ValueError(f"unknown protocol {protocol!r}; accepted: {', '.join(PROTOCOLS)}")
        if batch < 1:
            raise ValueError(f"a batch has one photograph or more, not {batch}")
        self.network, self.protocol, self.batch = network, protocol, batch
        self.device = next(network.parameters()).device
        self.waiting: list[Tensor] = []
        self.done: list[np.ndarray] = []

    def add(self, images: Images) -> None:
        """Take in photographs, in any form that `as_images` knows."""
        parts: list[Images] = [images]
        if isinstance(images, Tensor | np.ndarray) and images.ndim == 4 and len(images):
            starts = range(0, len(images), self.batch)  # float32 for a part at a time
            parts = [images[start : start + self.batch] for start in starts]
        for part in parts:
            self.waiting += prepare(as_images(part, self.device), self.protocol).split(1)
            while len(self.waiting) >= self.batch:
                self._run()

    @torch.inference_mode()
    def _run(self) -> None:
        x = torch.cat(self.waiting[: self.batch]).contiguous(memory_format=torch.channels_last)
        del self.waiting[: self.batch]
        with full_precision():
            self.done.append(self.network(x).cpu().numpy())

    def take(self) -> np.ndarray:
        """The features (N_i, d) that are ready, which are then forgotten here."""
        ready = np.concatenate([np.zeros((0, self.network.width), np.float32), *self.done])
        self.done.clear()
        return ready

    def finish(self) -> np.ndarray:
        """All the features that were not yet taken: (N_i, d)."""
        if self.waiting:
            self._run()
        return self.take()


def feature_stream(
    source: Source,
    network: FIDInception,
    protocol: str = "pytorch",
    batch: int = 32,
    progress: str | None = None,
) -> Iterator[np.ndarray]:
    """Inception features of a source, (N_i, d) at a time, in its order. `progress` names a bar.

    Raises DataError where a folder has no photographs, ValueError as `as_images` does.
    """
    extractor = Extractor(network, protocol, batch)
    with tqdm(desc=progress, unit="photo", disable=None if progress else True, leave=False) as bar:
        if isinstance(source, str | Path):
            source = photo_folder(source)
        if isinstance(source, Photos | Tensor | np.ndarray):
            bar.total = 1 if getattr(source, "ndim", 4) == 3 else len(source)
        for part in batches(source):
            extractor.add(part)
            ready = extractor.take()
            bar.update(len(ready))
            if len(ready):
                yield ready
        yield extractor.finish()


def inception_features(
    source: Source,
    network: FIDInception,
    protocol: str = "pytorch",
    batch: int = 32,
    progress: str | None = None,
) -> np.ndarray:
    """Inception features of a folder, Photos, array, tensor or iterator of pictures: (N, d)."""
    found = np.concatenate(list(feature_stream(source, network, protocol, batch, progress)))
    if not len(found):
        raise ValueError("no photographs: the source is empty")
    return found


def inception_statistics(
    source: Source,
    network: FIDInception,
    protocol: str = "pytorch",
    batch: int = 32,
    progress: str | None = None,
) -> Statistics:
    """Statistics of the same, in memory bounded by the batch and d x d, with their space."""
    stream = feature_stream(source, network, protocol, batch, progress)
    return statistics(stream, space=space(network, protocol))


def space(network: FIDInception, protocol: str = "pytorch") -> Space:
    """What these features are, so that they are compared with none other."""
    return Space(protocol, network.layer, network.weights)


def measure_name(network: FIDInception | None, measure: str = "FID") -> str:
    """What a distance on these features may be called in a table."""
    return f"{measure}-{network.layer}" if network else "Patch Frechet distance"


def measure_protocol(network: FIDInception | None, protocol: str = "pytorch") -> str:
    """The protocol beside it: network, layer and resize, or the patches' units."""
    if network is None:
        return "8x8x3 patches on a grid, levels 0-255, no network"
    return f"{network.name}, {network.layer} features, {protocol_name(protocol)}"


def protocol_name(protocol: str) -> str:
    """Such as "protocol pytorch (bilinear to 299)"."""
    return f"protocol {protocol} ({PROTOCOLS[protocol]})"
