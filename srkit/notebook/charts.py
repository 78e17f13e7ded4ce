"""Numbers as pictures: what a Frechet distance sees and depends on, Figure 3, the ablation."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srkit.evaluation.results import REPORT_FID, Row, select, value
from srkit.evaluation.tables import Setting, by_setting
from srkit.fid.features import PROTOCOLS
from srkit.notebook.figures import colour, subplots
from srkit.notebook.sampling import TRUTH, Coverage
from srkit.training.variants import FULL, VARIANTS
from srkit.weights import LABELS

STYLES = {"pytorch": ("tab:blue", 3.0), "tf": ("tab:green", 1.2), "clean": ("tab:purple", 1.2)}


def distance_ratios(rows: Sequence[Row], methods: Sequence[str], metrics: Sequence[str]) -> Figure:
    """Figure 3 as bars: each method's distances over bicubic's, and in grey the report's FIDs."""
    figure, axes = subplots(8, 3.6)
    width = 0.8 / (len(metrics) + 1)
    for number, metric in enumerate(metrics):
        values = {row["method"]: row["value"] for row in select(rows, metric=metric)}
        ratios = [values[method] / values["bicubic"] for method in methods]
        places = np.arange(len(methods)) + width * number
        tints = [colour(method) for method in methods]
        axes.bar(places, ratios, width, color=tints, alpha=1 - 0.45 * number)
    for place, method in enumerate(methods):
        if method in REPORT_FID:
            ratio = REPORT_FID[method] / REPORT_FID["bicubic"]
            at = place + width * len(metrics)
            axes.bar(at, ratio, width, color="#cccccc", hatch="//", ec="#888")
    axes.axhline(1, color="#444", lw=0.8)
    names = [textwrap.fill(LABELS[method], 13) for method in methods]
    axes.set_xticks(np.arange(len(methods)) + 0.4 - width / 2, names, fontsize=9)
    tones = zip(("full colour", "lighter"), metrics, strict=False)
    title = "; ".join([*(f"{tone}: {metric}" for tone, metric in tones), "grey: FID, quoted"])
    axes.set(ylabel="distance / bicubic's", title=title)
    return figure


def sensitivity(rows: Sequence[Row], method: str = "sr-ugan") -> Figure:
    """Rows of `sensitivity` against N: above bicubic's FID, below a method's ratio to it; a panel a
    layer, a colour a protocol, dashed where photographs are shrunk further."""
    base = by_setting(rows, "bicubic")
    ratios = {at: number / base[at] for at, number in by_setting(rows, method).items()}
    layers = sorted({layer for _, layer, _, _ in base})
    size = (2.6 * len(layers) + 1.8, 5)
    figure, grid = subplots(*size, 2, len(layers), squeeze=False, sharex=True, sharey="row")
    for column, layer in enumerate(layers):
        above, below = grid[:, column]
        draw_settings(above, base, layer)
        draw_settings(below, ratios, layer)
        above.set(title=f"{layer} features", yscale="log")
        below.axhline(1, color="#444", lw=0.8)
        below.set_xlabel("photographs, N")
    grid[0, 0].set_ylabel("bicubic's FID")
    grid[1, 0].set_ylabel(f"{LABELS[method]}'s / bicubic's")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    return figure


def draw_settings(axes: Axes, values: Mapping[Setting, float], layer: int) -> None:
    """A line for each protocol and short side, at one layer, against N."""
    counts = sorted({n for _, _, n, _ in values})
    sides = sorted({side for _, _, _, side in values})
    for resize, side in product(PROTOCOLS, reversed(sides)):
        line = [values[resize, layer, n, side] for n in counts]
        tint, width = STYLES[resize]
        style = "o-" if side == max(sides) else "s--"
        (drawn,) = axes.plot(counts, line, style, color=tint, ms=width + 3, lw=width, alpha=0.7)
        drawn.set_label(f"{resize}, side {side}")
    axes.set_xscale("log")
    axes.set_xticks([], minor=True)
    axes.set_xticks(counts, [f"{n}" for n in counts])
    axes.grid(alpha=0.25)


def ablation(rows: Sequence[Row]) -> Figure:
    """Each variant beside bicubic: its PSNR's difference and, where one was measured, its FID's
    ratio. A dot a seed; the band is the whole SR-UGAN's."""
    fid = next((row["metric"] for row in rows if row["metric"].startswith("FID")), None)
    names = [name for name in VARIANTS if select(rows, variant=name)]
    metrics = ["PSNR", fid] if fid else ["PSNR"]
    figure, grid = subplots(7.6, 1.3 + 2.6 * len(metrics), len(metrics), squeeze=False, sharex=True)
    for axes, metric in zip(grid[:, 0], metrics, strict=True):
        chosen, psnr = select(rows, metric=metric), metric == "PSNR"
        base = value(chosen, method="bicubic") or float("nan")
        for place, name in enumerate(names):
            (row,) = select(chosen, variant=name)
            dots = [x - base if psnr else x / base for x in row["values"]]
            tint = colour("sr-ugan" if name == FULL else "bicubic")
            axes.plot([place] * len(dots), dots, "o", color=tint, ms=7, alpha=0.8)
            if name == FULL:
                axes.axhspan(min(dots), max(dots), color=tint, alpha=0.12, lw=0)
        axes.axhline(0 if psnr else 1, color="#444", lw=0.8)
        axes.set_ylabel("PSNR - bicubic's (dB)" if psnr else f"{metric} / bicubic's")
        axes.grid(axis="y", alpha=0.25)
    grid[0, 0].set_title("a dot a seed; the line is bicubic, the band the whole SR-UGAN")
    grid[-1, 0].set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    return figure


def tradeoff(rows: Sequence[Row], methods: Sequence[str], distance: str) -> Figure:
    """The perception-distortion plane: a distance of sets against PSNR, a dot a method."""
    figure, axes = subplots(6.4, 4)
    for method in methods:
        at = [value(rows, method=method, metric=name) or 0.0 for name in ("PSNR", distance)]
        axes.plot(*at, "o", color=colour(method), label=LABELS[method])
    axes.set(xlabel="PSNR (dB): to the right, nearer to each photograph")
    axes.set_ylabel(f"{distance}: lower is better")
    axes.margins(0.1)
    axes.legend(fontsize=9)
    axes.grid(alpha=0.25)
    return figure


# --- Notebook 05's experiments -------------------------------------------------------------------


def variances(clouds: Mapping[str, np.ndarray]) -> Figure:
    """Each method's variance along the principal directions of HR's, of vectors (N, d)."""
    figure, axes = subplots(7.5, 3.6)
    _, directions = np.linalg.eigh(np.cov(clouds["hr"].T))
    for method, cloud in clouds.items():
        along = (cloud @ directions).var(0)[::-1]
        axes.plot(along, color=colour(method), label=LABELS[method], lw=1.2)
    axes.set(yscale="log", xlabel="HR's principal directions, from smooth to fine")
    axes.set_ylabel("variance")
    axes.legend(fontsize=9)
    axes.grid(alpha=0.25)
    return figure


def by_count(
    axes: Axes, draws: Mapping[int, Sequence[float]], label: str, tint: str, dots: bool = True
) -> None:
    """A distance against the number of vectors: a dot a draw, and the mean."""
    for n, values in draws.items():
        if dots:
            axes.plot([n] * len(values), values, "o", color=tint, ms=4, alpha=0.3, mew=0)
    means = [np.mean(values) for values in draws.values()]
    axes.plot([*draws], means, "o-", color=tint, ms=4, lw=1.2, label=label)
    axes.set(xscale="log", xlabel="vectors in each sample, n")
    axes.minorticks_off()
    axes.set_xticks([*draws], [f"{n}" for n in draws])
    axes.grid(alpha=0.25)
    axes.legend(fontsize=9)


def bias(draws: Mapping[str, Mapping[int, Sequence[float]]], theory: Sequence[float]) -> Figure:
    """Distances of two samples of one source by n, per source, and what theory says."""
    figure, axes = subplots(6.4, 3.6)
    for (name, of_source), method in zip(draws.items(), ("hr", "bicubic"), strict=True):
        by_count(axes, of_source, name, colour(method), dots=False)
    axes.plot([*of_source], theory, color="#888888", label="theory, for n well above d")
    axes.set(yscale="log", ylabel="squared Frechet distance, mean")
    axes.legend(fontsize=9)
    return figure


def fid_and_kid(fid: Mapping[int, Sequence[float]], kid: Mapping[int, Sequence[float]]) -> Figure:
    """HR against HR by n, in both measures."""
    figure, both = subplots(9, 3.3, 1, 2)
    for axes, draws, name in zip(both, (fid, kid), ("Frechet", "KID"), strict=True):
        by_count(axes, draws, "mean of the draws", colour("hr"))
        axes.axhline(0, color="#444", lw=0.8)
        axes.set_title(f"HR against HR: {name}")
    return figure


def intervals(found: Mapping[str, Coverage]) -> Figure:
    """One bootstrap's draws and interval each, beside the mean at this N and the truth."""
    figure, panels = subplots(7.6, 4.8, len(found), sharex=True)
    for axes, (name, one) in zip(panels, found.items(), strict=True):
        axes.hist(one.draws, 20, color="#bbbbbb", label="bootstrap draws")
        axes.axvspan(*one.ends, color=colour("bicubic"), alpha=0.25, lw=0, label="95% interval")
        axes.axvline(one.value, color=colour("bicubic"), label="value measured")
        axes.axvline(one.mean_at_n, color=colour("hr"), ls="--", label="mean over choices of 60")
        axes.axvline(TRUTH, color=colour("sr-ugan"), label="truth")
        axes.set(title=name, yticks=[])
    panels[0].legend(fontsize=9)
    panels[-1].set_xlabel("squared Frechet distance")
    return figure
