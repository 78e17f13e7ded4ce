"""Where methods stand, as sentences: written by code from measured rows, as `findings` are."""

from collections.abc import Mapping, Sequence
from typing import Any

from srkit.evaluation.results import Row, select, value
from srkit.evaluation.tables import by_method, by_setting, largest_factor
from srkit.notebook.findings import apart, listed, ranked, times
from srkit.training.variants import FULL
from srkit.weights import LABELS, TWICE, mse_alone


def quadrant(rows: Sequence[Row], method: str, distance: str) -> str:
    """Where a method stands beside bicubic, picture by picture and as a set."""
    psnr, sets = (by_method(rows, name) for name in ("PSNR", distance))
    nearer, ratio = psnr[method] > psnr["bicubic"], sets[method] / sets["bicubic"]
    verdict = {
        (True, True): "better in both senses",
        (True, False): "nearer to each photograph, and farther as a set",
        (False, True): "farther from each photograph, and nearer as a set",
        (False, False): "worse in both senses",
    }[nearer, ratio < 1]
    gain = f"PSNR {psnr[method] - psnr['bicubic']:+.2f} dB, {distance} {ratio:.3f} of bicubic's"
    return f"{LABELS[method]} ({gain}) is {verdict}."


def winners(rows: Sequence[Row], metrics: Mapping[str, str]) -> str:
    """Who is first by each metric, given which way is better."""
    first = {name: ranked(by_method(rows, name), better)[0] for name, better in metrics.items()}
    told = [f"{listed([method])} by {name}" for name, method in first.items()]
    if len(set(first.values())) == 1:
        return f"All put the same method first: {listed([next(iter(first.values()))])}."
    return f"First is {listed(told)}: it depends on what one asks."


def order_across(groups: Mapping[str, Sequence[Row]], metric: str, better: str) -> str:
    """Whether a metric keeps its order of the methods from set to set of photographs."""
    columns = {name: by_method(rows, metric) for name, rows in groups.items()}
    common = set.intersection(*(set(values) for values in columns.values()))
    orders = {n: ranked({m: v[m] for m in common}, better) for n, v in columns.items()}
    if len({tuple(order) for order in orders.values()}) == 1:
        return f"{metric} keeps its order of the methods on all {len(orders)} sets."
    (first, wanted), *others = orders.items()
    name, other = next((name, order) for name, order in others if order != wanted)
    at = next(place for place in range(len(wanted)) if wanted[place] != other[place])
    pair = f"{listed([wanted[at]])} before {listed([other[at]])}"
    return f"{metric} does not keep its order: {first} has {pair}, {name} the reverse."


def settings(rows: Sequence[Row], method: str) -> str:
    """What moves bicubic's FID and a method's ratio to it, by rows of `sensitivity`."""
    base = by_setting(rows, "bicubic")
    ratios = {at: number / base[at] for at, number in by_setting(rows, method).items()}
    moved = {
        what: (largest_factor(base, place), largest_factor(ratios, place))
        for place, what in enumerate(("the protocol", "the layer", "N", "the resolution"))
    }
    told = [f"{what} by up to {times(factor)}" for what, (factor, _) in moved.items()]
    text = f"Each alone moves bicubic's FID on the same photographs: {listed(told)}."
    below = sum(ratio < 1 for ratio in ratios.values())
    text += f" {LABELS[method]}'s ratio to it goes from {min(ratios.values()):.3g} to"
    text += f" {max(ratios.values()):.3g}, below 1 at {below} of {len(ratios)} settings"
    if 0 < below < len(ratios):
        layers = sorted({layer for (_, layer, _, _), ratio in ratios.items() if ratio < 1})
        text += f" (layers {listed([f'{n}' for n in layers])}): whether it is nearer to real"
        return text + " photographs than bicubic depends on the setting."
    side = "below" if below else "above"
    return f"{text}: {side} 1 at all of them, so the side may be named without a setting."


def fooled(rows: Sequence[Row]) -> list[str]:
    """What a checkerboard over a method's predictions does to its FID and PSNR, by rows of
    `patterns.checkerboard`: a sentence a method, of the strength with the lowest FID."""
    metric = next(row["metric"] for row in rows if row["metric"].startswith("FID"))
    base, told = value(rows, metric=metric, method="bicubic", variant=None), []
    for method in dict.fromkeys(row["method"] for row in rows):
        plain, *laid = select(rows, metric=metric, method=method)
        best = min(laid, key=lambda row: row["value"])
        psnr = [
            value(rows, metric="PSNR", method=method, variant=row.get("variant")) or 0.0
            for row in (plain, best)
        ]
        ratios = [row["value"] / (base or 1.0) for row in (plain, best)]
        moves = "falls" if ratios[1] < ratios[0] else "rises"
        text = (
            f"{LABELS[method]}: {metric} / bicubic {moves} from {ratios[0]:.2f} to {ratios[1]:.2f}"
        )
        told.append(f"{text} with a {best['variant']}, for {psnr[0] - psnr[1]:.1f} dB of PSNR.")
    return told


def ablated(rows: Sequence[Row]) -> list[str]:
    """What each part is worth: PSNR without it, beside the whole's, and whether by more than seeds
    differ; FID without it, beside bicubic's. The last is the whole's own FID."""
    psnr = {row["variant"]: row for row in select(rows, metric="PSNR") if "values" in row}
    fid = next((r["metric"] for r in rows if r["metric"].startswith("FID")), None)
    base = select(rows, metric=fid, method="bicubic")
    whole, told = psnr.pop(FULL), []
    for name, row in psnr.items():
        values, wholes = row["values"], whole["values"]
        text = f"**{name}**: PSNR {apart(row['value'], whole['value'])} than the whole's"
        if len(wholes) == 1:
            text += ", of one seed"
        elif max(values) < min(wholes) or min(values) > max(wholes):
            text += ", more than the seeds differ"
        else:
            text += ", no more than seeds differ"
        for distance in select(rows, metric=fid, variant=name) if base else []:
            text += f"; {fid} {distance['value'] / base[0]['value']:.2f} of bicubic's"
        told.append(f"{text}.")
    if base and (fids := select(rows, metric=fid, variant=FULL)):
        told.append(f"**The whole**: {fid} {fids[0]['value'] / base[0]['value']:.2f} of bicubic's.")
    return told


# --- 4x ------------------------------------------------------------------------------------------


def compounding(scores: Mapping[str, Sequence[float]]) -> str:
    """Whether errors compound: what a second pass on the first one's output loses against one on
    the true half-size picture, beside what bicubic loses. `scores` end with these two PSNRs."""
    lost = {method: values[-1] - values[-2] for method, values in scores.items()}
    told = [f"{LABELS[method]} {loss:.2f} dB" for method, loss in lost.items()]
    more = [m for m in lost if lost[m] > lost["bicubic"] + 0.05]
    text = f"On the first pass's output instead of the truth, the second loses: {listed(told)}."
    if not more:
        return f"{text} No network loses more than bicubic: nothing compounds here."
    lose = "loses" if len(more) == 1 else "lose"
    text += f" {listed(more)} {lose} more than bicubic:"
    return f"{text} what the first pass made up is taken for fact."


def roads(rows: Sequence[Row], model: str) -> str:
    """Native 4x beside the 2x network twice, by PSNR and by the patch distance."""
    psnr, far = (by_method(rows, name) for name in ("PSNR", "Patch Frechet distance"))
    twice = model + TWICE
    better = psnr[model] > psnr[twice], far[model] < far[twice]
    text = f"{LABELS[model]}: native PSNR is {apart(psnr[model], psnr[twice])} than twice's, its"
    text += f" patch distance {far[model] / far[twice]:.2f} of it;"
    if all(better):
        return f"{text} native is better in both."
    return f"{text} {'each wins one' if any(better) else 'twice is better in both'}."


VISIBLE = 1.0  # levels of a pattern that repeats: in a smooth place the eye finds it


def gridded(levels: Mapping[str, float], labels: Mapping[str, str]) -> str:
    """Who lays a grid over the picture."""
    glaring = [
        f"{labels[m]} ({level:.1f} levels)" for m, level in levels.items() if level > VISIBLE
    ]
    base = f"bicubic has {levels['bicubic']:.1f}"
    if not glaring:
        return f"No method lays a grid of more than {VISIBLE:g} level over the picture; {base}."
    text = f"A grid lies over the pictures of {listed(glaring)}; {base}."
    return f"{text} Look for the plaid in smooth places: it is no detail of the scene."


def same_training(facts: Mapping[str, Mapping[str, Any]]) -> str:
    """Whether two networks have seen the same number of crops, and which has had MSE alone."""
    first = [name for name, about in facts.items() if mse_alone(about.get("name"))]
    alone = f" The {listed(first)} has had its first stage alone, MSE." if first else ""
    seen = {name: int(about.get("images_seen", 0)) for name, about in facts.items()}
    told = listed([f"{name} {count:,}" for name, count in seen.items()])
    if len(set(seen.values())) == 1:
        return f"Both had the same number of crops ({told}).{alone}"
    text = f"They had unlike trainings ({told} crops):"
    return f"{text} what follows compares two checkpoints, and not strictly two roads.{alone}"
