"""What each of the report's additions buys: SR-UGAN without one of them at a time (section 4.2).

All variants see the same crops, in the same order, from the same seed, for the same number of
updates, and are measured on the same held-out photographs. `python -m srkit ablation`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from srkit.data.photos import Photos
from srkit.evaluation import results
from srkit.evaluation.measure import measure
from srkit.fid.inception import FIDInception
from srkit.training.loop import in_stages, train_or_load
from srkit.training.recipe import Recipe


def train_variants(
    plans: Mapping[str, Sequence[Recipe]],
    seeds: Sequence[int],
    photos: Photos,
    held_out: Photos,
    out: str | Path,
    run: results.Run,
    content: str = "auto",
) -> dict[tuple[str, int], Path]:
    """Train every plan with every seed into a folder of `out`, such as "without-U-Net-seed-0"; the
    generator's file by variant and seed. Finished runs are loaded, an interrupted one goes on, and
    variants with the same network share the stage before the last."""
    files = {}
    facts = {"preset": run.preset, "commit": run.commit}
    options = {"content": content, "device": run.device, "metadata": facts}
    for seed in seeds:
        for name, stages_of in plans.items():
            names = [f"start-seed-{seed}"] * (len(stages_of) - 1)
            names += [f"{name.replace(' ', '-')}-seed-{seed}"]

            def train_one(plan: Recipe, number: int, names: Sequence[str] = names) -> Path:
                folder = Path(out) / names[number - 1]
                return train_or_load(plan, photos, held_out, folder, **options)[0]

            seeded = [replace(plan, seed=seed) for plan in stages_of]
            files[name, seed] = in_stages(seeded, train_one)
    return files


def measure_variants(
    files: Mapping[tuple[str, int], Path],
    plans: Mapping[str, Sequence[Recipe]],
    held_out: Photos,
    networks: Sequence[FIDInception],
    run: results.Run,
) -> list[results.Row]:
    """Rows of bicubic and of each variant: the mean over the seeds, and each one in `values`."""
    methods = {f"{name}, seed {seed}": path for (name, seed), path in files.items()}
    rows = measure(["bicubic", *methods], held_out, 2, run, networks, methods)
    seeds = list(dict.fromkeys(seed for _, seed in files))
    shared: dict[str, Any] = {"seed": seeds, "crop": next(iter(plans.values()))[-1].crop}
    means = [row | shared for row in results.select(rows, method="bicubic")]
    for name, plan in plans.items():
        about = shared | {"method": "sr-ugan", "variant": name, "weights": None}
        about["updates"] = sum(stage.iterations for stage in plan)
        about["crops_seen"] = sum(stage.iterations * stage.batch for stage in plan)
        by_seed = [results.select(rows, method=f"{name}, seed {seed}") for seed in seeds]
        means += [mean_row(same) | about for same in zip(*by_seed, strict=True)]
    return means


def mean_row(rows: Sequence[results.Row]) -> results.Row:
    """One row for those of several seeds: their mean, and each value."""
    values = [row["value"] for row in rows]
    kept = {name: item for name, item in rows[0].items() if "interval" not in name}
    return kept | {"value": results.rounded(mean(values)), "values": values}
