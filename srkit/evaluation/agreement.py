"""How far a content network agrees with another one: in its features, and in what it asks for."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from srkit.data.images import bicubic_lr, norm
from srkit.losses import ContentLoss, mse_loss
from srkit.models.vgg19 import SMALL_LAYERS
from srkit.weights import load_vgg19

Loss = Callable[[Tensor, Tensor], Tensor]  # of sr and hr, (B, 3, H, W) in [-1, 1]


def agreement(content: str, teacher: str, hr: Tensor) -> dict[str, dict[str, dict[str, float]]]:
    """By layer, what a small content network has in common with VGG19 on photographs, both as
    `load_vgg19` takes them; and beside it, what an untrained VGG19 and the pixels have.

    Shape: hr (N, 3, H, W) in [0, 1].
    """
    found = {}
    for layer in SMALL_LAYERS:
        names = (content, teacher, "untrained")
        made, wanted, untrained = (ContentLoss(load_vgg19(name, layer)) for name in names)
        others: dict[str, Loss] = {"small": made, "untrained VGG19": untrained, "pixels": mse_loss}
        found[layer] = {name: same_wishes(loss, wanted, hr) for name, loss in others.items()}
        found[layer]["small"]["explained variance"] = explained_variance(made, wanted, hr)
    return found


@torch.no_grad()
def explained_variance(made: ContentLoss, wanted: ContentLoss, hr: Tensor) -> float:
    """1 minus the squared error of the features by their variance about each channel's mean."""
    features = wanted.features(norm(hr))
    variance = (features - features.mean((0, 2, 3), keepdim=True)).square().mean()
    return float(1 - (made.features(norm(hr)) - features).square().mean() / variance)


def same_wishes(made: Loss, wanted: Loss, hr: Tensor) -> dict[str, float]:
    """Of two losses, over photographs spoiled in many ways: the mean cosine of their gradients
    with respect to the picture, and the correlation of the values' logarithms.

    Shape: hr (N, 3, H, W) in [0, 1].
    """
    values, cosines = [], []
    for picture in hr.split(1):
        for spoiled in ways(picture):
            pair, pulls = [], []
            for loss in (made, wanted):
                sr = norm(spoiled).requires_grad_()
                value = loss(sr, norm(picture))
                pulls.append(torch.autograd.grad(value, sr)[0].flatten())
                pair.append(value.detach().log())
            values.append(torch.stack(pair))
            cosines.append(F.cosine_similarity(pulls[0], pulls[1], dim=0))
    correlation = torch.corrcoef(torch.stack(values, 1))[0, 1]
    return {
        "gradient cosine": float(torch.stack(cosines).mean()),
        "correlation of losses": float(correlation),
    }


def ways(hr: Tensor) -> list[Tensor]:
    """A picture enlarged from half and from a quarter, too sharp, noisy, brighter, and moved by one
    pixel. Shape: (1, 3, H, W) in [0, 1] -> six of the same."""
    half, quarter = (
        F.interpolate(bicubic_lr(hr, scale), hr.shape[-2:], mode="bicubic") for scale in (2, 4)
    )
    noise = torch.randn(hr.shape, generator=torch.Generator().manual_seed(0))
    spoiled = [half, quarter, 2 * hr - half, hr + 0.05 * noise, hr + 0.1, hr.roll(1, -1)]
    return [picture.clamp(0, 1) for picture in spoiled]


def told(numbers: dict[str, dict[str, dict[str, float]]]) -> str:
    """What `agreement` found, a line a layer and network."""
    return "".join(
        f"  {layer}, {name}: {', '.join(f'{what} {value:.3f}' for what, value in found.items())}\n"
        for layer, networks in numbers.items()
        for name, found in networks.items()
    )
