"""One call for every method: `upscale(image, model="sr-ugan", scale=2)`, PIL image in and out."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from srkit.data.images import as_rgb, denorm, to_image, to_tensor
from srkit.weights import (
    METHODS,
    WeightsError,
    checkpoint_path,
    find_peer,
    load_generator,
    load_peer,
    methods,
)

INTERPOLATIONS = {name: Image.Resampling[name.upper()] for name in methods("interpolation")}


def kernel(method: str, x: np.ndarray | float) -> np.ndarray:
    """An interpolation's kernel: the weight of a known pixel at distance `x` from the point wanted.

    Bicubic is Keys' cubic (1981) with a = -0.5. Stretched by the scale, the same kernel is the
    antialias filter of the way down (section 3). Raises ValueError on an unknown method.
    """
    if method not in INTERPOLATIONS:
        raise ValueError(f"no kernel {method!r}; accepted: {', '.join(INTERPOLATIONS)}")
    x = np.abs(np.asarray(x, dtype=float))
    if method == "nearest":
        return np.where(x < 0.5, 1.0, 0.0)
    if method == "bilinear":
        return np.clip(1 - x, 0, None)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def upscale(
    image: Image.Image,
    model: str = "bicubic",
    scale: int = 2,
    checkpoint: str | Path | None = None,
    device: str = "cpu",
    tile: int = 256,
) -> Image.Image:
    """Enlarge a picture `scale` times by interpolation or by a trained network.

    `model`: nearest, bilinear, bicubic; srresnet, srgan, sr-ugan or sr-ugan-large-batch (the
    shipped checkpoint of that scale, or `checkpoint`); leftthomas-srgan (`checkpoint`, or what
    $SRKIT_LEFTTHOMAS names); "" for whatever `checkpoint` holds. Networks work on tiles of `tile`
    input pixels where a side is longer.
    Raises ValueError on an unknown model or scale, WeightsError where there is no checkpoint.
    """
    known = methods("interpolation", "network", "peer")
    if model not in known and not (checkpoint and not model):
        raise ValueError(f"unknown model {model!r}; accepted: {', '.join(known)}")
    if not isinstance(scale, int) or scale < 1:
        raise ValueError(f"scale must be a whole number of 1 or more, not {scale!r}")
    image = as_rgb(image)
    if model in INTERPOLATIONS:
        size = (image.width * scale, image.height * scale)
        return image.resize(size, INTERPOLATIONS[model])
    path = Path(checkpoint) if checkpoint else weights_path(model, scale)
    written = path.stat().st_mtime_ns if path.is_file() else 0
    generator = trained_generator(model, scale, path, device, written)
    return to_image(super_resolve(generator, to_tensor(image), tile))


def weights_path(model: str, scale: int) -> Path:
    """The file of a network's weights: the shipped checkpoint, or for a peer what its variable
    names. Raises WeightsError where that is not set."""
    if model not in methods("peer"):
        return checkpoint_path(model, scale)
    path = find_peer(model, scale)
    if path is None:
        variable = METHODS[model].source
        raise WeightsError(f"no {scale}x weights of {model}: set {variable} to its file or folder")
    return path


@lru_cache(maxsize=8)
def trained_generator(model: str, scale: int, path: Path, device: str, written: int) -> nn.Module:
    """The generator of a checkpoint, loaded once, and anew when the file is: `written` is its
    time."""
    if model in methods("peer"):
        generator = load_peer(path, scale)
    else:
        generator, _ = load_generator(path, METHODS[model].source if model else None, scale)
    return generator.to(device).to(memory_format=torch.channels_last)


@torch.no_grad()
def super_resolve(generator: nn.Module, lr: Tensor, tile: int = 256, overlap: int = 48) -> Tensor:
    """A generator's prediction for one picture of any size, in bounded memory.

    Pictures with a side over `tile` are cut into tiles that overlap by `overlap`; their
    predictions fade into each other, so that no seam shows. Where the network reaches no further
    than a quarter of `overlap`, the result is that of the whole picture. SR-UGAN's attention
    averages over what it is given, so its tiles are close to the whole but not equal to it.

    Shape: (3, H, W) in [0, 1] -> (3, scale*H, scale*W) in [0, 1], on the CPU.
    """
    if not 0 <= 2 * overlap <= tile:
        raise ValueError(f"an overlap of {overlap} does not fit twice into a tile of {tile}")
    device = next(generator.parameters()).device

    def predict(part: Tensor) -> Tensor:
        batch = part[None].to(device, memory_format=torch.channels_last)
        return denorm(generator(batch))[0].cpu()

    height, width = lr.shape[-2:]
    if max(height, width) <= tile:
        return predict(lr)
    scale = generator.scale
    assert isinstance(scale, int)
    total = torch.zeros(3, scale * height, scale * width)
    weight = torch.zeros(1, scale * height, scale * width)
    for top in tile_starts(height, tile, overlap):
        for left in tile_starts(width, tile, overlap):
            sr = predict(lr[:, top : top + tile, left : left + tile])
            y, x = scale * top, scale * left
            down = fade_in_out(y, sr.shape[1], scale * height, scale * overlap)
            across = fade_in_out(x, sr.shape[2], scale * width, scale * overlap)
            fade = down[:, None] * across  # (h, w)
            total[:, y : y + sr.shape[1], x : x + sr.shape[2]] += fade * sr
            weight[:, y : y + sr.shape[1], x : x + sr.shape[2]] += fade
    return total / weight


def tile_starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin so that they cover `length`, the last one flush with the end."""
    if length <= tile:
        return [0]
    step = tile - overlap
    return [*range(0, length - tile, step), length - tile]


def fade_in_out(start: int, length: int, whole: int, overlap: int) -> Tensor:
    """A tile's weights along one axis: zero in the outer quarter of the overlap, where a network
    lacks what lies beyond the tile, then rising to 1 over the next half, so that two tiles fade
    into each other and sum to 1. At the picture's own border nothing fades.

    Shape: -> (length,).
    """
    rise = ((torch.arange(length) + 0.5 - overlap / 4) / max(0.5, overlap / 2)).clamp(0, 1)
    weights = torch.ones(length)
    if start > 0:
        weights = torch.minimum(weights, rise)
    if start + length < whole:
        weights = torch.minimum(weights, rise.flip(0))
    return weights
