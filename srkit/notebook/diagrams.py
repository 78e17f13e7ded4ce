"""Figures 1 and 2, drawn from the network objects themselves, and what such a network attends to.

Nothing here knows an architecture: kernel sizes, channels, strides, repeats, resolutions and
attention weights are read off the modules while a picture runs through them.
"""

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from torch import Tensor, nn

from srkit import models
from srkit.notebook.figures import colour, panel, subplots
from srkit.weights import LABELS

# What is drawn as one box; everything inside it is summed up in its label.
UNITS: dict[type[nn.Module], tuple[str, str]] = {
    models.ResidualBlock: ("residual block", "#9fc5a8"),
    models.DenseBlock: ("dense block", "#e9b87a"),
    models.UNetBlock: ("U-Net residual block", "#9fb8d8"),
    models.UpBlock: ("up: conv, attention, shuffle", "#c9a6d6"),
    models.DownBlock: ("residual block, pool", "#93c4c4"),
    models.Attention: ("attention", "#f0d264"),
    nn.Conv2d: ("convolution", "#d9d9d9"),
    nn.PixelShuffle: ("pixel shuffle", "#c9a6d6"),
    nn.AdaptiveAvgPool2d: ("pooling", "#f2f2f2"),
    nn.Linear: ("dense layer", "#c4b7a6"),
}


@dataclass(frozen=True)
class Unit:
    """One box of a diagram: what it is, its label, its output and how often it is repeated."""

    kind: str
    colour: str
    label: str
    channels: int
    size: float  # output height over the input's; 0 for vectors
    name: str  # the module's place in the network, such as "unet.down.0"
    repeats: int = 1


def units(network: nn.Module, size: int = 64) -> list[Unit]:
    """The boxes of a network in the order in which a size x size picture passes through them;
    equal neighbours are one box with a count. The picture has a shape and no content (PyTorch's
    meta device), and so has the copy of the network that it passes through."""
    network = deepcopy(network).to("meta").eval()
    boxes: list[Unit] = []
    inside: list[nn.Module] = []  # the unit being run: its parts draw no boxes of their own

    def enter(module: nn.Module, _) -> None:
        inside.append(module)

    def leave(name: str, module: nn.Module, output: torch.Tensor) -> None:
        inside.pop()
        if inside:
            return
        kind, colour = UNITS[type(module)]
        flat = output.ndim == 2
        relative = 0.0 if flat else output.shape[-1] / size
        unit = Unit(kind, colour, describe(module, name), output.shape[1], relative, name)
        last = boxes[-1] if boxes else None
        if last and replace(last, name="", repeats=1) == replace(unit, name="", repeats=1):
            boxes[-1] = replace(last, repeats=last.repeats + 1)
        else:
            boxes.append(unit)

    for name, module in network.named_modules():
        if type(module) in UNITS:
            module.register_forward_pre_hook(enter)
            module.register_forward_hook(lambda m, _, out, name=name: leave(name, m, out))
    with torch.no_grad():
        network(torch.zeros(1, 3, size, size, device="meta"))
    return boxes


def describe(module: nn.Module, name: str = "") -> str:
    """Kernel (k), number of feature maps (n) and stride (s) in the notation of Figure 1."""
    if isinstance(module, nn.Linear):
        head = "" if name.split(".")[-1].isdigit() else f"{name}\n"
        return f"{head}{module.out_features}".replace("classifier", "class")
    if isinstance(module, nn.PixelShuffle):
        return f"x{module.upscale_factor}"
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return f"{module.output_size}x{module.output_size}"
    convs = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    if isinstance(module, models.Attention):
        return f"k{convs[-1].kernel_size[0]}"
    main = [c for c in convs if c.kernel_size[0] > 1 and c.in_channels > 2]
    return f"k{main[-1].kernel_size[0]}n{main[-1].out_channels}s{main[-1].stride[0]}"


def draw(axes: Axes, network: nn.Module, title: str, size: int = 64) -> list[Unit]:
    """One network from left to right; a step down is half the resolution, a step up twice it."""
    boxes = units(network, size)
    floor = min(b.size for b in boxes if b.size) / 2
    level = [np.log2(b.size or floor) for b in boxes]
    rise = (max(level) - min(level) + 2) / 8  # a box's height follows the panel's
    for place, box in enumerate(boxes):
        draw_box(axes, box, place, level[place], rise)
        before, bend = place - 1, {}
        if box.name == "classifier":  # beside the validity head, not after it
            before, bend = place - 2, {"connectionstyle": "arc3,rad=0.42"}
        if place:
            arrow = {"arrowstyle": "->", "lw": 0.7, "color": "#444", **bend}
            ends = (place - 0.36, level[place]), (before + 0.36, level[before])
            axes.annotate("", *ends, arrowprops=arrow)
    for start, end in skips(boxes):
        y, gap = max(level[start : end + 1]) + 0.72 * rise, 0.4 * rise
        path = [(start, level[start] + gap), (start, y), (end, y), (end, level[end] + gap)]
        axes.plot(*zip(*path, strict=True), color="#888", lw=0.8, ls="--")
    steps = sorted({round(v, 3): b.size for v, b in zip(level, boxes, strict=True)}.items())
    axes.set_yticks([y for y, _ in steps], [resolution(v) for _, v in steps], fontsize=9)
    axes.set(xlim=(-0.8, len(boxes) - 0.2), xticks=[])
    axes.set_ylim(min(level) - rise / 1.5, max(level) + rise)
    axes.set_title(title, fontsize=11, loc="left")
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    return boxes


def draw_box(axes: Axes, box: Unit, x: float, y: float, rise: float) -> None:
    """One unit around (x, y) with its label in it, a part a line."""
    label = re.sub(r"(?<=\d)(?=[ns]\d)", "\n", box.label)
    label = f"{box.repeats}×\n{label}" if box.repeats > 1 else label
    height = rise * 0.21 * (1.5 + label.count("\n"))
    corner, style = (x - 0.36, y - height / 2), "round,pad=0.02"
    frame = FancyBboxPatch(corner, 0.72, height, style, lw=0.6, fc=box.colour, ec="#444")
    axes.add_patch(frame)
    axes.text(x, y, label, ha="center", va="center", fontsize=9, linespacing=0.95)


def resolution(size: float) -> str:
    """A relative output size in words: 1x, 2x, 1/4, or "vector" for none."""
    if size == 0:
        return "vector"
    return f"{size:g}x" if size >= 1 else f"1/{1 / size:g}"


def skips(boxes: list[Unit]) -> list[tuple[int, int]]:
    """The long skips: SRGAN's from its first convolution to its last before upsampling, and the
    U-Net's from each level down to the way up at the same resolution."""
    places = {box.name: place for place, box in enumerate(boxes)}
    pairs = []
    if "head.0" in places and "merge.0" in places:
        pairs.append((places["head.0"], places["merge.0"]))
    down = {box.size: p for p, box in enumerate(boxes) if box.name.startswith("unet.down.")}
    ups = [p for p, box in enumerate(boxes) if box.name.startswith("unet.up.")]
    return pairs + [(down[boxes[place].size], place) for place in ups]


def architecture(generator: nn.Module, discriminator: nn.Module, name: str) -> Figure:
    """Figure 1 or 2: generator above discriminator, read off the two objects."""
    figure, (above, below) = subplots(9, 8.6, 2)
    crop = 96 if isinstance(discriminator, models.SRGANDiscriminator) else 256
    parts = [(above, generator, "generator", 64), (below, discriminator, "discriminator", crop)]
    legend: dict[str, str] = {}
    for axes, network, role, size in parts:
        millions = models.count_parameters(network) / 1e6
        boxes = draw(axes, network, f"{name} {role}, {millions:.2f} M parameters", size)
        legend |= {box.kind: box.colour for box in boxes}
    patches = [Rectangle((0, 0), 1, 1, fc=c, ec="#444", lw=0.6) for c in legend.values()]
    notation = (
        "k kernel size, n feature maps, s stride (of a block's last convolution);\n"
        "dashed: long skips; height: resolution"
    )
    text = {"title": notation, "title_fontsize": 9, "fontsize": 9}
    figure.legend(patches, list(legend), loc="outside lower center", ncols=4, **text)
    return figure


# --- What a network attends to, and how far it sees ----------------------------------------------

Attended = tuple[Tensor, Tensor]  # one attention layer's channel weights (C,), spatial ones (h, w)


@torch.no_grad()
def attention_weights(network: nn.Module, lr: Tensor) -> dict[str, Attended]:
    """The weights, all in (0, 1), that each attention layer gives one picture, by layer.

    They are caught by forward hooks on the two parts of `models.Attention`, before its sigmoids.

    Shape: lr (3, H, W) in [0, 1] -> (C,) and (h, w) for each layer, of its own width and size.
    """
    layers = {n: m for n, m in network.named_modules() if isinstance(m, models.Attention)}
    caught: dict[nn.Module, list[Tensor]] = {}

    def catch(module: nn.Module, _, output: Tensor) -> None:
        caught.setdefault(module, []).append(output[0])

    parts = [part for layer in layers.values() for part in (layer.mlp, layer.spatial)]
    handles = [part.register_forward_hook(catch) for part in parts]
    try:
        network(lr[None].to(next(network.parameters()).device))
    finally:
        for handle in handles:
            handle.remove()
    weights = {}
    for name, layer in layers.items():
        mean, maximum = caught[layer.mlp]  # the MLP runs twice: on the means and on the maxima
        channel = torch.sigmoid(mean + maximum).flatten().cpu()
        weights[name] = (channel, torch.sigmoid(caught[layer.spatial][0][0]).cpu())
    return weights


def attention_maps(lr: Tensor, weights: Mapping[str, Attended], width: float = 1.8) -> Figure:
    """A picture and, layer by layer, where (above) and in which channels (below) it is attended to.

    Each map has a grey scale of its own, its ends are written below it; channels are sorted.
    """
    columns = min(5, len(weights) + 1)
    lines = -(-(len(weights) + 1) // columns)
    size, ratios = (width * columns, 1.95 * width * lines), (1, 0.6) * lines
    figure, grid = subplots(*size, 2 * lines, columns, squeeze=False, height_ratios=ratios)
    maps, bars = grid[::2].flatten(), grid[1::2].flatten()
    panel(maps[0], lr, "LR")
    for axes in (bars[0], *maps[len(weights) + 1 :], *bars[len(weights) + 1 :]):
        axes.axis("off")
    panels = zip(maps[1:], bars[1:], weights.items(), strict=False)
    for where, which, (name, (channel, spatial)) in panels:
        ends = f"{float(spatial.min()):.2f} to {float(spatial.max()):.2f}"
        panel(where, spatial.numpy(), layer_name(name), ends, cmap="gray")
        heights = channel.sort(descending=True).values.numpy()
        which.bar(range(len(channel)), heights, 1.0, color="#b0304f")
        which.set(ylim=(0, 1), xticks=[], yticks=[0, 0.5, 1])
        which.tick_params(labelsize=8)
        which.set_xlabel(f"{len(channel)} channels", fontsize=9)
    return figure


def layer_name(name: str) -> str:
    """An attention layer's place in the network in words: "unet.down.0.2" is "unet, down 1"."""
    places = [place for place in name.split(".") if place != "attention"]
    numbers = [place for place in places if place.isdigit()]
    words = [place for place in places if not place.isdigit()]
    return f"{', '.join(words)} {int(numbers[0]) + 1}"


def context_curves(curves: Mapping[str, Mapping[int, float]]) -> Figure:
    """What context buys: PSNR of the same pixels against how much a network was shown around them,
    as the difference to the least that it was shown; a line a method."""
    figure, axes = subplots(6.4, 3.6)
    for method, curve in curves.items():
        radii, values = [*curve], [*curve.values()]
        gain = [value - values[0] for value in values]
        axes.plot(radii, gain, "o-", color=colour(method), ms=4, lw=1.4, label=LABELS[method])
    axes.axhline(0, color="#444", lw=0.8)
    axes.set(xlabel="LR pixels shown around the target", ylabel="PSNR gained (dB)", xscale="log")
    axes.set_xticks([], minor=True)
    axes.set_xticks(radii, [f"{radius}" for radius in radii])
    axes.legend(fontsize=8)
    axes.grid(alpha=0.25)
    return figure
