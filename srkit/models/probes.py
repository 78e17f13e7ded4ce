"""What notebooks and tests ask of a network: its size, its cost, how far it looks."""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(model: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_gflop(model: nn.Module, height: int, width: int) -> float:
    """GFLOP (10^9 operations, a multiply-add is two) of one forward pass on one image."""
    parameter = next(model.parameters())
    image = torch.zeros(1, 3, height, width, device=parameter.device, dtype=parameter.dtype)
    training = model.training
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(image)
    model.train(training)
    return counter.get_total_flops() / 1e9


def receptive_field(generator: nn.Module, lr_size: int = 128) -> Tensor:
    """How strongly one output pixel depends on each input pixel (a gradient probe, section 4.2).

    The gradient of the output pixel nearest the middle, its channels summed, with respect to a
    constant grey input with a little noise, as absolute values summed over channels.

    Shape: -> (lr_size, lr_size), at the input's resolution.
    """
    training = generator.training
    generator.eval()
    noise = torch.Generator().manual_seed(0)
    lr = 0.5 + 0.1 * torch.randn(1, 3, lr_size, lr_size, generator=noise)
    lr = lr.to(next(generator.parameters()).device).requires_grad_()
    sr = generator(lr)
    middle = sr.shape[-1] // 2
    (gradient,) = torch.autograd.grad(sr[0, :, middle, middle].sum(), lr)
    generator.train(training)
    return gradient[0].abs().sum(0)


def receptive_radius(generator: nn.Module, lr_size: int = 128) -> int:
    """The farthest that the probe of `receptive_field` reaches from its output pixel, in output
    pixels (section 4.2 has 80 for SRGAN at 2x). At least `lr_size // 2 * scale` means all of it.
    """
    touched = receptive_field(generator, lr_size).nonzero()  # (N, 2)
    middle = lr_size // 2
    reach = max(middle - int(touched.min()), int(touched.max()) - middle)
    scale = generator.scale
    assert isinstance(scale, int)
    return scale * reach


def gradient_map(generator: nn.Module, lr: Tensor) -> Tensor:
    """The effective receptive field on photographs: |d SR(middle) / d LR|, summed over channels,
    divided by its sum, and averaged over the photographs. `effective_radius` reads it.

    Shape: lr (N, 3, h, w) in [0, 1] -> (h, w), sum 1.
    """
    generator.eval()
    device = next(generator.parameters()).device
    total = torch.zeros(lr.shape[-2:])
    for one in lr:
        low = one[None].to(device).requires_grad_()
        sr = generator(low)
        y, x = sr.shape[-2] // 2, sr.shape[-1] // 2
        (gradient,) = torch.autograd.grad(sr[0, :, y, x].sum(), low)
        field = gradient[0].abs().sum(0).cpu()
        total += field / field.sum()
    return total / len(lr)


def effective_radius(field: Tensor, scale: int = 2, share: float = 0.9) -> int:
    """How far from its output pixel `share` of a network's influence reaches, in output pixels:
    the effective receptive field (Luo et al., 2016) beside `models.receptive_radius`, which counts
    every pixel with any influence at all. Half the side of a square around the pixel.

    Shape: field (lr_size, lr_size), what `models.receptive_field` returns -> pixels.
    """
    offsets = (torch.arange(len(field)) - len(field) // 2).abs()
    distance = torch.maximum(offsets[:, None], offsets[None, :])  # (lr_size, lr_size)
    within = [float(field[distance <= reach].sum()) for reach in range(int(distance.max()) + 1)]
    return scale * next(r for r, total in enumerate(within) if total >= share * within[-1])


@torch.no_grad()
def largest_layer(generator: nn.Module, lr_size: int = 64) -> float:
    """The values that the largest output of a layer has for each input pixel: what memory grows
    with."""
    sizes: list[int] = []

    def note(_: nn.Module, __: object, out: object) -> None:
        sizes.append(out.numel() if isinstance(out, Tensor) else 0)

    hooks = [module.register_forward_hook(note) for module in generator.modules()]
    device = next(generator.parameters()).device
    generator(torch.zeros(1, 3, lr_size, lr_size, device=device))
    for hook in hooks:
        hook.remove()
    return max(sizes) / lr_size**2
