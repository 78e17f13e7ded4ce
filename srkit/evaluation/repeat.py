"""Measured again: do the rows of a results file come out the same?

`python -m srkit evaluate --data FOLDER --name NAME --check figures/results.json`
"""

from collections.abc import Sequence
from pathlib import Path

from srkit.evaluation import results

# How far a repeated measurement may be off, by what its metric's name begins with: another torch,
# processor or graphics card rounds otherwise.
TOLERANCES = {
    "PSNR": (0.0, 0.01),  # relative, absolute
    "SSIM": (0.0, 0.0002),
    "KID": (0.01, 2e-6),
    "FID": (0.01, 1e-9),
    "Patch Frechet distance": (0.01, 1e-3),
}


def compare(recorded: Sequence[results.Row], rows: Sequence[results.Row]) -> list[list[str]]:
    """A line for each measured row that is recorded too: method, metric, both values, the verdict.

    Verdicts: "same", "OTHER VALUE", or "other weights" where the two are of different checkpoints,
    which nobody expects to agree. Raises ValueError where no row was recorded.
    """
    kept = {results.key(row): row for row in recorded}
    lines = []
    for row in rows:
        old = kept.get(results.key(row))
        if old is None:
            continue
        verdict = "same" if within(row["metric"], old["value"], row["value"]) else "OTHER VALUE"
        if old.get("weights") != row.get("weights"):
            verdict = "other weights"
        lines.append(
            [row["method"], row["metric"], f"{old['value']:.6g}", f"{row['value']:.6g}", verdict]
        )
    if not lines:
        names = sorted({f"{row['dataset']} (N = {row['n']})" for row in recorded if row["n"]})
        own = {f"{row['dataset']} (N = {row['n']}, preset {row['preset']})" for row in rows}
        raise ValueError(
            f"none of these rows was recorded: they are of {', '.join(own)}, the file has"
            f" {', '.join(names)}; give the data set's recorded name with --name"
        )
    return lines


def within(metric: str, old: float, new: float) -> bool:
    """Whether two values agree to the metric's tolerance. Raises ValueError for one without."""
    for name, (relative, absolute) in TOLERANCES.items():
        if metric.startswith(name):
            return abs(new - old) <= relative * abs(old) + absolute
    raise ValueError(f"no tolerance for {metric!r}")


def check(path: str | Path, rows: Sequence[results.Row]) -> tuple[str, bool]:
    """The comparison with a results file as a Markdown table, and whether no value is another."""
    lines = compare(results.load(path), rows)
    header = ["Method", "Metric", "Recorded", "Measured", ""]
    return results.markdown(header, lines), all(line[-1] != "OTHER VALUE" for line in lines)
