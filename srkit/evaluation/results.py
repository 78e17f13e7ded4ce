"""Measured and quoted numbers: kept in results.json, and shown side by side.

A row is one number and all that is needed to repeat it. Measuring the same value again leaves the
row as it was, commit and all, so that re-running the report changes no committed file.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import torch

from srkit.paths import commit

Row = dict[str, Any]

# What makes two rows the same measurement.
KEY = ("method", "dataset", "n", "scale", "metric", "protocol", "preset", "source")

LABELS = {
    "nearest": "Nearest-neighbor", "bilinear": "Bilinear", "bicubic": "Bicubic",
    "srresnet": "SRResNet", "srgan": "SRGAN", "sr-ugan": "SR-UGAN", "hr": "HR (itself)",
    "sr-ugan-large-batch": "SR-UGAN, large batch",
    "leftthomas-srgan": "SRGAN of leftthomas (peer)",
}  # fmt: skip
LABELS |= {f"{name} twice": f"{label} 2x, twice" for name, label in LABELS.items()}

REPORT_FID = {"nearest": 67.618, "bilinear": 71.617, "bicubic": 63.162, "sr-ugan": 22.123, "hr": 0}


def quoted_rows() -> list[Row]:
    """Figure 3 of the report. It states neither the network, nor the resize, nor the number of
    images, so these are quotes and never targets."""
    return [
        {
            "method": method, "dataset": "ImageNet validation", "n": None, "scale": 2,
            "metric": "FID", "protocol": "not stated in the report", "value": value,
            "source": "quoted", "quoted_from": "Figure 3", "preset": None,
        }
        for method, value in REPORT_FID.items()
    ]  # fmt: skip


def measured(
    method: str, dataset: str, n: int, scale: int | None, metric: str, protocol: str, value: float,
    preset: str, seed: int = 0, device: str = "cpu", **more: Any,
) -> Row:  # fmt: skip
    """A measured row, stamped with commit and torch version; values, and pairs of them such as
    intervals, are kept to 6 digits.

    Raises ValueError where the value is not finite.
    """
    if not math.isfinite(value):
        raise ValueError(f"{metric} of {method} is {value}: not a measurement")
    more = {
        name: [_rounded(v) for v in item] if isinstance(item, tuple) else item
        for name, item in more.items()
    }
    return {
        "method": method, "dataset": dataset, "n": n, "scale": scale, "metric": metric,
        "protocol": protocol, "value": _rounded(value), "source": "measured",
        "preset": preset, "seed": seed, "device": device, "torch": torch.__version__,
        "commit": commit(), **more,
    }  # fmt: skip


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def key(row: Row) -> tuple:
    """What identifies a measurement, whatever its value."""
    return tuple(row.get(name) for name in KEY)


def load(path: str | Path) -> list[Row]:
    """The rows of a results file; none where there is no file yet.

    Raises ValueError where the file is damaged.
    """
    path = Path(path)
    if not path.is_file():
        return []
    try:
        return list(json.loads(path.read_text(encoding="utf-8"))["rows"])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}); restore it with git, or delete it to measure anew"
        ) from error


def same_value(old: float, new: float) -> bool:
    """Equal but for the last kept digits, where a rerun's rounding may differ."""
    return math.isclose(old, new, rel_tol=1e-4, abs_tol=1e-6)


def record(path: str | Path, rows: list[Row]) -> list[Row]:
    """Add rows to a results file and return all of them. A row that measures the same value again,
    with the same weights, stays as it was; another value replaces it."""
    kept = {key(row): row for row in load(path)}
    for row in rows:
        old = kept.get(key(row))
        again = (
            old is not None
            and same_value(old["value"], row["value"])
            and old.get("weights") == row.get("weights")
            and set(row) <= set(old)  # an interval is new, say
        )
        if not again:
            kept[key(row)] = row
    ordered = sorted(kept.values(), key=lambda row: [str(part) for part in key(row)])
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    aside.write_text(json.dumps({"rows": ordered}, indent=1) + "\n", encoding="utf-8", newline="\n")
    os.replace(aside, path)
    return ordered


def select(rows: list[Row], **wanted: Any) -> list[Row]:
    """The rows that have all the wanted values."""
    return [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]


def value(rows: list[Row], **wanted: Any) -> float | None:
    """The one value that fits, or None. Raises ValueError where several rows fit."""
    found = select(rows, **wanted)
    if len(found) > 1:
        raise ValueError(f"{len(found)} rows fit {wanted}; name more of {', '.join(KEY)}")
    return found[0]["value"] if found else None


def markdown(header: list[str], body: list[list[str]]) -> str:
    """A Markdown table: first column left-aligned, the others right-aligned."""
    lines = [header, [":--"] + ["--:"] * (len(header) - 1), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
