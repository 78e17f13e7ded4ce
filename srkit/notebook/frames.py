"""Things to play with where the idea is: a frame made beforehand for every position of a few
sliders, so that they play without a kernel, too. Each `explore_x` plays with what its notebook has
just shown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from srkit import models
from srkit.data.images import denorm
from srkit.fid import frechet
from srkit.notebook import diagrams, figures
from srkit.notebook.embed import Page, png, webp
from srkit.weights import LABELS

Shape = tuple[str, str, str, Any]  # kind, colour, label, and numbers: see `Drawing`


@dataclass(frozen=True)
class Axes:
    """The fixed axes of drawings."""

    x: tuple[float, float]
    y: tuple[float, float]
    xlabel: str = ""
    ylabel: str = ""
    equal: bool = False  # one unit is as long in both


@dataclass(frozen=True)
class Drawing:
    """Shapes in `Axes`. The numbers of a "line" or of "dots" are
    x, y, x, y and so on; those of an "ellipse" its centre, half axes, and angle in degrees."""

    title: str
    shapes: Sequence[Shape]


Frame = Figure | Drawing | Mapping[str, Image.Image]


class Frames(Page):
    """What `draw(**values)` makes for all values of the controls, such as `place=[1, 2, 3]`.

    It may make figures, drawings in common `axes`, or pictures by title, which are laid side by
    side. A control is called as its name is, its values as they are written, and it begins in its
    middle. Those in `drag` can be dragged in the frame itself along x and then y, between the first
    and the last of their values in `axes`, or over the whole of the first picture.
    """

    def __init__(
        self,
        title: str,
        draw: Callable[..., Frame],
        axes: Axes | None = None,
        drag: Sequence[str] = (),
        **controls: Sequence[Any],
    ):
        made = [
            draw(**dict(zip(controls, values, strict=True)))
            for values in product(*controls.values())
        ]
        data: dict[str, Any] = {"title": title, "frames": [as_json(frame) for frame in made]}
        data["captions"] = list(made[0]) if isinstance(made[0], Mapping) else []
        data["controls"] = [control(name, values) for name, values in controls.items()]
        data["drag"] = [list(controls).index(name) for name in drag]
        data["axes"] = vars(axes) if axes else None
        super().__init__("frames", data)


def control(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """A slider as the page has it."""
    texts = [f"{v:.3g}" if isinstance(v, int | float) else v for v in values]
    about = {"label": name.replace("_", " "), "values": texts, "start": len(values) // 2}
    return about | ({"ends": [values[0], values[-1]]} if texts != list(values) else {})


def as_json(frame: Frame) -> Any:
    """A frame as the page has it: a picture, or shapes."""
    if isinstance(frame, Figure):
        return webp(frame)
    if isinstance(frame, Drawing):
        shapes = [[*about, np.round(numbers, 3).tolist()] for *about, numbers in frame.shapes]
        return {"title": frame.title, "shapes": shapes}
    return png(side_by_side(list(frame.values())))


def side_by_side(pictures: Sequence[Image.Image], side: int = 256, gap: int = 8) -> Image.Image:
    """Pictures in a row, each enlarged in whole pixels to about `side`."""
    whole = Image.new("RGBA", ((side + gap) * len(pictures) - gap, side))  # the gap shows the page
    for number, picture in enumerate(pictures):
        large = picture.convert("RGB").resize((side, side), Image.Resampling.NEAREST)
        whole.paste(large, (number * (side + gap), 0))
    return whole


# --- What the notebooks play with ----------------------------------------------------------------


def explore_edge(methods: Sequence[str]) -> Frames:
    """Drag an edge over the LR pixels; see what each kernel makes of them."""

    def draw(place: float) -> Drawing:
        row, places, levels = figures.edge_curves(methods, place=place)
        scene = ("line", "#7fb77f", "the scene", [2.5, 60, place, 60, place, 190, 8.5, 190])
        seen = (places > 2.5) & (places < 8.5)
        curves = [
            ("line", figures.colour(m), LABELS[m], np.stack([places, v], 1)[seen].ravel())
            for m, v in levels.items()
        ]
        pixels = np.stack([np.arange(3, 9), row[3:9]], 1).ravel()
        dots = ("dots", figures.colour("hr"), "LR pixels", pixels)
        return Drawing(f"an edge at {place:.2f}", [scene, *curves, dots])

    axes = Axes((2.5, 8.5), (30, 220), "place (LR pixels)", "level")
    places = np.linspace(4, 7, 49).tolist()
    return Frames("An edge under three kernels", draw, axes, ["place"], place=places)


@torch.no_grad()
def explore_patch(generators: Mapping[str, nn.Module], lr: Tensor, cells: int = 5) -> Frames:
    """Drag a black patch over a picture; see where each network's prediction changes, however far.

    `generators` map a title to a network. Shape: lr (3, h, w) in [0, 1].
    """
    side = min(lr.shape[-2:]) // cells
    covered = lr.expand(cells * cells, -1, -1, -1).clone()
    for number, (row, column) in enumerate(product(range(cells), repeat=2)):
        covered[number, :, side * row : side * (row + 1), side * column : side * (column + 1)] = 0
    pictures = {"LR, a patch covered": covered}
    for title, generator in generators.items():
        whole = denorm(generator(lr[None]))
        levels = (denorm(generator(covered)) - whole).abs().mean(1, keepdim=True) * 255
        shown = ((levels + 1e-4).log10() + 4) / 6  # black: nothing; white: 100 levels
        pictures[f"{title}: change, log scale"] = shown.clamp(0, 1).expand(-1, 3, -1, -1)

    def draw(row: int, column: int) -> dict[str, Image.Image]:
        number = (row - 1) * cells + column - 1
        return {title: figures.to_image(several[number]) for title, several in pictures.items()}

    title, lines = "A patch covered, and what changes", range(1, cells + 1)
    return Frames(title, draw, drag=["column", "row"], row=lines, column=lines)


def explore_receptive_field(generators: Mapping[str, nn.Module]) -> Frames:
    """Choose a network and the size of its input; see what one output pixel depends on."""

    def draw(network: str, size: int) -> Figure:
        field = models.receptive_field(generators[network], size)
        return figures.receptive_fields({f"{network}, {size}x{size} input": field})

    title = "What one output pixel depends on"
    return Frames(title, draw, network=list(generators), size=[32, 64, 96])


def explore_attention(generator: nn.Module, pictures: Mapping[str, Tensor]) -> Frames:
    """Choose a picture and one of a generator's attention layers; see what it attends to.

    Shape: pictures (3, H, W) in [0, 1].
    """
    weights = {name: diagrams.attention_weights(generator, lr) for name, lr in pictures.items()}
    layers = {diagrams.layer_name(layer): layer for layer in next(iter(weights.values()))}

    def draw(picture: str, layer: str) -> dict[str, Image.Image]:
        _, spatial = weights[picture][layers[layer]]
        share = (spatial - spatial.min()) / (spatial.max() - spatial.min()).clamp(min=1e-12)
        lr, where = (figures.to_image(x) for x in (pictures[picture], share.expand(3, -1, -1)))
        return {"LR": lr, "where it is attended to (white: most)": where}

    return Frames("What attention looks at", draw, picture=list(pictures), layer=list(layers))


def explore_gaussians() -> Frames:
    """Move, stretch and tilt one of two Gaussians; see their Frechet distance."""
    axes = Axes((-6, 9), (-3, 3), "first axis", "second axis", equal=True)
    return Frames(
        "Two Gaussians and their distance",
        draw_gaussians,
        axes,
        ["shift"],
        shift=np.linspace(-2, 4, 25).tolist(),
        stretch=np.linspace(0.5, 2.5, 9).tolist(),
        correlation=[-0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9],
    )


def draw_gaussians(shift: float, stretch: float, correlation: float) -> Drawing:
    """A standard Gaussian, and one that is moved and stretched along the first axis; of each the
    ellipses of one and two standard deviations."""
    covariance = correlation * stretch
    cov_b = np.array([[stretch**2, covariance], [covariance, 1.0]])
    shapes: list[Shape] = []
    statistics = []
    for label, method, mean, cov in (
        ("A", "bicubic", np.zeros(2), np.eye(2)),
        ("B", "sr-ugan", np.array([shift, 0.0]), cov_b),
    ):
        statistics.append(frechet.Statistics.gaussian(mean, cov))
        values, vectors = np.linalg.eigh(cov)
        angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
        low, high = np.sqrt(values)
        for sigma in (1, 2):
            about = [*mean, sigma * high, sigma * low, angle]
            shapes.append(("ellipse", figures.colour(method), "", about))
        shapes.append(("dots", figures.colour(method), label, mean))
    return Drawing(f"squared distance {frechet.frechet_distance(*statistics):.3f}", shapes)
