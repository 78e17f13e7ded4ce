"""Things to play with at the end of a notebook, and its exercises' judge.

Each `explore_x` is the controls of a plain function `draw_x`, which a test can call and see fail:
ipywidgets catches what a callback raises. A widget redraws a figure that the notebook has already
shown, so that a page without a running kernel lacks nothing but the playing.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from ipywidgets import Dropdown, FloatSlider, IntSlider, SelectionSlider, Widget, interactive
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from srkit import models
from srkit.data.images import bicubic_lr_pil, crop_to_multiple
from srkit.fid import frechet
from srkit.metrics import psnr
from srkit.notebook import diagrams, figures
from srkit.training.run_folder import read_samples
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


def widget(draw: Callable[..., Figure], **controls: Widget) -> interactive:
    """A function's figure, drawn anew whenever one of its controls moves."""
    return interactive(draw, {"auto_display": True}, **controls)


def explore_methods(
    photo: Image.Image,
    methods: Sequence[str],
    predict: Callable[[Image.Image, str], Image.Image],
    scale: int = 2,
    zoom: int = 64,
    labels: Mapping[str, str] = LABELS,
) -> interactive:
    """Choose a method and a square of the photograph; see LR's prediction beside HR.

    `predict(lr, method)` returns the enlarged picture; it is asked once for each method.
    """
    hr = crop_to_multiple(photo, scale)
    lr = bicubic_lr_pil(hr, scale)

    @cache
    def prediction(method: str) -> tuple[str, Image.Image]:
        sr = predict(lr, method)
        return f"{labels[method]}: {psnr(sr, hr, 'y', scale):.2f} dB", sr

    def draw(method: str, left: int, top: int) -> Figure:
        return draw_method(hr, *prediction(method), (left, top, left + zoom, top + zoom))

    return widget(
        draw,
        method=Dropdown(options=[(labels[method], method) for method in methods]),
        left=IntSlider(hr.width // 3, 0, hr.width - zoom, 8, continuous_update=False),
        top=IntSlider(hr.height // 3, 0, hr.height - zoom, 8, continuous_update=False),
    )


def draw_method(
    hr: Image.Image, title: str, sr: Image.Image, box: tuple[int, int, int, int]
) -> Figure:
    """The same box (left, top, right, bottom) of a prediction and of HR, and all of HR."""
    return figures.show_images({title: sr.crop(box), "HR": hr.crop(box), "all of it": hr}, 3.2)


def explore_samples(run: str | Path) -> interactive:
    """Move through a training run's held-out samples, update by update.

    Raises ValueError where the run has none yet.
    """
    pictures = read_samples(run)
    slider = SelectionSlider(options=list(pictures), continuous_update=False)
    return widget(lambda sample: draw_sample(pictures, sample), sample=slider)


def draw_sample(pictures: Mapping[str, Image.Image], sample: str) -> Figure:
    """One of a run's pictures."""
    return figures.show_images({sample: pictures[sample]}, 4)


def explore_receptive_field(generators: Mapping[str, nn.Module]) -> interactive:
    """Choose a network and the size of its input; see what one output pixel depends on."""
    return widget(
        lambda network, size: draw_receptive_field(generators, network, size),
        network=Dropdown(options=list(generators)),
        size=SelectionSlider(options=[32, 64, 96, 128], value=96, continuous_update=False),
    )


def draw_receptive_field(generators: Mapping[str, nn.Module], network: str, size: int) -> Figure:
    """What one output pixel of a network depends on, in an input of size x size pixels."""
    field = models.receptive_field(generators[network], size)
    return figures.receptive_fields({f"{network}, {size}x{size} input": field})


def explore_attention(generator: nn.Module, pictures: Mapping[str, Tensor]) -> interactive:
    """Choose a picture and one of a generator's attention layers; see what it attends to.

    Shape: pictures (3, H, W) in [0, 1].
    """
    layers = diagrams.attention_weights(generator, next(iter(pictures.values())))
    return widget(
        lambda picture, layer: draw_attention(generator, pictures, picture, layer),
        picture=Dropdown(options=list(pictures)),
        layer=Dropdown(options=[(diagrams.layer_name(layer), layer) for layer in layers]),
    )


def draw_attention(
    generator: nn.Module, pictures: Mapping[str, Tensor], picture: str, layer: str
) -> Figure:
    """One picture, and what one layer attends to in it."""
    lr = pictures[picture]
    weights = diagrams.attention_weights(generator, lr)
    return diagrams.attention_maps(lr, {layer: weights[layer]}, 3.4)


def explore_gaussians() -> interactive:
    """Move and stretch one of two Gaussians; see their Frechet distance."""
    return widget(
        draw_gaussians,
        shift=FloatSlider(1.0, min=-3, max=3, step=0.25, continuous_update=False),
        stretch=FloatSlider(1.5, min=0.25, max=3, step=0.25, continuous_update=False),
        correlation=FloatSlider(0.0, min=-0.9, max=0.9, step=0.1, continuous_update=False),
    )


def draw_gaussians(shift: float, stretch: float, correlation: float) -> Figure:
    """A standard Gaussian, and one that is moved and stretched along the first axis."""
    covariance = correlation * stretch
    cov_a, cov_b = np.eye(2), np.array([[stretch**2, covariance], [covariance, 1.0]])
    a = frechet.Statistics.gaussian(np.zeros(2), cov_a)
    b = frechet.Statistics.gaussian(np.array([shift, 0.0]), cov_b)
    return figures.gaussians(a.mean, cov_a, b.mean, cov_b, frechet.frechet_distance(a, b))
