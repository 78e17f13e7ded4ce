"""How much context a generator uses: section 4.2's hypothesis, put to trained networks.

Two questions. Which LR pixels does an output pixel answer to (the effective receptive field, Luo et
al., 2016)? And what is lost when the network is not shown more than a few pixels around?
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from srkit.data.images import bicubic_lr, denorm
from srkit.evaluation.results import Row, Run
from srkit.metrics import psnr


@torch.no_grad()
def psnr_with_context(
    generator: nn.Module, hr: Tensor, radii: Sequence[int], target: int = 16
) -> list[float]:
    """PSNR (Y) of the middle `target` x `target` HR pixels, when the network is shown no more than
    `radius` LR pixels beyond them, for each radius; the mean over photographs, in dB.

    Shape: hr (N, 3, H, W) in [0, 1]. Raises ValueError where a radius reaches beyond a photograph.
    """
    scale = generator.scale
    assert isinstance(scale, int)
    generator.eval()
    device = next(generator.parameters()).device
    lr = bicubic_lr(hr, scale)
    half = target // scale // 2
    top, left = lr.shape[-2] // 2 - half, lr.shape[-1] // 2 - half
    most = min(top, left, lr.shape[-2] - top - 2 * half, lr.shape[-1] - left - 2 * half)
    if max(radii) > most:
        raise ValueError(f"a radius of {max(radii)} LR pixels, the photographs allow {most}")
    y, x = scale * top, scale * left
    truth = hr[..., y : y + target, x : x + target]
    means = []
    for radius in radii:
        side = 2 * (half + radius)
        rows, columns = (slice(at - radius, at - radius + side) for at in (top, left))
        edge = scale * radius
        values = []
        for low, high in zip(lr, truth, strict=True):
            sr = denorm(generator(low[None, :, rows, columns].to(device)))[0].cpu()
            middle = sr[:, edge : edge + target, edge : edge + target]
            values.append(psnr(middle, high, "y", 0))
        means.append(sum(values) / len(values))
    return means


def context_rows(
    run: Run, method: str, reach: Mapping[float, int], psnr_at: Mapping[int, float], **facts: Any
) -> list[Row]:
    """What was found of one network: its effective radius by the share of influence, in output
    pixels, and its PSNR by the LR pixels that it was shown."""
    name, protocol = "Effective receptive radius", "output pixels, gradient on photographs"
    rows = [run.row(method, name, r, protocol, share=s, scale=2, **facts) for s, r in reach.items()]
    protocol = "Y, the middle 16x16 pixels"
    for radius, value in psnr_at.items():
        rows.append(run.row(method, "PSNR", value, protocol, context=radius, scale=2, **facts))
    return rows
