"""Pictures and tensors, and how LR is made of HR (the report's section 3).

LR is antialiased bicubic downsampling of HR. LR tensors are in [0, 1], HR tensors in [-1, 1] (the
report's Norm).
"""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from srkit.files import SrkitError


class DataError(SrkitError, ValueError):
    """Photographs that are absent, too few or too small; the message says which and what to do."""


def to_tensor(image: Image.Image | np.ndarray) -> Tensor:
    """A PIL image or uint8 (H, W, 3) array as (3, H, W) float32 in [0, 1]."""
    array = np.array(as_rgb(image) if isinstance(image, Image.Image) else image)
    return torch.from_numpy(array).permute(2, 0, 1).float().div(255)


def as_rgb(image: Image.Image) -> Image.Image:
    """A picture of 8 bits in RGB: alpha is dropped, an EXIF rotation is not applied. Raises
    DataError for modes that PIL would clip at 255 ("I;16", "I", "F") or cannot convert ("LAB")."""
    check_mode(image)
    return image.convert("RGB")


def check_mode(image: Image.Image) -> None:
    """Raise DataError for a picture that is not of 8 bits; its header says so."""
    if image.mode.startswith(("I", "F", "LAB")):
        what = f"{getattr(image, 'filename', '') or 'a picture'} has the mode {image.mode}"
        raise DataError(f"{what}, not 8-bit RGB or grey; convert it to 8 bits first")


def to_image(tensor: Tensor) -> Image.Image:
    """A (3, H, W) tensor in [0, 1] as a PIL image, rounded to 8 bits and clipped."""
    array = tensor.detach().cpu().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(array)


def norm(image: Tensor) -> Tensor:
    """[0, 1] -> [-1, 1]: the Norm of Eq. (1), whose input of 0-255 is [0, 1] here."""
    return image * 2 - 1


def denorm(image: Tensor) -> Tensor:
    """[-1, 1] -> [0, 1], values outside clipped: what a generator's output looks like."""
    return ((image + 1) / 2).clamp(0, 1)


def bicubic_lr(hr: Tensor, scale: int) -> Tensor:
    """Antialiased bicubic downsampling (section 3), rounded to 8 bits as a real LR file is.

    The kernel is MATLAB's and PIL's (a = -0.5, widened by `scale`), so Set5 comes out as in the
    literature. Torch's bicubic without antialias does not.

    Shape: (B, 3, scale*h, scale*w) in [0, 1] -> (B, 3, h, w) in [0, 1].
    Raises ValueError where a side is no multiple of `scale`.
    """
    lr = F.interpolate(hr, lr_size(hr, scale), mode="bicubic", antialias=True)
    return lr.clamp(0, 1).mul(255).round().div(255)


def lanczos_lr(hr: Tensor, scale: int) -> Tensor:
    """As `bicubic_lr`, by PIL's Lanczos (a = 3), which rounds to 8 bits after either pass: the LR
    of the author's later code. In float64, which autocast and TF32 leave alone (MPS has none)."""
    lr = hr if hr.device.type == "mps" else hr.double()
    down, across = (lanczos_weights(side * scale, scale).to(lr) for side in lr_size(hr, scale))
    lr = (lr @ across.T).clamp(0, 1).mul(255).round().div(255)  # (B, 3, scale*h, w)
    return (down @ lr).float().clamp(0, 1).mul(255).round().div(255)


def lanczos_weights(side: int, scale: int) -> Tensor:
    """Each LR pixel's weights, cut off at the edges and normalised: (side / scale, side)."""
    centre = (torch.arange(side // scale, dtype=torch.float64) + 0.5) * scale
    x = (torch.arange(side) + 0.5 - centre[:, None]) / scale
    weights = torch.sinc(x) * torch.sinc(x / 3) * (x.abs() < 3)
    return weights / weights.sum(1, keepdim=True)


def lr_size(hr: Tensor, scale: int) -> tuple[int, int]:
    """Height and width of LR. Raises ValueError where a side of HR is no multiple of `scale`."""
    height, width = hr.shape[-2:]
    if height % scale or width % scale:
        raise ValueError(f"an HR of {height}x{width} has no exact LR at {scale}x; crop it first")
    return height // scale, width // scale


def bicubic_lr_pil(hr: Image.Image, scale: int) -> Image.Image:
    """`bicubic_lr` by PIL: the same to within one of 255 levels, or a few at edges to pure black
    or white, which PIL clips between its two passes. HR is cropped to a multiple."""
    hr = crop_to_multiple(hr, scale)
    return hr.resize((hr.width // scale, hr.height // scale), Image.Resampling.BICUBIC)


def crop_to_multiple(image: Image.Image, scale: int) -> Image.Image:
    """Cut off up to scale - 1 columns on the right and rows at the bottom."""
    width, height = (side - side % scale for side in image.size)
    return image.crop((0, 0, width, height))


def resized(size: tuple[int, int], short_side: int | None) -> tuple[int, int]:
    """Width and height once the shorter of them is `short_side` (None leaves them as they are)."""
    if short_side is None:
        return size
    ratio = short_side / min(size)
    return max(short_side, round(size[0] * ratio)), max(short_side, round(size[1] * ratio))
