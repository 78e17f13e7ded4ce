"""Measured and quoted numbers: kept in results.json, compared when they are measured again.

A row is one number and all that is needed to repeat it, as fields. Measuring the same value again
leaves the row as it was, commit and all, so that re-running the report changes no committed file.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srkit.files import lock, write_text
from srkit.paths import commit

Row = dict[str, Any]

# What makes two rows the same measurement: what was measured, on what, how, and by which run.
KEY = (
    *("source", "stage", "preset", "dataset", "crop", "side", "n", "scale", "method", "variant"),
    *("metric", "layer", "resize", "context", "share", "protocol", "seed", "device"),
)

REPORT_FID = {"nearest": 67.618, "bilinear": 71.617, "bicubic": 63.162, "sr-ugan": 22.123, "hr": 0}


# --- Metrics -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Metric:
    """How a metric's values are shown, ordered and compared."""

    name: str  # what the metric's name begins with: "FID" is that of FID-64 and of FID-768
    digits: str = ".3g"
    tolerance: tuple[float, float] | None = None  # relative, absolute: see `agrees`
    better: str = "lower"
    ratio: bool = False  # whether its ratio to bicubic is shown
    unit: str = ""


# In the order of columns.
METRICS = (
    Metric("PSNR", ".2f", (0.0, 0.01), "higher", unit="dB"),
    Metric("SSIM", ".4f", (0.0, 0.0002), "higher"),
    Metric("LPIPS", ".4f", (0.0, 0.001)),
    Metric("FID", ".3f", (0.01, 1e-9), ratio=True),
    Metric("KID", ".3g", (0.01, 2e-6)),
    Metric("Patch Frechet distance", ".1f", (0.01, 1e-3), ratio=True),
)


def metric_of(name: str) -> Metric:
    """The metric of a row, by its name's beginning; any other has 3 digits and no tolerance."""
    return next((m for m in METRICS if name.startswith(m.name)), Metric(name))


def agrees(name: str, old: float, new: float) -> bool:
    """Whether a repeated measurement came out the same: another torch, processor or graphics card
    rounds otherwise. Raises ValueError for a metric without a tolerance."""
    tolerance = metric_of(name).tolerance
    if tolerance is None:
        raise ValueError(f"no tolerance for {name!r}")
    relative, absolute = tolerance
    return abs(new - old) <= relative * abs(old) + absolute


# --- Rows ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """What all rows of one run share. The commit is read when the run begins, whatever is
    committed while it measures."""

    stage: str = "report"  # or evaluate, sensitivity, checkerboard, ablation, bench, ...
    preset: str | None = None
    seed: int = 0
    device: str = "cpu"
    commit: str | None = field(default_factory=commit)

    def row(self, method: str, metric: str, value: float, protocol: str, **facts: Any) -> Row:
        """A measured row; `facts` are the rest of KEY's fields, and whatever else is to be known.

        Values, and pairs of them such as intervals, are kept to 6 digits.
        Raises ValueError where the value is not finite.
        """
        import torch  # slow: results are looked at before that is worth the while

        if not math.isfinite(value):
            raise ValueError(f"{metric} of {method} is {value}: not a measurement")
        for name, item in facts.items():
            if isinstance(item, tuple):
                facts[name] = [rounded(number) for number in item]
        row = {"method": method, "metric": metric, "value": rounded(value), "protocol": protocol}
        return row | facts | {"source": "measured"} | vars(self) | {"torch": torch.__version__}


def rounded(value: float, digits: int = 6) -> float:
    """A value to so many digits."""
    return float(f"{value:.{digits}g}")


def quoted_rows() -> list[Row]:
    """Figure 3 of the report. It states neither the network, nor the resize, nor the number of
    images, so these are quotes and never targets."""
    about = {"metric": "FID", "dataset": "ImageNet validation", "scale": 2, "source": "quoted"}
    about |= {"protocol": "not stated in the report", "quoted_from": "Figure 3"}
    return [{"method": method, "value": value, **about} for method, value in REPORT_FID.items()]


def key(row: Row) -> tuple[str, ...]:
    """What identifies a measurement, whatever its value. A field that is absent is None."""
    return tuple(str(row.get(name)) for name in KEY)


def select(rows: Sequence[Row], **wanted: Any) -> list[Row]:
    """The rows that have all the wanted values; None is for a field that is absent, too."""
    return [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]


def only(rows: Sequence[Row], **wanted: Any) -> Row | None:
    """The one row that fits, or None. Raises ValueError where several rows fit."""
    fitting = select(rows, **wanted)
    if len(fitting) > 1:
        apart = [name for name in KEY if len({str(row.get(name)) for row in fitting}) > 1]
        raise ValueError(f"{len(fitting)} rows fit {wanted}; they differ in {', '.join(apart)}")
    return fitting[0] if fitting else None


def value(rows: Sequence[Row], **wanted: Any) -> float | None:
    """The value of the one row that fits, or None. Raises ValueError where several rows fit."""
    row = only(rows, **wanted)
    return row["value"] if row else None


# --- The file ------------------------------------------------------------------------------------


def load(path: str | Path) -> list[Row]:
    """The rows of a results file; none where there is no file yet.

    Raises ValueError where the file is damaged, or a row has no name of method or metric, no
    source or no finite value.
    """
    path = Path(path)
    if not path.is_file():
        return []
    try:
        rows = list(json.loads(path.read_text(encoding="utf-8"))["rows"])
        for number, row in enumerate(rows):
            names = isinstance(row, dict) and [row.get(n) for n in ("method", "metric", "source")]
            if not names or not all(isinstance(name, str) for name in names):
                raise ValueError(f"row {number} has no method, metric or source")
            if not isinstance(row.get("value"), int | float) or not math.isfinite(row["value"]):
                raise ValueError(f"row {number} has the value {row.get('value')}")
        return rows
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} is damaged ({error}); restore it with git, or delete it to measure anew"
        ) from error


def measured_again(old: Row | None, new: Row) -> bool:
    """Whether a row says what an old one says: the same value but for the last digits, where a
    rerun's rounding may differ, of the same weights, and with no field more."""
    return (
        old is not None
        and math.isclose(old["value"], new["value"], rel_tol=1e-4, abs_tol=1e-6)
        and old.get("weights") == new.get("weights")
        and set(new) <= set(old)  # an interval is new, say
    )


WAIT = 30.0  # seconds for another process that writes the same results


def record(path: str | Path, rows: Sequence[Row]) -> list[Row]:
    """Add rows to a results file and return all of them. A row that measures the same value again,
    with the same weights, stays as it was; another value replaces it. Of several processes that add
    to one file, one does at a time.

    Raises ValueError where the file is damaged, LockedError where another process has it for long.
    """
    path = Path(path)
    with lock(path.with_name(f"{path.name}.lock"), WAIT):
        kept = {key(row): row for row in load(path)}
        kept |= {key(row): row for row in rows if not measured_again(kept.get(key(row)), row)}
        ordered = [kept[name] for name in sorted(kept)]
        write_text(path, json.dumps({"rows": ordered}, indent=1) + "\n")
    return ordered


def compare(recorded: Sequence[Row], rows: Sequence[Row]) -> list[list[str]]:
    """A line for each measured row that is recorded too: method, metric, both values, the verdict.

    Verdicts: "same", "OTHER VALUE", or "other weights" where the two are of different checkpoints,
    which nobody expects to agree. A row that was recorded on another device, or with another seed,
    is compared, too. Raises ValueError where no row was recorded.
    """
    kept = {measurement(row): row for row in recorded}
    kept |= {key(row): row for row in recorded}  # of the same seed and device where there is one
    lines = []
    for row in rows:
        old = kept.get(key(row), kept.get(measurement(row)))
        if old is None:
            continue
        verdict = "same" if agrees(row["metric"], old["value"], row["value"]) else "OTHER VALUE"
        if old.get("weights") != row.get("weights"):
            verdict = "other weights"
        values = [f"{old['value']:.6g}", f"{row['value']:.6g}"]
        lines.append([row["method"], row["metric"], *values, verdict])
    if not lines:
        raise ValueError(
            f"none of these rows was recorded: they are of {', '.join(sets(rows))}, the file has"
            f" {', '.join(sets(recorded))}; give the data set's recorded name with --name"
        )
    return lines


def measurement(row: Row) -> tuple[str, ...]:
    """`key` for all seeds and devices."""
    return key({**row, "seed": None, "device": None})


def sets(rows: Sequence[Row]) -> list[str]:
    """The sets of photographs that measured rows are of, such as "Set5 (N = 5, evaluate)"."""
    return sorted({f"{r['dataset']} (N = {r['n']}, {r['stage']})" for r in rows if r.get("n")})


def check(path: str | Path, rows: Sequence[Row]) -> tuple[str, bool]:
    """The comparison with a results file as a Markdown table, and whether no value is another."""
    lines = compare(load(path), rows)
    header = ["Method", "Metric", "Recorded", "Measured", ""]
    return markdown(header, lines), all(line[-1] != "OTHER VALUE" for line in lines)


def markdown(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table: first column left-aligned, the others right-aligned."""
    lines = [header, [":--"] + ["--:"] * (len(header) - 1), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
