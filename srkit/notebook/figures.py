"""The kit's figures: one function a figure, each returning a Matplotlib `Figure`.

Figures are made without pyplot, so none is open: a cell shows one as its last expression, or by
`display`, and never twice. Pixels are shown with nearest-neighbour, crops of one row share one box
and one range, and a method has one label and one colour everywhere.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Ellipse, Rectangle
from matplotlib.transforms import Bbox
from PIL import Image
from torch import Tensor

from srkit.data.images import to_image
from srkit.files import replacing
from srkit.metrics import power_spectrum, psnr
from srkit.training.run_folder import read_samples
from srkit.upscale import kernel, upscale
from srkit.weights import LABELS, METHODS

LOSS_STYLES = {"mse": "-", "content": "--", "adversarial": ":", "class": "-."}
Picture = Image.Image | np.ndarray | Tensor


def save(figure: Figure, path: str | Path, source: str | None = None) -> Path:
    """Write a figure as PNG without date or version, so that the same figure is the same bytes;
    `source` is the machine that drew it."""
    about = {"Software": None, "Source": source}
    with replacing(path) as file:
        figure.savefig(file, dpi=110, format="png", bbox_inches="tight", metadata=about)
    return Path(path)


def same_picture(a: Path, b: Path) -> bool:
    """Whether two files show the same pixels."""
    with Image.open(a) as first, Image.open(b) as second:
        return first.size == second.size and np.array_equal(np.asarray(first), np.asarray(second))


def source_of(path: Path) -> str:
    """The machine that drew a saved figure, as far as the file says."""
    with Image.open(path) as picture:
        return picture.info.get("Source", "a machine that is not named")


def subplots(
    width: float, height: float, rows: int = 1, columns: int = 1, **grid: Any
) -> tuple[Figure, Any]:
    """An empty figure of so many inches, and its axes as Matplotlib's `subplots` gives them."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **grid)


def as_pixels(picture: Picture) -> np.ndarray:
    """A picture as uint8 (H, W, 3)."""
    if isinstance(picture, Tensor):
        picture = to_image(picture)
    return np.asarray(picture)


def colour(method: str) -> str:
    """A method's colour; "sr-ugan twice" has that of "sr-ugan"."""
    return METHODS[method.split()[0]].colour


def panel(
    axes: Axes, picture: Picture, title: str = "", below: str = "", **colours: Any
) -> AxesImage:
    """One picture in its own pixels, with a title above and a line below; `colours` are of the
    numbers of a map (H, W)."""
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(below, fontsize=9)
    return axes.imshow(as_pixels(picture), interpolation="nearest", **colours)


def show_images(pictures: Mapping[str, Picture], width: float = 2.4) -> Figure:
    """A row of captioned pictures."""
    size = (width * len(pictures), width + 0.4)
    figure, grid = subplots(*size, 1, len(pictures), squeeze=False)
    for axes, (title, picture) in zip(grid[0], pictures.items(), strict=True):
        panel(axes, picture, title)
    return figure


def detail_box(hr: Picture, size: int = 64) -> tuple[int, int]:
    """(top, left) of the size x size square of HR with the most fine detail, away from the border.

    It is chosen on HR alone, by the mean absolute difference between neighbouring pixels.
    """
    grey = as_pixels(hr).astype(float).mean(2)
    detail = np.abs(np.diff(grey, axis=0))[:, 1:] + np.abs(np.diff(grey, axis=1))[1:]
    total = np.pad(detail.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    edge = min(8, (min(sums.shape) - 1) // 2)
    inner = sums[edge : sums.shape[0] - edge, edge : sums.shape[1] - edge]
    top, left = np.unravel_index(inner.argmax(), inner.shape)
    return int(top) + edge, int(left) + edge


def squares(
    pictures: Mapping[str, Picture], hr: Picture, size: int = 64, width: float = 2.2
) -> Figure:
    """The same square of several pictures of one scene, where HR has the most detail."""
    top, left = detail_box(hr, size)
    square = slice(top, top + size), slice(left, left + size)
    return show_images({name: as_pixels(one)[square] for name, one in pictures.items()}, width)


def comparison(
    rows: Sequence[Mapping[str, Picture]],
    scale: int,
    zoom: int = 64,
    title: str = "",
    labels: Mapping[str, str] = LABELS,
) -> Figure:
    """Figures 4 and 5: one photograph a row, one method a column, the last column HR.

    `rows` map a method's name to its picture and end with "hr". Each panel shows the whole picture
    and, below it, the same zoom x zoom square of every method, with PSNR (Y, border `scale`).
    """
    columns = list(rows[0])
    size = (2.35 * len(columns), 4.85 * len(rows))
    figure, grid = subplots(*size, 2 * len(rows), len(columns), squeeze=False)
    for number, row in enumerate(rows):
        top, left = detail_box(row["hr"], zoom)
        for column, method in enumerate(columns):
            picture, is_hr = as_pixels(row[method]), method == "hr"
            whole, crop = grid[2 * number, column], grid[2 * number + 1, column]
            panel(whole, picture, "Ground truth HR" if is_hr else labels[method])
            box = Rectangle((left - 0.5, top - 0.5), zoom, zoom, fill=False, ec="#ffd400", lw=1.2)
            whole.add_patch(box)
            below = "" if is_hr else f"{psnr(picture, row['hr'], 'y', scale):.2f} dB"
            panel(crop, picture[top : top + zoom, left : left + zoom], "", below)
            for spine in crop.spines.values():
                spine.set(edgecolor=colour(method), linewidth=2)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def table(
    header: Sequence[str], body: Sequence[Sequence[str]], notes: Sequence[str] = ()
) -> Figure:
    """A table as a picture, with notes below it; the first column is left-aligned."""
    lengths = [max(len(line[i]) for line in [header, *body]) for i in range(len(header))]
    widths = [(n + 3) / sum(n + 3 for n in lengths) for n in lengths]
    height = 0.27 * (len(body) + 1)
    figure = Figure(figsize=(0.085 * sum(n + 3 for n in lengths), height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    whole = Bbox.from_bounds(0, 0, 1, 1)
    style: dict[str, Any] = {"bbox": whole, "cellLoc": "right", "edges": "horizontal"}
    cells = [list(line) for line in body]
    drawn = axes.table(cells, colLabels=list(header), colWidths=widths, **style)
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(9)
    for (line, column), cell in drawn.get_celld().items():
        cell.set(linewidth=0.6, edgecolor="#888")
        if column == 0:
            cell.get_text().set_horizontalalignment("left")
        if line == 0:
            cell.get_text().set_fontweight("bold")
    if notes:
        axes.text(0, -0.1 / height, "\n".join(notes), fontsize=7.5, va="top")
    return figure


def kernels(methods: Sequence[str]) -> Figure:
    """Each interpolation's kernel, and what it lets through of each frequency (section 2.1)."""
    figure, (weights, response) = subplots(9.6, 3.2, 1, 2)
    x = (np.arange(1000) + 0.5) / 200 - 2.5  # pixels; no point falls on a jump
    f = np.linspace(0, 2, 401)  # cycles a pixel
    for method in methods:
        k = kernel(method, x)
        style = {"color": colour(method), "label": LABELS[method], "lw": 1.6}
        weights.plot(x, k, **style)
        response.plot(f, np.abs(np.cos(2 * np.pi * np.outer(f, x)) @ k) / 200, **style)
    response.plot([0, 0.5, 0.5, 2], [1, 1, 0, 0], "k:", lw=1, label="ideal")
    response.axvspan(0.5, 2, color="#888888", alpha=0.12, lw=0)
    response.text(1.25, 1.04, "copies of the spectrum", ha="center", fontsize=8)
    weights.set(title="Kernel: weight of a known pixel", xlabel="distance (LR pixels)")
    response.set(title="What passes of each frequency", xlabel="cycles an LR pixel")
    response.set(xlim=(0, 2), ylim=(-0.03, 1.14))
    for axes in (weights, response):
        axes.grid(alpha=0.25)
    response.legend(fontsize=8)
    return figure


def edge_curves(
    methods: Sequence[str], dark: int = 60, bright: int = 190, place: float = 5.5
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """One row of 12 LR pixels with an edge between two levels, and what each method makes of it at
    16 times the size: the pixels, the enlarged ones' places in LR pixels, and their levels by
    method. Pixel n is the mean from n - 1/2 to n + 1/2, so that the edge may lie within one."""
    share = np.clip(np.arange(12) + 0.5 - place, 0, 1)[:, None]  # of each pixel beyond the edge
    row = np.broadcast_to((dark + share * (bright - dark)).round(), (12, 3)).astype(np.uint8)[None]
    picture = Image.fromarray(row)
    levels = {method: as_pixels(upscale(picture, method, 16))[0, :, 0] for method in methods}
    return row[0, :, 0], (np.arange(12 * 16) + 0.5) / 16 - 0.5, levels


def edge_profiles(methods: Sequence[str], dark: int = 60, bright: int = 190) -> Figure:
    """The curves of `edge_curves` and the LR pixels."""
    row, places, levels = edge_curves(methods, dark, bright)
    figure, axes = subplots(7.2, 2.8)
    axes.plot(row, "ko", label="the LR pixels")
    for method, values in levels.items():
        axes.plot(places, values, color=colour(method), label=LABELS[method])
    axes.set(xlabel="place (LR pixels)", ylabel="level", xlim=(2.5, 8.5))
    axes.legend(fontsize=9)
    return figure


def adversarial_losses() -> Figure:
    """Equation (3) and its saturating twin against the discriminator's logit, and their slopes."""
    logits = torch.linspace(-8, 8, 161, requires_grad=True)
    curves = {"-log D, Eq. (3)": F.softplus(-logits), "log(1 - D)": -F.softplus(logits)}
    figure, (value, slope) = subplots(9, 3, 1, 2)
    for name, curve in curves.items():
        (gradient,) = torch.autograd.grad(curve.sum(), logits)
        value.plot(logits.detach(), curve.detach(), label=name)
        slope.plot(logits.detach(), gradient, label=name)
    value.set(title="loss", xlabel="discriminator's logit x (right: taken for real)")
    slope.set(title="its slope: what the generator feels", xlabel="discriminator's logit x")
    value.legend()
    return figure


def error_maps(pictures: Mapping[str, Picture], hr: Picture, most: int = 48) -> Figure:
    """Where each picture is wrong: the absolute difference from HR, averaged over R, G and B, in
    levels of 255, all on one scale that ends at `most`."""
    figure, grid = subplots(2.6 * (len(pictures) + 1), 2.9, 1, len(pictures) + 1)
    panel(grid[0], hr, "HR")
    for axes, (title, picture) in zip(grid[1:], pictures.items(), strict=True):
        wrong = np.abs(as_pixels(picture).astype(float) - as_pixels(hr)).mean(2)
        below = f"mean error {wrong.mean():.2f} levels"
        drawn = panel(axes, wrong, title, below, vmin=0, vmax=most, cmap="magma")
    figure.colorbar(drawn, ax=grid.tolist(), label="levels of 255", shrink=0.8)
    return figure


def spectra(
    pictures: Mapping[str, Picture], limits: Mapping[str, float], labels: Mapping[str, str] = LABELS
) -> Figure:
    """Power against fineness for pictures of one scene; `limits` are marked by dotted lines.

    `pictures` map a method's name to its picture, `limits` a text to cycles a pixel.
    """
    figure, axes = subplots(7.2, 3.4)
    for method, picture in pictures.items():
        style = "--" if " " in method else "-"
        label = labels[method] if method != "hr" else "HR"
        axes.plot(*power_spectrum(picture), style, color=colour(method), label=label, lw=1.5)
    offset: dict[str, Any] = {"xytext": (3, -10), "textcoords": "offset points"}
    for text, limit in limits.items():
        axes.axvline(limit, color="#555555", ls=":", lw=1)
        axes.annotate(text, (limit, 1), xycoords=("data", "axes fraction"), fontsize=8, **offset)
    axes.set(yscale="log", xlim=(0, 0.5), ylabel="power of luma")
    axes.set_xlabel("cycles an HR pixel (fine detail to the right)")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    return figure


def training_curves(logs: Mapping[str, Sequence[dict]], baseline: float | None = None) -> Figure:
    """Loss terms, the discriminator's opinion and held-out PSNR against the update.

    `logs` map a model's name to the rows of its log.jsonl; `baseline` is bicubic's PSNR.
    """
    figure, (terms, opinion, quality) = subplots(9.6, 3.4, 1, 3)
    for model, rows in logs.items():
        name, tint = LABELS[model], colour(model)
        for term, style in LOSS_STYLES.items():
            draw_column(terms, rows, term, f"{name} {term}", style, color=tint, lw=1.2)
        draw_opinion(opinion, rows, f"{name} ", tint)
        draw_column(quality, rows, "psnr", f"{name} (EMA)", ".-", color=tint)
        draw_column(quality, rows, "psnr_raw", f"{name} without EMA", ":", color=tint)
    terms.set(yscale="log", title="Loss terms, before their weights", xlabel="update")
    terms.margins(y=0.5)  # room for the legend
    opinion.set_xlabel("update")
    quality.set(title="Held-out PSNR (Y, dB)", xlabel="update")
    if baseline is not None:
        quality.axhline(baseline, color=colour("bicubic"), ls="--", lw=1, label="Bicubic")
    for axes in (terms, opinion, quality):
        axes.grid(alpha=0.25)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
        else:
            axes.text(0.5, 0.5, "no discriminator", ha="center", transform=axes.transAxes)
    return figure


def draw_opinion(axes: Axes, rows: Sequence[Mapping], name: str, tint: str) -> None:
    """What the discriminator thinks of HR and of predictions, by a log's rows."""
    draw_column(axes, rows, "d_real", f"{name}D(real)", "-", color=tint)
    draw_column(axes, rows, "d_fake", f"{name}D(fake)", ":", color=tint)
    axes.set(ylim=(-0.02, 1.02), title="Discriminator: probability of real")


def draw_column(
    axes: Axes, rows: Sequence[Mapping], column: str, label: str, style: str, **line: Any
) -> None:
    """One column of a log against the update, in the rows that have it; nothing where none has."""
    points = [(row["step"], row[column]) for row in rows if column in row]
    if points:
        axes.plot(*zip(*points, strict=True), style, label=label, **line)


def samples_over_time(run: str | Path, limit: int = 8) -> Figure:
    """The held-out crop of a run, from its first update to its last, and HR."""
    pictures = read_samples(run)
    names = list(pictures)
    chosen = np.linspace(0, len(names) - 1, min(limit, len(names))).round().astype(int)
    return show_images({names[n]: pictures[names[n]] for n in dict.fromkeys(chosen)}, 1.9)


def samples_side_by_side(runs: Mapping[str, str | Path]) -> Figure:
    """The held-out crop of several runs, one a row, at the updates that all of them kept."""
    rows = {name: read_samples(run) for name, run in runs.items()}
    first, *others = rows.values()
    shared = [column for column in first if all(column in row for row in others)]
    size = (1.9 * len(shared), 2.2 * len(rows))
    figure, grid = subplots(*size, len(rows), len(shared), squeeze=False)
    for line, (name, pictures) in zip(grid, rows.items(), strict=True):
        for axes, column in zip(line, shared, strict=True):
            panel(axes, pictures[column], column)
        line[0].set_ylabel(name, fontsize=9)
    return figure


def receptive_fields(fields: Mapping[str, Tensor], scale: int = 2) -> Figure:
    """Where an output pixel's value comes from: log10 of the gradient, one panel a network.

    `fields` map a title to the output of `models.receptive_field`. Axes are in output pixels from
    the probed one; white is no influence at all.
    """
    figure, grid = subplots(4.1 * len(fields), 3.8, 1, len(fields), squeeze=False)
    for axes, (title, influence) in zip(grid[0], fields.items(), strict=True):
        values = influence.numpy()
        values = np.where(values > 0, np.log10(values / values.max() + 1e-30), np.nan)
        half = scale * values.shape[0] / 2
        box = (-half, half, half, -half)
        drawn = axes.imshow(values, "magma", vmin=-8, vmax=0, interpolation="nearest", extent=box)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("output pixels")
    about = "influence, log10 of the largest"
    figure.colorbar(drawn, ax=grid[0].tolist(), label=about, shrink=0.85)
    return figure


def number_grids(grids: Mapping[str, np.ndarray | Tensor], group: int = 4) -> Figure:
    """Small tables of whole numbers as coloured cells, side by side; the numbers n that share
    n // group share a colour, so that one sees where they went."""
    arrays = {title: np.asarray(grid) for title, grid in grids.items()}
    widths = [array.shape[1] for array in arrays.values()]
    size = (0.45 * (sum(widths) + len(widths)), 2.3)
    figure, axes = subplots(*size, 1, len(arrays), squeeze=False, width_ratios=widths)
    top = max(int(array.max()) // group for array in arrays.values())
    for ax, (title, array) in zip(axes[0], arrays.items(), strict=True):
        panel(ax, array // group, title, cmap="Pastel1", vmin=0, vmax=max(top, 8))
        for (row, column), number in np.ndenumerate(array):
            ax.text(column, row, f"{number:g}", ha="center", va="center", fontsize=10)
    return figure


def gaussians(mean_a, cov_a, mean_b, cov_b, distance: float) -> Figure:
    """Two 2-D Gaussians as their 1- and 2-sigma ellipses, with their Frechet distance."""
    figure, axes = subplots(4.6, 3.8)
    a, b = (mean_a, cov_a, colour("bicubic")), (mean_b, cov_b, colour("sr-ugan"))
    for label, (mean, cov, tint) in {"A": a, "B": b}.items():
        values, vectors = np.linalg.eigh(np.asarray(cov, dtype=float))
        angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
        for sigma in (1, 2):
            high, low = 2 * sigma * np.sqrt(values[::-1].clip(min=0))
            axes.add_patch(Ellipse(tuple(mean), high, low, angle=angle, color=tint, alpha=0.22))
        axes.plot(*mean, "o", color=tint, label=label)
    axes.set(aspect="equal", title=f"squared Frechet distance {distance:.3f}")
    axes.autoscale_view()
    axes.grid(alpha=0.25)
    axes.legend()
    return figure
