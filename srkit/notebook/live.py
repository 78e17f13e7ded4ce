"""A training run at a glance: its progress, its diagnostics, and runs gone wrong.

The pictures are drawn from what a run writes into its folder, so a run that is loaded, or one that
another process is busy with, shows the same as one that is computed here.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL.Image import Image
from torch import Tensor, nn

from srkit.data.images import bicubic_lr, bicubic_lr_pil, denorm, norm
from srkit.metrics import psnr
from srkit.notebook import figures
from srkit.training.diagnostics import CHECKERED, DRIFT, checkerboard, colour_drift, warnings_in
from srkit.training.recipe import Recipe
from srkit.training.run_folder import read_log, read_rows, read_samples, sample_files
from srkit.upscale import upscale
from srkit.weights import LABELS


def progress(recipe: Recipe, folder: str | Path) -> str:
    """Where a run is, in one line: PSNR, images a second, and the time left at that speed."""
    rows = read_log(folder)
    if not rows:
        return f"{LABELS[recipe.model]}: no update yet"
    step = rows[-1]["step"]
    text = f"{LABELS[recipe.model]}, update {step:,} of {recipe.iterations:,}"
    if "psnr" in rows[-1]:
        text += f": {rows[-1]['psnr']:.2f} dB"
    times = read_rows(Path(folder) / "times.jsonl")
    if times:
        text += f", {times[-1]['images_per_second']:.1f} images/s"
        left = times[-1].get("seconds_left")  # runs before it was written have none
        text += f", {clock(left)} left" if left else ""
    return text


def clock(seconds: float) -> str:
    """A duration as minutes and seconds, or with hours in front: "1:05", "3:00:05"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def held_out_crop(folder: str | Path, scale: int) -> dict[str, Image]:
    """Of the crop that a run keeps, the most detailed of its watched ones: bicubic, the newest
    prediction, and HR; none before its first sample."""
    pictures = read_samples(folder, newest=1) if sample_files(folder) else {}
    if "HR" not in pictures:
        return {}
    return {"Bicubic": bicubic(pictures["HR"], scale)} | pictures


def bicubic(picture: Image, scale: int) -> Image:
    """A picture sent down and up again by bicubic, as the baseline predicts it."""
    return upscale(bicubic_lr_pil(picture, scale), "bicubic", scale)


def detail(picture: Image, scale: int) -> float:
    """The energy of what LR cannot hold, in squared levels: how far a picture is from bicubic's way
    down and up again."""
    back = np.asarray(bicubic(picture, scale), float)
    return float(np.mean((np.asarray(picture, float) - back) ** 2))


def detail_and_psnr(folder: str | Path, scale: int) -> dict[str, tuple[float, float]]:
    """A run's samples of its held-out crop ("update 20"), and bicubic's: the detail in each, HR's
    being 1, and its PSNR."""
    pictures = read_samples(folder)
    hr = pictures.pop("HR")
    pictures["bicubic"], whole = bicubic(hr, scale), detail(hr, scale)
    return {
        name: (detail(one, scale) / whole, psnr(one, hr, "y", scale))
        for name, one in pictures.items()
    }


def second_stage(rows: Sequence[Mapping[str, Any]], measured: Mapping[str, tuple]) -> Figure:
    """A GAN from a generator that was good already: the discriminator's opinion by the log's rows,
    then detail and PSNR of the held-out crop as `detail_and_psnr` has them."""
    figure, (opinion, *quality) = figures.subplots(9.6, 3.2, 1, 3)
    figures.draw_opinion(opinion, rows, "", figures.colour("srgan"))
    updates = {n: int(n.split()[1]) for n in measured if n != "bicubic"}
    titles = ("Detail that LR cannot hold, HR = 1", "PSNR of the crop (dB)")
    for number, (axes, title) in enumerate(zip(quality, titles, strict=True)):
        values = [measured[name][number] for name in updates]
        axes.plot([*updates.values()], values, ".-", color=figures.colour("srgan"), label="SRGAN")
        level = measured["bicubic"][number]
        axes.axhline(level, color=figures.colour("bicubic"), ls="--", label="bicubic")
        axes.set_title(title)
    for axes in (opinion, *quality):
        axes.set_xlabel("update")
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8)
    return figure


def diagnostic_curves(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """What the losses alone do not say: who steers, and two faults that one can measure.

    `logs` map a model's name to the rows of its log.jsonl. Dotted red is where a warning begins.
    """
    figure = Figure(figsize=(9.4, 5.8), layout="constrained")
    pulls, ratio, drift, board = figure.subplots(2, 2).flat
    single = {ratio: "content_to_adversarial", drift: "colour_drift", board: "checkerboard"}
    for model, rows in logs.items():
        name, line = LABELS[model], {"color": figures.colour(model), "lw": 1.2}
        for term in ("mse", "content", "adversarial"):
            style = figures.LOSS_STYLES[term]
            figures.draw_column(pulls, rows, f"gradient_{term}", f"{name} {term}", style, **line)
        for axes, column in single.items():
            figures.draw_column(axes, rows, column, name, "-", **line)
    pulls.set(yscale="log", title="Gradient norm of each weighted term")
    ratio.set(yscale="log", title="Content : adversarial, by gradient")
    drift.set(title="Colour drift against LR (levels)")
    board.set(yscale="log", title="Checkerboard energy (HR is 1)")
    drift.axhline(DRIFT, color="#b00020", ls=":", lw=1)
    board.axhline(CHECKERED, color="#b00020", ls=":", lw=1)
    board.axhline(1, color=figures.colour("hr"), lw=0.6)
    for axes in (pulls, ratio, drift, board):
        axes.set_xlabel("update")
        axes.grid(alpha=0.25)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
    return figure


# --- The failure gallery -------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A generator as it turned out: one predicted crop, means over all, and what was warned of."""

    picture: Tensor  # (3, H, W) in [0, 1]
    psnr: float  # Y, border `scale`
    colour_drift: float
    checkerboard: float
    warnings: tuple[str, ...]

    @property
    def short_warnings(self) -> str:
        """The warnings' first words."""
        first_words = [text.split(":")[0].split(" (")[0] for text in self.warnings]
        return ", ".join(first_words) or "no warning"


@torch.no_grad()
def examine(
    generator: nn.Module, hr: Tensor, scale: int, log: Sequence[Mapping[str, Any]] | None = None
) -> Case:
    """Predict every crop by itself, in the generator's present mode, and measure.

    The first crop is kept. Warnings are those in a training's `log`; without one the crops take the
    place of its rows. Shape: hr (N, 3, H, W) in [0, 1].
    """
    device = next(generator.parameters()).device
    rows, predicted = [], []
    for high, low in zip(hr, bicubic_lr(hr, scale), strict=True):
        sr = generator(low[None].to(device)).float().cpu()
        drift, board = colour_drift(sr, low[None]), checkerboard(sr, norm(high)[None])
        row = {"psnr": psnr(denorm(sr)[0], high, "y", scale)}
        rows.append(row | {"colour_drift": float(drift), "checkerboard": float(board)})
        predicted.append(denorm(sr)[0])
    means = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
    told = warnings_in(rows) if log is None else [t for r in log for t in r.get("warnings", [])]
    return Case(predicted[0], **means, warnings=tuple(told))


def failures(rows: Sequence[Mapping[str, Case | Tensor]]) -> Figure:
    """The gallery: rows of cases, each with its PSNR, its faults and what the log says of them.

    A plain picture among them, such as HR, has its title alone.
    """
    columns = max(len(row) for row in rows)
    figure = Figure(figsize=(2.4 * columns, 3.3 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        for axes, (title, case) in zip(line, row.items(), strict=False):
            if isinstance(case, Tensor):
                figures.panel(axes, case, title)
                continue
            text = f"{case.psnr:.2f} dB, drift {case.colour_drift:.1f}\n"
            text += f"checkerboard {case.checkerboard:.2f}\n"
            warned = textwrap.fill(case.short_warnings, 32)
            figures.panel(axes, case.picture, title, text + warned)
            axes.xaxis.label.set_color("#b00020" if case.warnings else "#222222")
        for axes in line[len(row) :]:
            axes.axis("off")
    return figure
