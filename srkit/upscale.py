"""One call for every method: `upscale(image, model="sr-ugan", scale=2)`, PIL image in and out.

Networks work on tiles. Where a network sees no further than some pixels, tiles overlap by so many
that their results are those of the whole picture, to one of 255 (rounding). SR-UGAN's attention
averages over all that it is given: the shipped 2x network in tiles of 128 on a photograph of
256x256, or of 256 on one of 512x512, differs from the whole by 0.3 or 0.4 of 255 on average and by
4 at most. Its tiles fade into each other.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import psutil
import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn

from srkit.data.images import denorm
from srkit.files.deep_colour import AnyPicture, DeepPicture, Picture, blank, in_8_bits
from srkit.files.picture_files import check_fits, prepared
from srkit.models import InBf16, largest_layer, receptive_radius, with_early_tail
from srkit.weights import (
    METHODS,
    WeightsError,
    checkpoint_path,
    find_peer,
    is_ours,
    load_generator,
    load_other,
    load_peer,
    methods,
)

PRECISIONS = ("fp32", "bf16")

GRID = 16  # where tiles begin: whole steps of SR-UGAN's U-Net, whose pooling depends on it

# Overlaps of networks without a finite receptive field, in LR pixels: nearer than 8 to a tile's
# edge SR-UGAN is off by up to 24 of 255, further in by what its averages differ, 1 at most.
GLOBAL_MARGIN, GLOBAL_FADE = 16, 16

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
    image: AnyPicture,
    model: str = "bicubic",
    scale: int = 2,
    checkpoint: str | Path | None = None,
    device: str = "cpu",
    tile: int | None = 256,
    precision: str = "fp32",
) -> AnyPicture:
    """Enlarge a picture `scale` times by interpolation or by a trained network.

    `model`: nearest, bilinear, bicubic; srresnet, srgan, sr-ugan or sr-ugan-large-batch (the
    shipped checkpoint of that scale, or `checkpoint`); leftthomas-srgan (`checkpoint`, or what
    $SRKIT_LEFTTHOMAS names); "" for whatever `checkpoint` holds, ours or anybody's. Networks work
    on tiles of `tile` input pixels where a side is longer; None takes a size from the free memory.
    The result is upright and L, LA, RGB, RGBA or I;16, as the picture is (`prepared`); of a
    DeepPicture, which `read_picture` returns of 16 bits a colour, one.
    Raises ValueError on an unknown model, scale or precision, WeightsError where there is no
    checkpoint, PictureError where the result would not fit into memory.
    """
    return Upscaler(model, scale, checkpoint, device, tile, precision)(image)


@dataclass(frozen=True)
class Upscaler:
    """What `upscale` is told, to be applied to many pictures; `twice` applies a 2x network two
    times to enlarge 4 times, `progress` is called with the LR pixels that a network has done since.
    """

    model: str = "bicubic"
    scale: int = 2
    checkpoint: str | Path | None = None
    device: str = "cpu"
    tile: int | None = 256
    precision: str = "fp32"
    twice: bool = False
    progress: Callable[[int], object] | None = None

    def __post_init__(self) -> None:
        known = methods("interpolation", "network", "peer")
        if self.model not in known and not (self.checkpoint and not self.model):
            raise ValueError(f"unknown model {self.model!r}; accepted: {', '.join(known)}")
        if not isinstance(self.scale, int) or self.scale < 1:
            raise ValueError(f"scale must be a whole number of 1 or more, not {self.scale!r}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"unknown precision {self.precision!r}; accepted: fp32, bf16")
        if self.twice and self.scale != 4:
            raise ValueError(f"twice 2x enlarges 4 times, not {self.scale}")

    def __call__(self, image: AnyPicture) -> AnyPicture:
        return cast(AnyPicture, self.enlarged(prepared(image)))

    def enlarged(self, image: Picture) -> Picture:
        """A `prepared` picture enlarged, with its `info`."""
        check_fits(image.size, self.scale, deep=isinstance(image, DeepPicture))
        if self.twice:
            once = replace(self, scale=2, twice=False)
            return once.enlarged(once.enlarged(image))
        way = INTERPOLATIONS.get(self.model)
        if image.mode == "RGBA;16" or (image.mode in ("LA", "RGBA") and way is None):
            size = (image.width * self.scale, image.height * self.scale)
            sr = self.opaque(visible_colours(image))
            sr.putalpha(image.getchannel("A").resize(size, way or Image.Resampling.BICUBIC))
        else:
            sr = self.opaque(image)
        sr.info = dict(image.info)
        return sr

    def opaque(self, image: Picture) -> Picture:
        """A picture without alpha enlarged; of interpolations one of 8 bits with it, too."""
        if self.model in INTERPOLATIONS:
            size = (image.width * self.scale, image.height * self.scale)
            return image.resize(size, INTERPOLATIONS[self.model])
        generator = self.loaded()
        return super_resolve(generator, image, self.tile or free_tile(generator), self.progress)

    def loaded(self) -> nn.Module:
        """The network that it applies, loaded once."""
        scale = 2 if self.twice else self.scale
        path = Path(self.checkpoint) if self.checkpoint else weights_path(self.model, scale)
        written = path.stat().st_mtime_ns if path.is_file() else 0
        return trained_generator(self.model, scale, path, self.device, self.precision, written)


def visible_colours(image: Picture) -> Picture:
    """A picture without its alpha. What is wholly transparent takes its neighbours' colours, so
    that the hidden ones do not bleed into the edge of what is seen."""
    if not isinstance(image, Image.Image):
        seen, pixels = np.asarray(visible_colours(in_8_bits(image))), np.asarray(image)
        hidden = pixels[..., 3:] == 0
        return DeepPicture(np.where(hidden, seen * np.uint16(257), pixels[..., :3]))
    alpha = image.getchannel("A")
    near = image.convert("RGBa" if image.mode == "RGBA" else "La").filter(ImageFilter.BoxBlur(4))
    colours, near = (one.convert(image.mode[:-1]) for one in (image, near.convert(image.mode)))
    colours.paste(near, mask=alpha.point(lambda value: 255 * (value == 0)))
    return colours


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
def trained_generator(
    model: str, scale: int, path: Path, device: str, precision: str, written: int
) -> nn.Module:
    """The generator of a checkpoint, loaded once, and anew when the file is: `written` is its
    time."""
    if model in methods("peer"):
        generator = load_peer(path, scale)
    elif not model and not is_ours(path):
        generator = load_other(path, scale)
    else:
        generator, _ = load_generator(path, METHODS[model].source if model else None, scale)
        generator = with_early_tail(generator)
    if precision == "bf16" and getattr(generator, "can_bf16", True):
        generator = InBf16(generator)
    return generator.eval().to(device).to(memory_format=torch.channels_last)


def checkpoint_scale(path: Path) -> int:
    """How many times the network in a file enlarges. Raises WeightsError."""
    generator = load_generator(path)[0] if is_ours(path) else load_other(path)
    assert isinstance(generator.scale, int)
    return generator.scale


# --- Tiles ---------------------------------------------------------------------------------------


def super_resolve(
    generator: nn.Module,
    image: AnyPicture,
    tile: int = 256,
    progress: Callable[[int], object] | None = None,
) -> AnyPicture:
    """A generator's prediction for one picture of any size: RGB, L, I;16 or RGB;16, and so the
    result.

    Pictures with a side over `tile` are cut into tiles that overlap as `tile_overlap` says. Each is
    written into the result as it comes: beside it, memory holds one tile's activations and a row
    of tiles. Where memory runs out, it begins again with tiles of half the side.
    Raises ValueError where a tile is too small for its overlap.
    """
    if max(image.size) <= tile:
        overlap = (0, 0)
    else:
        overlap = tile_overlap(generator)
        tile_spans(max(image.size), tile, overlap)  # refuses a small tile
    done: list[int] = []

    def note(pixels: int) -> None:
        done.append(pixels)
        if progress:
            progress(pixels)

    try:
        return cast(AnyPicture, in_tiles(generator, image, tile, overlap, note))
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        smaller = min(tile, max(image.size)) // 2
        if not ran_out(error) or smaller < smallest_tile(tile_overlap(generator)):
            raise
    if progress:
        progress(-sum(done))
    return super_resolve(generator, image, smaller, progress)


def ran_out(error: Exception) -> bool:
    """Whether an error says that there is no more memory."""
    said = str(error).lower()
    known = ("can't allocate", "out of memory", "not enough memory", "could not allocate")
    return isinstance(error, MemoryError) or any(text in said for text in known)


def in_tiles(
    generator: nn.Module,
    image: Picture,
    tile: int,
    overlap: tuple[int, int],
    note: Callable[[int], object],
) -> Picture:
    """The prediction tile by tile: a row of tiles is joined from left to right, then the rows from
    top to bottom. `note` hears how many pixels of the picture each tile has added."""
    scale, (width, height) = generator.scale, image.size
    assert isinstance(scale, int)
    margin, fade = (scale * pixels for pixels in overlap)
    sr = blank(image.mode, (scale * width, scale * height))
    bottom = 0
    for top, below in tile_spans(height, tile, overlap):
        right = 0
        row = blank(image.mode, (sr.width, scale * (below - top)))
        for left, end in tile_spans(width, tile, overlap):
            part = predict(generator, image.crop((left, top, end, below)))
            row.paste(part, (scale * left, 0), joint(part.size, 0, margin, fade) if left else None)
            note((end - right) * (below - bottom))
            right = end
        sr.paste(row, (0, scale * top), joint(row.size, 1, margin, fade) if top else None)
        bottom = below
    return Image.fromarray(np.asarray(sr)) if image.mode == "I;16" else sr


def joint(size: tuple[int, int], axis: int, margin: int, fade: int) -> Image.Image:
    """How a tile covers what is before it: not at all in its `margin`, where it lacks what lies
    beyond its edge, then more and more over `fade` pixels, then wholly. `axis` 0 is from the left,
    1 from the top; the mask has the tile's `size`."""
    along = (torch.arange(size[axis]) + 0.5 - margin) / max(1, fade)
    if not fade:
        along = along.gt(0).float()
    mask = along.clamp(0, 1).mul(255).round().byte().numpy()
    shaped = mask[None, :] if axis == 0 else mask[:, None]
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(shaped, size[::-1])))


@torch.no_grad()
def predict(generator: nn.Module, part: Picture) -> Picture:
    """A generator's prediction for a picture as a whole: RGB or RGB;16; or L or I;16, which it sees
    as RGB, and of whose result the channels' mean is kept."""
    top = 65_535 if part.mode.endswith(";16") else 255
    pixels = torch.from_numpy(np.asarray(part, dtype=np.float32) / top)
    lr = pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels.expand(3, -1, -1)
    device = next(generator.parameters()).device
    sr: Tensor = generator(lr[None].to(device, memory_format=torch.channels_last))
    sr = denorm(sr.float())[0].permute(1, 2, 0)  # (scale*h, scale*w, 3) in [0, 1]
    sr = sr if pixels.ndim == 3 else sr.mean(-1)
    array = sr.mul(top).round().cpu().numpy()
    return (
        DeepPicture(array.astype(np.uint16))
        if top > 255
        else Image.fromarray(array.astype(np.uint8))
    )


@lru_cache(maxsize=8)
def tile_overlap(generator: nn.Module) -> tuple[int, int]:
    """(margin, fade) in LR pixels: how far from a tile's inner edge its result is left out, and
    over how many more it fades. The margin is the receptive radius where a probe finds one."""
    scale, probe = generator.scale, 128
    assert isinstance(scale, int)
    try:
        radius = -(-receptive_radius(generator, probe) // scale)
    except RuntimeError:  # others' networks may write over what their gradient needs
        radius = probe
    return (radius, 0) if radius < probe // 2 - 1 else (GLOBAL_MARGIN, GLOBAL_FADE)


def smallest_tile(overlap: tuple[int, int]) -> int:
    """The smallest side of a tile of which something is left between its overlaps."""
    return 2 * overlap[0] + overlap[1] + GRID


def tile_spans(length: int, tile: int, overlap: tuple[int, int]) -> list[tuple[int, int]]:
    """From where to where tiles reach so that as few as can be cover `length`, all alike but the
    last, from multiples of GRID. Raises ValueError where `tile` is smaller than `smallest_tile`."""
    if length <= tile:
        return [(0, length)]
    if tile < smallest_tile(overlap):
        raise ValueError(f"a tile of {tile} is too small here: take {smallest_tile(overlap)}")
    shared = 2 * overlap[0] + overlap[1]
    most = (tile - shared) // GRID * GRID
    count = 1 - (tile - length) // most
    step = min(most, -((shared - length) // (count * GRID)) * GRID)
    spans = [(at, at + step + shared) for at in range(0, (count - 1) * step, step)]
    return [*spans, ((count - 1) * step, length)]


@lru_cache(maxsize=8)
def free_tile(generator: nn.Module) -> int:
    """The side of a tile whose activations take a quarter of the free memory, at most 3/4 GiB on a
    CPU and 8 GiB on a GPU; a float32 layer counts six times. On a GPU at most 1024; on a CPU at
    most 384 or six overlaps, beyond which speed grows no more (its layers are taken from the
    system anew each time)."""
    device, overlap = next(generator.parameters()).device, tile_overlap(generator)
    if device.type == "cuda":
        free, most, side = torch.cuda.mem_get_info(device)[0], 8 << 30, 1024
    else:
        free, most = psutil.virtual_memory().available, 3 << 28
        side = max(384, 6 * (2 * overlap[0] + overlap[1]))
    pixels = min(free // 4, most) / (6 * 4 * largest_layer(generator))
    fitting = int(min(side, pixels**0.5)) // GRID * GRID
    return max(smallest_tile(overlap), fitting)
