"""Things to play with at the end of a notebook: one function a widget; and its exercises' judge.

Each widget redraws a figure that the notebook has already shown, so that a page without a running
kernel lacks nothing but the playing.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from ipywidgets import Dropdown, FloatSlider, IntSlider, SelectionSlider, interactive
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from srkit import models
from srkit.data.images import bicubic_lr_pil, crop_to_multiple
from srkit.fid import frechet
from srkit.metrics import psnr
from srkit.notebook import diagrams, figures
from srkit.weights import LABELS


def check_answer(answer: float | None, right: float | None) -> None:
    """Say whether an exercise's number is right, to one per cent; None is "not answered yet", and
    where it takes time to work out what is right, that may be None too until then."""
    if answer is None:
        print("not answered yet: put your number in the place of None and run the cell again")
    elif right is not None and math.isclose(answer, right, rel_tol=0.01):
        print(f"right: {answer:g}")
    else:
        print(f"{answer:g} is not it; look again, then run this cell once more")


def _shown(draw: Callable[..., Figure]) -> Callable[..., None]:
    """`draw`, with its figure displayed and closed."""

    def show(**values) -> None:
        figure = draw(**values)
        display(figure)
        plt.close(figure)

    return show


def explore_methods(
    photo: Image.Image,
    methods: Sequence[str],
    predict: Callable[[Image.Image, str], Image.Image],
    scale: int = 2,
    zoom: int = 64,
    labels: Mapping[str, str] = LABELS,
) -> interactive:
    """Choose a method and a square of the photograph; see LR's prediction beside HR.

    `predict(lr, method)` returns the enlarged picture.
    """
    hr = crop_to_multiple(photo, scale)
    lr = bicubic_lr_pil(hr, scale)
    done: dict[str, Image.Image] = {}

    def draw(method: str, left: int, top: int) -> Figure:
        if method not in done:
            done[method] = predict(lr, method)
        sr = done[method]
        box = (left, top, left + zoom, top + zoom)
        title = f"{labels[method]}: {psnr(sr, hr, 'y', scale):.2f} dB"
        return figures.show_images({title: sr.crop(box), "HR": hr.crop(box), "all of it": hr}, 3.2)

    names = [(labels[method], method) for method in methods]
    return interactive(
        _shown(draw),
        method=Dropdown(options=names, description="method"),
        left=IntSlider(hr.width // 3, 0, hr.width - zoom, 8, continuous_update=False),
        top=IntSlider(hr.height // 3, 0, hr.height - zoom, 8, continuous_update=False),
    )


def explore_samples(folder: str | Path) -> interactive:
    """Move through a training run's held-out samples, update by update."""
    files = {int(f.stem.split("_")[1]): f for f in sorted(Path(folder).glob("step_*.png"))}
    if not files:
        raise ValueError(f"no samples in {folder}; train first")

    def draw(update: int) -> Figure:
        with Image.open(files[update]) as image:
            return figures.show_images({f"update {update}": image.convert("RGB")}, 4)

    return interactive(
        _shown(draw), update=SelectionSlider(options=list(files), continuous_update=False)
    )


def explore_receptive_field(generators: Mapping[str, nn.Module]) -> interactive:
    """Choose a network and the size of its input; see what one output pixel depends on."""

    def draw(network: str, size: int) -> Figure:
        field = models.receptive_field(generators[network], size)
        return figures.receptive_fields({f"{network}, {size}x{size} input": field})

    return interactive(
        _shown(draw),
        network=Dropdown(options=list(generators)),
        size=SelectionSlider(options=[32, 64, 96, 128], value=96, continuous_update=False),
    )


def explore_attention(generator: nn.Module, pictures: Mapping[str, Tensor]) -> interactive:
    """Choose a picture and one of a generator's attention layers; see what it attends to.

    Shape: pictures (3, H, W) in [0, 1].
    """
    layers = list(diagrams.attention_weights(generator, next(iter(pictures.values()))))

    def draw(picture: str, layer: str) -> Figure:
        lr = pictures[picture]
        weights = diagrams.attention_weights(generator, lr)
        return diagrams.attention_maps(lr, {layer: weights[layer]}, 3.4)

    names = [(diagrams.layer_name(layer), layer) for layer in layers]
    return interactive(
        _shown(draw),
        picture=Dropdown(options=list(pictures)),
        layer=Dropdown(options=names),
    )


def explore_gaussians() -> interactive:
    """Move and stretch one of two Gaussians; see their Frechet distance."""

    def draw(shift: float, stretch: float, correlation: float) -> Figure:
        cov_a = np.eye(2)
        off = correlation * stretch
        cov_b = np.array([[stretch**2, off], [off, 1.0]])
        a = frechet.Statistics.gaussian(np.zeros(2), cov_a)
        b = frechet.Statistics.gaussian(np.array([shift, 0.0]), cov_b)
        return figures.gaussians(a.mean, cov_a, b.mean, cov_b, frechet.frechet_distance(a, b))

    return interactive(
        _shown(draw),
        shift=FloatSlider(1.0, min=-3, max=3, step=0.25, continuous_update=False),
        stretch=FloatSlider(1.5, min=0.25, max=3, step=0.25, continuous_update=False),
        correlation=FloatSlider(0.0, min=-0.9, max=0.9, step=0.1, continuous_update=False),
    )
