"""PSNR and SSIM through scikit-image, with the protocol in the open.

Numbers compare only where the protocol is the same: the luma channel Y or RGB, and how many
pixels of border are left out. Super-resolution papers use Y and `scale` pixels (SRGAN section 3.1).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from scipy.optimize import brentq
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from srkit.data.images import as_rgb, to_image

Picture = Image.Image | np.ndarray | Tensor


def to_array(image: Picture) -> np.ndarray:
    """A picture as float64 (H, W, 3) in [0, 255]: a PIL image, a uint8 array, or a (3, H, W)
    tensor in [0, 1], which is rounded to 8 bits as if it had been saved.

    Raises DataError for a PIL image of more than 8 bits a channel, whose levels are not 0-255.
    """
    if isinstance(image, Tensor):
        image = to_image(image)
    if isinstance(image, Image.Image):
        image = np.asarray(as_rgb(image))
    return np.asarray(image, dtype=np.float64)


def luma(rgb: np.ndarray) -> np.ndarray:
    """Y of ITU-R BT.601 in its studio range 16-235, as MATLAB's rgb2ycbcr has it.

    Shape: (H, W, 3) in [0, 255] -> (H, W).
    """
    return rgb2ycbcr(rgb / 255)[..., 0]


def prepare(a: Picture, b: Picture, channel: str, border: int) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures by one protocol. Raises ValueError on other shapes, channels or borders."""
    first, second = to_array(a), to_array(b)
    if first.shape != second.shape:
        raise ValueError(f"pictures of {first.shape[:2]} and {second.shape[:2]} cannot be compared")
    if channel not in ("y", "rgb"):
        raise ValueError(f"unknown channel {channel!r}; accepted: y, rgb")
    if border < 0 or 2 * border >= min(first.shape[:2]):
        raise ValueError(f"a border of {border} leaves nothing of {first.shape[:2]}")
    if channel == "y":
        first, second = luma(first), luma(second)
    if border:
        first, second = (x[border:-border, border:-border] for x in (first, second))
    return first, second


def psnr(sr: Picture, hr: Picture, channel: str = "y", border: int = 2) -> float:
    """Peak signal-to-noise ratio in dB, peak 255; infinite for equal pictures."""
    first, second = prepare(sr, hr, channel, border)
    if np.array_equal(first, second):
        return float("inf")
    return float(peak_signal_noise_ratio(second, first, data_range=255))


def ssim(sr: Picture, hr: Picture, channel: str = "y", border: int = 2) -> float:
    """Structural similarity (Wang et al., 2004): Gaussian window of 11x11, sigma 1.5."""
    first, second = prepare(sr, hr, channel, border)
    return float(
        structural_similarity(
            second,
            first,
            data_range=255,
            channel_axis=-1 if channel == "rgb" else None,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def power_spectrum(picture: Picture, bins: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """How much of a picture's luma lies at each fineness: power averaged over all directions.

    Hann-windowed, without the mean. Returns frequencies in cycles a pixel, up to 0.5, and powers.
    """
    y = luma(to_array(picture))
    window = np.outer(np.hanning(y.shape[0]), np.hanning(y.shape[1]))
    power = np.abs(np.fft.fft2((y - y.mean()) * window)) ** 2 / (window**2).sum()
    radius = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, y.shape), indexing="ij"))
    edges = np.linspace(0, 0.5, bins + 1)
    counts, _ = np.histogram(radius, edges)
    sums, _ = np.histogram(radius, edges, weights=power)
    return (edges[1:] + edges[:-1]) / 2, sums / np.maximum(counts, 1)


def fine_power(sr: Picture, hr: Picture, limit: float) -> float:
    """How much of HR's power a prediction has beyond `limit` cycles a pixel, such as 0.25 at 2x,
    where all detail is the method's own. 1 is as much; it need not be the right detail."""
    (frequency, power), (_, true) = power_spectrum(sr), power_spectrum(hr)
    rings = frequency * (frequency > limit)  # a ring holds as many waves as it is long
    return float((rings * power).sum() / (rings * true).sum())


def grid_levels(srs: Sequence[Picture], hrs: Sequence[Picture], period: int = 16) -> float:
    """How strong a pattern that repeats every `period` pixels is in the errors of predictions, in
    levels of 255 (RMS): a plaid or checkerboard that a network lays over whatever it is shown.

    The errors are cut into tiles and averaged, which leaves what repeats; what would remain of
    errors without any pattern is taken off. Raises ValueError for fewer tiles than two.
    """
    tiles = []
    for sr, hr in zip(srs, hrs, strict=True):
        error = to_array(sr) - to_array(hr)
        rows, columns = (side // period for side in error.shape[:2])
        error = (error - error.mean((0, 1)))[: rows * period, : columns * period]
        cut = error.reshape(rows, period, columns, period, 3).swapaxes(1, 2)
        tiles += list(cut.reshape(-1, period, period, 3))
    if len(tiles) < 2:
        raise ValueError(f"{len(tiles)} tiles of {period} pixels show no repetition")
    chance = np.var(tiles, axis=0, ddof=1).mean() / len(tiles)
    return float(np.sqrt(max(np.mean(tiles, axis=0).var() - chance, 0.0)))


def strength_for(
    distort: Callable[[float], Picture], hr: Picture, target: float, high: float, border: int = 2
) -> float:
    """The strength, from a thousandth of `high` up to it, at which the PSNR is `target` dB.

    The PSNR (RGB) must fall from above the target to below it as the strength grows.
    Raises ValueError where it does not.
    """

    def above(strength: float) -> float:
        return min(psnr(distort(strength), hr, "rgb", border), 1e3) - target  # inf for no change

    return float(brentq(above, high / 1000, high, xtol=1e-6 * high))


def equally_wrong(hr: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """A picture spoiled in four ways of the same PSNR (RGB, border 2): moved by one pixel to the
    right, and as much blurred, covered with noise and brightened as that costs.

    Shape: hr (3, H, W) in [0, 1] -> four of the same.
    """
    noise = torch.randn(hr.shape, generator=torch.Generator().manual_seed(seed))
    moved = torch.cat([hr[..., :1], hr[..., :-1]], -1)
    target = psnr(moved, hr, "rgb")
    ways: dict[str, tuple[Callable[[float], Tensor], float]] = {
        "blurred": (lambda s: gaussian_blur(hr, [21, 21], [s]), 8.0),
        "noisy": (lambda s: (hr + s * noise).clamp(0, 1), 1.0),
        "brighter": (lambda s: (hr + s).clamp(0, 1), 1.0),
    }
    spoiled = {name: way(strength_for(way, hr, target, most)) for name, (way, most) in ways.items()}
    return {"moved by one pixel": moved, **spoiled}


def protocol(channel: str = "y", border: int = 2) -> str:
    """The protocol in words, for tables: "Y, border 2"."""
    return f"{channel.upper()}, border {border}"
