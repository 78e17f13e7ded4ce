"""Rows of results.json as tables: methods down, metrics across."""

from collections.abc import Mapping, Sequence

from srkit.evaluation import results
from srkit.fid.features import PROTOCOLS, measure_name, protocol_name
from srkit.weights import TRAINED


def sensitivity_table(
    rows: list[results.Row], dataset: str, n: int, method: str = "sr-ugan"
) -> tuple[list[str], list[list[str]]]:
    """Rows of `sensitivity` at one N as (header, body): a line a layer, and under each protocol
    bicubic's FID and a method's ratio to it."""
    chosen = results.select(rows, dataset=dataset, n=n, preset="sensitivity")
    layers = sorted({row["metric"] for row in chosen}, key=lambda m: int(m.removeprefix("FID-")))
    header, label = ["Layer"], results.LABELS[method]
    for protocol in PROTOCOLS:
        header += [f"bicubic, {protocol}", f"{label} / bicubic"]
    body = []
    for metric in layers:
        line = [metric]
        for protocol in PROTOCOLS:
            own = [row for row in chosen if f"{protocol_name(protocol)}" in row["protocol"]]
            base = results.value(own, metric=metric, method="bicubic")
            value = results.value(own, metric=metric, method=method)
            line += [show(base), show(value / base if value is not None and base else None)]
        body.append(line)
    return header, body


def table(
    rows: list[results.Row],
    methods: Sequence[str],
    dataset: str,
    scale: int,
    preset: str,
    labels: Mapping[str, str] | None = None,
) -> tuple[list[str], list[list[str]]]:
    """Figure 3 as (header, body): measured columns, their ratio to bicubic, and the report's quote.

    A column is a metric that was measured on the data set; its ratio column is added for the
    Frechet distances, since only ratios compare with the report's. 95% intervals follow in brackets
    where they were measured.
    """
    if labels is None:
        native = {m: f"{results.LABELS[m]} native {scale}x" for m in TRAINED if scale != 2}
        labels = results.LABELS | native
    chosen = results.select(rows, dataset=dataset, scale=scale, preset=preset, source="measured")
    metrics_found = {row["metric"] for row in chosen}
    names = [m for m in ("PSNR", "SSIM") if m in metrics_found]
    names += sorted(metrics_found - set(names))
    header = ["Method"]
    for metric in names:
        header += ["PSNR (dB)" if metric == "PSNR" else metric]
        header += ["/ bicubic"] if _has_ratio(metric) else []
    header += ["FID, quoted", "/ bicubic, quoted"] if scale == 2 else []
    body = []
    for method in methods:
        line = [labels[method]]
        for metric in names:
            own = results.select(chosen, method=method, metric=metric)
            row: results.Row = own[0] if own else {"value": None}
            line.append(show(row["value"], metric, row.get("interval")))
            if _has_ratio(metric):
                base = results.value(chosen, method="bicubic", metric=metric)
                ratio = None if not own or base is None else float(row["value"]) / base
                line.append(show(ratio, interval=row.get("ratio_interval")))
        if scale == 2:
            quote = results.REPORT_FID.get(method)
            ratio = None if quote is None else quote / results.REPORT_FID["bicubic"]
            line += [show(quote, "quote"), show(ratio)]
        body.append(line)
    return header, body


def _has_ratio(metric: str) -> bool:
    return not metric.startswith(("PSNR", "SSIM", "KID"))


def show(
    value: float | None, metric: str = "ratio", interval: Sequence[float] | None = None
) -> str:
    """A number with the digits that its metric deserves, and its interval; a dash for none."""
    if value is None:
        return "–"
    if metric.startswith("KID"):
        return f"{value:.3g}" + ("" if interval is None else " [{:.3g}, {:.3g}]".format(*interval))
    digits = {"PSNR": 2, "SSIM": 4, measure_name(None): 1}.get(metric, 3)
    if interval is None or interval[0] == interval[1]:  # bicubic's ratio to itself has no spread
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"
