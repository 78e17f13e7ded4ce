"""Is this training going well? What a log says beside the losses, and warnings in plain words."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from srkit.losses import Weights

# When a run is in trouble; a warning wants it in all of the last PATIENCE rows.
PATIENCE = 5
SURE = 0.95  # of the discriminator: D(real) above and 1 - D(fake) above
DEAD = 1e-6  # a term's gradient against the largest
DRIFT = 4.0  # levels of 255 between the mean colours of SR and LR
CHECKERED = 3.0  # times HR's energy in the finest pattern


def gradient_norms(terms: Mapping[str, Tensor], weights: Weights, sr: Tensor) -> dict[str, Tensor]:
    """The norm of each weighted loss term's gradient where it enters the generator, at its output.

    All further back-propagation is linear in it, so a term with none here trains nothing.
    Shape: terms (), sr (B, 3, H, W) with a graph -> named (), detached.
    """
    norms = {}
    for name, value in terms.items():
        weighted = getattr(weights, name) * value
        gradient = None
        if weighted.requires_grad:
            (gradient,) = torch.autograd.grad(weighted, sr, retain_graph=True, allow_unused=True)
        norms[name] = torch.zeros((), device=sr.device) if gradient is None else gradient.norm()
    return norms


@torch.no_grad()
def colour_drift(sr: Tensor, lr: Tensor) -> Tensor:
    """How far the mean colour of SR is from LR's, the largest channel's mean of absolute
    differences, in levels of 0-255. LR has the right colours: bicubic keeps means.

    Shape: sr (B, 3, H, W) in [-1, 1], lr (B, 3, h, w) in [0, 1] -> ().
    """
    means = (sr.float() + 1).mean((2, 3)) / 2 - lr.float().mean((2, 3))  # (B, 3)
    return 255 * means.abs().mean(0).max()


@torch.no_grad()
def checkerboard(sr: Tensor, hr: Tensor) -> Tensor:
    """Energy of the finest pattern, alternating from pixel to pixel both ways, in SR against HR.

    1 is as much as photographs have; pixel shuffles and strided convolutions that fight leave more.
    Shape: (B, 3, H, W) twice -> ().
    """

    def energy(image: Tensor) -> Tensor:
        x = image.float()
        pattern = x[..., 1:, 1:] - x[..., 1:, :-1] - x[..., :-1, 1:] + x[..., :-1, :-1]
        return F.mse_loss(pattern, torch.zeros_like(pattern))

    return energy(sr) / energy(hr).clamp(min=1e-8)


def warnings_in(rows: Sequence[Mapping[str, Any]], last: int = PATIENCE) -> list[str]:
    """What is wrong with a run, in plain words, by the newest `last` rows of its log."""
    rows = rows[-last:]
    if len(rows) < last:
        return []
    told = []
    if all(row.get("d_real", 0) > SURE and row.get("d_fake", 1) < 1 - SURE for row in rows):
        told.append(
            f"the discriminator is never wrong (D(real) over {SURE}, D(fake) under {1 - SURE:.2f}),"
            " and the generator learns little from it: lower its weight, or make it smaller"
        )
    for name in sorted({key for row in rows for key in row if key.startswith("gradient_")}):
        largest = [max(v for k, v in row.items() if k.startswith("gradient_")) for row in rows]
        if all(row.get(name, 0) <= DEAD * most for row, most in zip(rows, largest, strict=True)):
            term = name.removeprefix("gradient_")
            told.append(
                f"the {term} term is dead: its gradient is below a millionth of the largest; is its"
                " weight right, and has its network real weights?"
            )
    if all(row.get("colour_drift", 0) > DRIFT for row in rows):
        drift = f"colours drift: SR's mean colour is more than {DRIFT:.0f} levels from LR's"
        told.append(drift + colour_advice(rows[-1]))
    if all(row.get("checkerboard", 0) > CHECKERED for row in rows):
        told.append(
            f"checkerboard: SR has more than {CHECKERED:.0f} times the energy of HR in the pattern"
            " of single pixels"
        )
    return told


def colour_advice(row: Mapping[str, Any]) -> str:
    """What to do about colours that drift: MSE keeps them where it is heard. Nothing can be said
    where no training is (no gradients)."""
    pulls = {key: value for key, value in row.items() if key.startswith("gradient_")}
    if not pulls:
        return ""
    if pulls.get("gradient_mse", 0) < max(pulls.values()):
        return "; MSE keeps them, and another term pulls harder: raise its weight"
    return "; MSE leads already, so give it time, or smaller steps"
