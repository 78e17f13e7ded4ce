"""What each of the report's additions buys: SR-UGAN without one of them at a time (section 4.2).

All variants see the same crops, in the same order, from the same seed, for the same number of
updates, and are measured on the same held-out photographs. `python -m srkit ablation`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from srkit import paths
from srkit.data.photos import Photos
from srkit.evaluation import results
from srkit.evaluation.measure import measure
from srkit.evaluation.tables import show
from srkit.fid.inception import FIDInception
from srkit.losses import Weights
from srkit.training.loop import train_or_load
from srkit.training.recipes import Recipe, recipe, same_images

FULL = "SR-UGAN"

# What is taken away or changed, one at a time; the rest stays as it is.
VARIANTS: dict[str, dict[str, Any]] = {
    FULL: {},
    "without U-Net": {"unet": ()},
    "without attention": {"attention": False},
    "residual for dense blocks": {"dense": False},
    "without class head": {"class_loss": False},
    "without MSE": {"weights": Weights(mse=0.0)},
    "adversarial weight 0": {"weights": Weights(adversarial=0.0), "class_loss": False},
    "four times the batch": {},  # section 7; see `variant`
}

METRICS = ("PSNR", "SSIM", "KID", "FID", "Patch Frechet distance")  # what their names begin with


def variant(name: str, preset: str, seed: int = 0, **changes: Any) -> Recipe:
    """The recipe of one variant; `changes` are made in all of them.

    Raises ValueError where there is none of that name.
    """
    if name not in VARIANTS:
        raise ValueError(f"unknown variant {name!r}; accepted: {', '.join(VARIANTS)}")
    plan = recipe("sr-ugan", preset, seed=seed, **changes | VARIANTS[name])
    return same_images(plan, 4 * plan.batch) if name == "four times the batch" else plan


def folder_of(name: str, seed: int) -> str:
    """The folder of one run, such as "without-U-Net-seed-0"."""
    return f"{name.replace(' ', '-')}-seed-{seed}"


def ablate(
    photos: Photos,
    held_out: Photos,
    out: str | Path,
    preset: str = "demo",
    seeds: Sequence[int] = (0,),
    variants: Sequence[str] = tuple(VARIANTS),
    networks: Sequence[FIDInception] = (),
    content: str = "auto",
    device: str = "cpu",
    changes: Mapping[str, Any] | None = None,
) -> list[results.Row]:
    """Train every variant with every seed into a folder of `out`, then measure all of them.

    A row is the mean over the seeds, with the value of each in `values`. Finished runs are loaded,
    and an interrupted one goes on.
    """
    plans = {name: variant(name, preset, **dict(changes or {})) for name in variants}
    files: dict[str, Path] = {}
    for seed in seeds:
        for name in plans:
            plan = variant(name, preset, seed, **dict(changes or {}))
            place = Path(out) / folder_of(name, seed)
            facts = {"preset": preset, "commit": paths.commit()}
            path, _ = train_or_load(
                plan, photos, held_out, place, content=content, device=device, metadata=facts
            )
            files[folder_of(name, seed)] = path
    rows = measure(
        ["bicubic", *files], held_out, 2, networks, f"ablation-{preset}", seeds[0], device, files
    )
    found = [row for row in rows if row["method"] == "bicubic"]
    for name, plan in plans.items():
        own = [results.select(rows, method=folder_of(name, seed)) for seed in seeds]
        found += [merged(name, parts, seeds, plan) for parts in zip(*own, strict=True)]
    return found


def merged(
    name: str, rows: Sequence[results.Row], seeds: Sequence[int], plan: Recipe
) -> results.Row:
    """One row for the runs of several seeds: their mean, and each value."""
    values = [row["value"] for row in rows]
    kept = {key: value for key, value in rows[0].items() if "interval" not in key}
    about: dict[str, Any] = {"updates": plan.iterations, "crops_seen": plan.iterations * plan.batch}
    about |= {"crop": plan.crop, "weights": None, "seed": list(seeds), "values": values}
    return kept | about | {"method": f"ablation: {name}", "value": float(f"{mean(values):.6g}")}


def table(rows: Sequence[results.Row], dataset: str) -> tuple[list[str], list[list[str]]]:
    """The ablation as (header, body): each metric's mean, and in brackets the lowest and highest
    seed where there are several; for Frechet distances the ratio to bicubic, too."""
    own = [row for row in rows if row["dataset"] == dataset]
    names = list(dict.fromkeys(row["metric"] for row in own))
    names.sort(key=lambda metric: [metric.startswith(start) for start in METRICS].index(True))
    header = ["Variant", "Crops seen"]
    for metric in names:
        header += [metric, "/ bicubic"] if ratio_of(metric) else [metric]
    body = []
    for method in ("bicubic", *(f"ablation: {name}" for name in VARIANTS)):
        mine = [row for row in own if row["method"] == method]
        if not mine:
            continue
        seen = mine[0].get("crops_seen")
        line = [method.removeprefix("ablation: "), f"{seen:,}" if seen else "–"]
        for metric in names:
            row = results.select(mine, metric=metric)[0]
            base = results.value(own, method="bicubic", metric=metric)
            line.append(spread(metric, row))
            if ratio_of(metric):
                line.append(show(row["value"] / base if base else None))
        body.append(line)
    return header, body


def ratio_of(metric: str) -> bool:
    """Whether a metric's ratio to bicubic is shown: a Frechet distance's."""
    return metric.startswith(("FID", "Patch"))


def spread(metric: str, row: results.Row) -> str:
    """A value, and behind it the lowest and highest over the seeds."""
    values = row.get("values", [])
    ends = (min(values), max(values)) if len(values) > 1 else None
    return show(row["value"], metric, ends)
