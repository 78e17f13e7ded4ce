"""Rows of results.json as tables. One pivot makes all of them: what differs is which rows a line
and a column pick. `results_md` is the whole of figures/results.md."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from srkit.evaluation import results
from srkit.evaluation.results import METRICS, Row, markdown, metric_of, only, select
from srkit.fid.features import PROTOCOLS
from srkit.files import lock, write_text
from srkit.training.variants import VARIANTS
from srkit.weights import TWICE, label, methods

Table = tuple[list[str], list[list[str]]]  # header, body
BICUBIC = {"method": "bicubic", "variant": None}  # what ratios are to
NONE = "–"


@dataclass(frozen=True)
class Column:
    """Numbers below each other: of a line's rows the one that `where` picks."""

    heading: str
    where: Mapping[str, Any]
    ratio: bool = False  # to bicubic's row of the same
    brackets: str = "interval"  # the field whose lowest and highest value follow in brackets
    field: str = "value"
    digits: str = ""  # default: the metric's


def pivot(
    rows: Sequence[Row],
    leads: Sequence[str],
    lines: Iterable[tuple[Sequence[Any], Mapping[str, Any]]],
    columns: Sequence[Column],
) -> Table:
    """Rows as (header, body). A line is the cells that it begins with, below the headings `leads`,
    and what picks its rows; where no row is picked, a dash stands.

    Raises ValueError where several rows fit one cell.
    """
    header = [*leads, *(column.heading for column in columns)]
    return header, [
        [*map(str, first), *(cell(rows, where, column) for column in columns)]
        for first, where in lines
    ]


def cell(rows: Sequence[Row], where: Mapping[str, Any], column: Column) -> str:
    """What a column shows of a line."""
    wanted = {**where, **column.where}
    row = only(rows, **wanted)
    if row is None or column.field not in row:
        return NONE
    if not column.ratio:
        digits = column.digits or metric_of(row["metric"]).digits
        return show(row[column.field], digits, row.get(column.brackets))
    base = only(rows, **wanted | BICUBIC)
    ratio = row["value"] / base["value"] if base and base["value"] else None
    return show(ratio, ".3f", row.get(f"ratio_{column.brackets}"))


def show(value: float | None, digits: str, ends: Sequence[float] | None = None) -> str:
    """A number, behind it its lowest and highest value in brackets; a dash for none."""
    if value is None:
        return NONE
    text = f"{value:{digits}}"
    if not ends or min(ends) == max(ends):  # as bicubic's ratio to itself
        return text
    return f"{text} [{min(ends):{digits}}, {max(ends):{digits}}]"


def measures(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """The metrics that rows have, each with its protocol, in the order of columns."""
    order = [metric.name for metric in METRICS]
    both = sorted({(row["metric"], row["protocol"]) for row in rows})
    return sorted(both, key=lambda one: [*order, one[0]].index(metric_of(one[0]).name))


def metric_columns(rows: Sequence[Row], brief: bool = False, **options: Any) -> list[Column]:
    """A column for each metric and protocol, and one of ratios to bicubic behind those that have
    it, or in their place where it is `brief`: only ratios of Frechet distances compare with the
    report's."""
    columns = []
    for name, protocol in measures(rows):
        metric, where = metric_of(name), {"metric": name, "protocol": protocol}
        heading = f"{name} ({metric.unit})" if metric.unit else name
        if not (brief and metric.ratio):
            columns.append(Column(heading, where, **options))
        if metric.ratio:
            heading = f"{name} / bicubic" if brief else "/ bicubic"
            columns.append(Column(heading, where, ratio=True, **options))
    return columns


def in_order(names: Iterable[str]) -> list[str]:
    """Methods by name, each once: interpolation, networks twice, networks, peers, HR."""
    twice = [name + TWICE for name in methods("network")]
    order = [*methods("interpolation"), *twice, *methods("network", "peer", "truth")]
    present = set(names)
    return [name for name in order if name in present]


def method_table(rows: Sequence[Row], names: Sequence[str] = (), brief: bool = False) -> Table:
    """Figure 3 as a table: rows of one set of photographs, a line a method, with 95% intervals and
    at 2x the report's quote. Lines are those of `names`, by default of all methods. `brief` leaves
    out the distances that have a ratio, so that the table fits a page."""
    chosen = select(rows, source="measured")
    scale = chosen[0]["scale"]
    names = names or in_order(row["method"] for row in chosen)
    columns, quoted = metric_columns(chosen, brief), {"source": "quoted"}
    if scale == 2:
        columns += [] if brief else [Column("FID, quoted", quoted)]
        heading = "FID / bicubic, quoted" if brief else "/ bicubic, quoted"
        columns.append(Column(heading, quoted, ratio=True))
    recipes = {row["method"]: row.get("recipe") for row in chosen}
    lines = [([label(name, scale, recipes.get(name))], {"method": name}) for name in names]
    return pivot([*chosen, *results.quoted_rows()], ["Method"], lines, columns)


def by_method(rows: Sequence[Row], metric: str) -> dict[str, float]:
    """A metric's measured values, without HR's own."""
    chosen = select(rows, metric=metric, source="measured")
    return {row["method"]: row["value"] for row in chosen if row["method"] != "hr"}


def sensitivity_table(rows: Sequence[Row]) -> Table:
    """FID by layer, number of photographs and their short side; under each protocol bicubic's, and
    SR-UGAN's ratio to it."""
    columns = []
    for resize in PROTOCOLS:
        columns.append(Column(f"bicubic, {resize}", {"method": "bicubic", "resize": resize}))
        where = {"method": "sr-ugan", "resize": resize}
        columns.append(Column(f"{label('sr-ugan')} / bicubic", where, ratio=True))
    places = sorted({(row["layer"], row["n"], row["side"]) for row in rows})
    lines = [
        ([f"FID-{layer}", n, side], {"layer": layer, "n": n, "side": side})
        for layer, n, side in places
    ]
    return pivot(rows, ["Layer", "N", "Short side"], lines, columns)


def checkerboard_table(rows: Sequence[Row]) -> Table:
    """Methods as they are, and with a checkerboard over their predictions; ratios are to bicubic as
    it is."""
    places = dict.fromkeys((row["method"], row.get("variant")) for row in rows)
    lines = [
        ([label(method), variant or "as it is"], {"method": method, "variant": variant})
        for name in in_order(method for method, _ in places)
        for method, variant in places
        if method == name
    ]
    return pivot(rows, ["Method", "Predictions"], lines, metric_columns(rows))


def ablation_table(rows: Sequence[Row]) -> Table:
    """The ablation: bicubic and each variant, each metric's mean over the seeds, and in brackets
    the lowest and highest seed where there are several."""
    columns = metric_columns(rows, brackets="values")
    seen = replace(columns[0], heading="Crops seen", field="crops_seen", digits=",", brackets="")
    columns.insert(0, seen)
    lines: list[tuple[list[str], dict[str, Any]]] = [(["bicubic"], BICUBIC)]
    lines += [([name], {"variant": name}) for name in VARIANTS if select(rows, variant=name)]
    return pivot(rows, ["Variant"], lines, columns)


def bench_table(rows: Sequence[Row]) -> Table:
    """The benchmarks: a line for what was run on what, a column for each thing measured."""

    def place(row: Row) -> tuple[Any, ...]:  # the plain run, ours, others
        program = str(row.get("variant"))
        rank = 0 if program == "plain" else 1 if program.startswith("srkit") else 2
        return row["dataset"], row["n"], row["method"] != "srkit", row["method"], rank

    names = ("method", "variant", "dataset", "n", "device")
    lines = {}
    for row in sorted(rows, key=place):
        program = ": ".join(row[name] for name in ("method", "variant") if name in row)
        lines[program, row["dataset"], row["n"]] = {name: row.get(name) for name in names}
    columns = [Column(name, {"metric": name}) for name in dict.fromkeys(r["metric"] for r in rows)]
    difference = Column("value against ours", {}, field="relative_difference", digits="+.0e")
    ours = [row for row in rows if difference.field in row]
    columns += [replace(difference, where={"metric": row["metric"]}) for row in ours[:1]]
    return pivot(rows, ["Program", "Work", "N"], lines.items(), columns)


Setting = tuple[str, int, int, int]  # resize, layer, N, short side


def by_setting(rows: Sequence[Row], method: str) -> dict[Setting, float]:
    """A method's FIDs in rows of `sensitivity`."""
    chosen = select(rows, method=method)
    return {(row["resize"], row["layer"], row["n"], row["side"]): row["value"] for row in chosen}


def largest_factor(values: Mapping[Setting, float], place: int) -> float:
    """The largest factor between two values whose settings differ in one place alone."""
    alike: dict[tuple[str | int, ...], list[float]] = {}
    for setting, number in values.items():
        alike.setdefault(setting[:place] + setting[place + 1 :], []).append(number)
    return max(max(group) / min(group) for group in alike.values())


# --- The file ------------------------------------------------------------------------------------


def record(path: Path | None, rows: Sequence[Row]) -> list[Row]:
    """Add rows to a results file and write the tables of all that it holds beside it, as .md;
    returns all of them. Nothing is done where there is no path."""
    if path is None:
        return []
    results.record(path, rows)
    with lock(path.with_name(f"{path.name}.lock"), results.WAIT):
        everything = results.load(path)  # with what another process has added meanwhile
        write_text(Path(path).with_suffix(".md"), results_md(everything))
    print(f"{len(rows)} rows recorded in {Path(path).name}")
    return everything


def results_md(rows: Sequence[Row]) -> str:
    """All the tables of a results file, each with a heading and a line of protocol."""
    parts = ["# Results\n\nMade from results.json, which has every row; not to be edited.\n"]
    parts += [*method_sections(rows, "report"), *method_sections(rows, "evaluate")]
    for group in groups(rows, "sensitivity", "dataset", "network"):
        resizes = ", ".join(f"{name} ({what})" for name, what in PROTOCOLS.items())
        said = f"{group[0]['network']}, protocols {resizes}."
        title = "FID by layer, number, size and protocol"
        parts.append(section(title, group, said, sensitivity_table(group)))
    for group in groups(rows, "checkerboard", "dataset", "n"):
        said = f"{protocols(group)}. {directions(group)} In brackets: 95%."
        parts.append(section("A checkerboard laid over", group, said, checkerboard_table(group)))
    for group in groups(rows, "ablation", "dataset", "n", "crop"):
        said = f"Trained on crops of {group[0]['crop']}. {protocols(group)}. {directions(group)}"
        said += " In brackets: the lowest and the highest seed."
        parts.append(section("SR-UGAN less one part", group, said, ablation_table(group)))
    for group in groups(rows, "bench", "protocol"):
        parts.append(section("Speed", group, f"{group[0]['protocol']}.", bench_table(group)))
    return "\n".join(parts)


def method_sections(rows: Sequence[Row], stage: str) -> list[str]:
    """The tables of methods of one stage, a set of photographs and a scale each."""
    parts = []
    for group in groups(rows, stage, "dataset", "n", "scale"):
        said = f"{protocols(group)}. {directions(group)}"
        said += " In brackets: 95%." if any("interval" in row for row in group) else ""
        parts.append(section("Methods", group, said, method_table(group)))
    return parts


def groups(rows: Iterable[Row], stage: str, *names: str) -> list[list[Row]]:
    """The measured rows of a stage, by these fields and by preset, seed and device."""
    grouped: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.get("stage") == stage:
            setting = (str(row.get(name)) for name in (*names, "preset", "seed", "device"))
            grouped.setdefault(tuple(setting), []).append(row)
    return list(grouped.values())


def section(title: str, group: Sequence[Row], said: str, table: Table) -> str:
    """A heading with what all rows of a group share, a line of protocol, and the table."""
    shared = {k: v for k, v in group[0].items() if all(row.get(k) == v for row in group)}
    forms = {"dataset": "{}", "scale": "{}x", "n": "N = {:,}"}
    about = [form.format(shared[name]) for name, form in forms.items() if shared.get(name)]
    forms = {"preset": "preset {}", "seed": "seed {}", "device": "on {}"}
    run = [form.format(shared[name]) for name, form in forms.items() if shared[name] is not None]
    heading = f"{title}: {', '.join(about)}" if about else title
    return f"## {heading}\n\n{said} Run: {', '.join(run)}.\n\n{markdown(*table)}"


def protocols(rows: Sequence[Row]) -> str:
    """The protocols of rows: "PSNR, SSIM: Y, border 2; ..."."""
    said: dict[str, list[str]] = {}
    for name, protocol in measures(rows):
        said.setdefault(protocol, []).append(name)
    return "; ".join(f"{', '.join(names)}: {protocol}" for protocol, names in said.items())


def directions(rows: Sequence[Row]) -> str:
    """Which metrics are better when higher, and which when lower."""
    metrics = dict(measures(rows))
    return " ".join(
        f"{way.capitalize()} is better: {', '.join(names)}."
        for way in ("higher", "lower")
        if (names := [name for name in metrics if metric_of(name).better == way])
    )
