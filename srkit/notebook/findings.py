"""What the numbers of a notebook say, as sentences: written by code from the rows above them, the
side that they take too, so that text and numbers cannot part when the networks change."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log
from typing import Any

from IPython.display import Markdown
from torch import nn

from srkit.evaluation import results
from srkit.weights import LABELS, label


def say(*sentences: str) -> Markdown:
    """Sentences as a paragraph that begins as the notebooks' do."""
    text = " ".join(sentences)
    return Markdown(f"**Notice.** {text[0].upper()}{text[1:]}")


def points(*sentences: str) -> Markdown:
    """Sentences as a list."""
    return Markdown("\n".join(f"- {sentence}" for sentence in sentences))


def table(header: Sequence[str], body: Sequence[Sequence[str]]) -> Markdown:
    """A table as a cell shows it."""
    return Markdown(results.markdown(header, body))


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "A, B and C"."""
    names = [LABELS.get(name, name) for name in names]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def apart(value: float, base: float) -> str:
    """How a value stands to another: "0.35 dB higher", "0.35 dB lower", or "the same"."""
    size = f"{abs(value - base):.2f}"
    if float(size) == 0:
        return "the same"
    return f"{size} dB {'higher' if value > base else 'lower'}"


def times(factor: float) -> str:
    """A factor in words: "1.4 times", "3,200 times"."""
    return f"{factor:.2g} times" if factor < 10 else f"{float(f'{factor:.2g}'):,.0f} times"


def ranked(values: Mapping[str, float], better: str = "lower") -> list[str]:
    """The names from the best to the worst."""
    return sorted(values, key=values.__getitem__, reverse=better == "higher")


def orders(columns: Mapping[str, Sequence[str]]) -> str:
    """How several rulers order the same methods, and which agree with the first."""
    told = [f"{name} has {' > '.join(map(label, order))}" for name, order in columns.items()]
    (first, wanted), *others = columns.items()
    agree = [name for name, order in others if list(order) == list(wanted)]
    differ = [name for name, order in others if list(order) != list(wanted)]
    verbs = (("sides with", "side with"), agree), (("contradicts", "contradict"), differ)
    ends = [f"{listed(names)} {verb[len(names) > 1]} {first}" for verb, names in verbs if names]
    return f"From the best to the worst, {'; '.join(told)}: {' and '.join(ends)}."


# --- 01 ------------------------------------------------------------------------------------------


def antialias(scores: Mapping[int, tuple[float, float]]) -> str:
    """The round trip's PSNR by scale, from LR with antialias and from LR without."""
    told = [f"{apart(without, proper)} at {scale}x" for scale, (proper, without) in scores.items()]
    easier = [f"{scale}x" for scale, (proper, without) in scores.items() if without > proper]
    text = f"Without antialias PSNR is {' and '.join(told)}."
    if easier:
        text += (
            f" So at {listed(easier)} a worse LR gives the better number: it is sharper, aliases"
        )
        text += " and all, and the way back has become easier."
    return f"{text} A higher PSNR may only mean another question."


# --- 02 ------------------------------------------------------------------------------------------


def forgiven(content: Mapping[str, float], network: str) -> str:
    """What a content loss makes of pictures that are equally wrong to MSE."""
    order = ranked(content)
    factor = content[order[-1]] / content[order[0]]
    text = f"MSE cannot tell the four apart. Content loss spreads them by a factor of {factor:.1f}:"
    text += f" it forgives *{order[0]}* the most and *{order[-1]}* the least."
    if "UNTRAINED" in network:
        text += " But this VGG19 has random weights: what a network forgives that recognises things"
        text += " is not to be seen here."
    return text


def spread(radius: int, most: int) -> str:
    """How far a network looks, and how far it does."""
    if most < 0.6 * radius:
        return f"Of a radius of {radius} pixels, 90% of the influence comes from the inner {most}."
    return f"The influence reaches out: 90% of it only within {most} of {radius} pixels."


def leading(pulls: Mapping[str, float]) -> str:
    """Which of several gradients is the largest, and by how much."""
    first, second, *_ = ranked(pulls, "higher")
    return f"The {first} term pulls the hardest, {times(pulls[first] / pulls[second])} {second}'s."


def traded(psnr: Mapping[str, float], fine: Mapping[str, float]) -> str:
    """What SRGAN's second training has done to SRResNet, in PSNR and in detail beyond LR's grid."""
    lost = psnr["srgan"] < psnr["srresnet"]
    text = (
        f"SRGAN's PSNR is {apart(psnr['srgan'], psnr['srresnet'])} than SRResNet's. Of HR's power"
    )
    text += f" beyond LR's grid it has {fine['srgan']:.0%}, SRResNet {fine['srresnet']:.0%}."
    if fine["srgan"] <= fine["srresnet"]:
        return f"{text} So it has not won texture here: the second training did not do its work."
    if lost:
        return f"{text} It gave up PSNR for texture, which is what equation (4) asks for."
    return f"{text} It has more texture and lost no PSNR by it."


# --- 03 ------------------------------------------------------------------------------------------

CHOOSES = 0.1  # of a channel's weight in (0, 1): by so much it answers to another picture
MATTERS = 0.3  # dB of context: less than the curves of so few crops jump about


def chosen(changes: Mapping[str, float]) -> str:
    """Which attention layers answer to the picture, by how much the mean channel weight changes for
    its negative."""
    choose = [name for name, change in changes.items() if change > CHOOSES]
    text = f"For the negative, channel weights change by {min(changes.values()):.3f} to"
    text += f" {max(changes.values()):.3f} on average."
    if not choose:
        return f"{text} No layer chooses by content: they scale their channels by constants."
    text += f" {len(choose)} of {len(changes)} layers choose by content ({listed(choose)});"
    return f"{text} the others scale their channels by constants, as a convolution could do."


def far_change(levels: Mapping[str, float]) -> str:
    """What a covered corner changes in the opposite quarter, in mean levels of 255."""
    told = [f"{LABELS[name]}'s by {change:.2f}" for name, change in levels.items()]
    text = f"The opposite quarter changes, on average: {listed(told)} of 255 levels."
    if levels["sr-ugan"] <= levels["srgan"]:
        return f"{text} SR-UGAN makes no more use of the corner than SRGAN."
    if levels["sr-ugan"] < 0.5:
        return f"{text} SR-UGAN can use the far corner, and rounding to whole levels hides it."
    return f"{text} SR-UGAN does use the far corner, by more than rounding hides."


def radii(within: Mapping[str, int]) -> str:
    """How far 90% of each network's influence reaches, on photographs."""
    srgan, srugan = within["srgan"], within["sr-ugan"]
    text = f"90% of SR-UGAN's influence lies within {srugan} output pixels, of SRGAN's within"
    text += f" {srgan}."
    if srugan > srgan:
        return f"{text} The network that can see everything also looks farther."
    return f"{text} The network that can see everything looks no farther."


def context_use(curves: Mapping[str, Mapping[int, float]], beyond: int = 8) -> str:
    """Whether context beyond so many LR pixels brings what matters."""
    gains = {
        name: curve[max(curve)] - curve[min(beyond, max(curve))] for name, curve in curves.items()
    }
    told = [f"{LABELS[name]} {gain:+.2f} dB" for name, gain in gains.items()]
    text = f"Beyond {beyond} LR pixels, context brings {listed(told)}."
    if gains["sr-ugan"] > MATTERS and gains["sr-ugan"] > gains["srgan"] + 0.1:
        return f"{text} So SR-UGAN uses the wider scene, as section 4.2 hopes, and SRGAN does not."
    text += f" Under {MATTERS} dB is nothing on so few crops: to these networks 2x is a local"
    return text + " affair, and the U-Net's wide view is not what SR-UGAN profits from."


def flat_from(curve: Mapping[int, float]) -> int:
    """The least context from which on more of it brings nothing that matters."""
    return min(radius for radius in curve if curve[max(curve)] - curve[radius] < MATTERS)


def with_gradient(**networks: nn.Module) -> str:
    """How many of each network's parameter tensors have a gradient: "G 118, D 0"."""
    counts = {n: sum(p.grad is not None for p in m.parameters()) for n, m in networks.items()}
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def agreement(cosines: Mapping[str, float], shares: Mapping[str, float]) -> str:
    """Whether other terms' gradients agree with MSE's (their cosine), and how loud they are beside
    it."""
    told = []
    for name, cosine in cosines.items():
        way = "with MSE" if cosine > 0.3 else "against MSE" if cosine < -0.3 else "across MSE"
        told.append(
            f"{name} pulls {way} (cosine {cosine:.2f}) with {shares[name]:.2g} of its force"
        )
    text = f"At the very start {listed(told)}."
    if all(share < 0.5 for share in shares.values()):
        return f"{text} So MSE leads the first updates, wherever the others want to go."
    return f"{text} So MSE does not lead alone."


# --- 04 ------------------------------------------------------------------------------------------

Rows = Sequence[Mapping[str, Any]]  # of a training's log


def early_lead(logs: Mapping[str, Rows], step: int = 20) -> str:
    """Section 4.2.1's remark: whether MSE helps in the first updates, with it and without."""
    common = set.intersection(*({r["step"] for r in rows if "psnr" in r} for rows in logs.values()))
    at = max(number for number in common if number <= step)
    values = {n: next(r["psnr"] for r in rows if r["step"] == at) for n, rows in logs.items()}
    (name, value), (other, base) = values.items()
    text = f"At update {at}, {name} has {value:.1f} dB on held-out crops and {other} {base:.1f} dB."
    if value > base + 0.5:
        return f"{text} The report's remark holds for this run: MSE gives the early start."
    return f"{text} The report's remark is not seen in this run."


def opinion(rows: Rows, classes: int) -> str:
    """What the discriminator knows at the end of a run, by the last lines of its log."""
    last = rows[-5:]
    real, fake = (sum(r[name] for r in last) / len(last) for name in ("d_real", "d_fake"))
    text = f"At the end D(real) is {real:.2f} and D(fake) {fake:.2f}:"
    if real - fake < 0.1:
        text += " the discriminator has no idea."
    else:
        text += " the discriminator tells them apart."
    if "class" not in last[-1]:
        return text
    now, blind = sum(r["class"] for r in last) / len(last), log(classes)
    text += f" Its class loss is {now:.2f}, where knowing nothing is {blind:.2f}:"
    if now < 0.7 * blind:
        return f"{text} it does learn, and classes are what it finds easy."
    return f"{text} it has learned nothing yet."


def second_stage(measured: Mapping[str, tuple[float, float]]) -> str:
    """What the second stage did to a generator that was good already: `live.detail_and_psnr`."""
    base = measured["bicubic"]
    (was, psnr), *_, (now, end) = (pair for name, pair in measured.items() if name != "bicubic")
    text = f"Of the detail in HR that LR cannot hold, the crop had {was:.0%} and has {now:.0%}"
    text += f" (bicubic {base[0]:.0%}). Its PSNR went from {psnr:.2f} to {end:.2f} dB,"
    text += f" {apart(end, base[1])} than bicubic's."
    if now > was and end < psnr:
        return f"{text} More detail, and fewer decibels: the two have parted."
    return f"{text} That the two part is not to be seen here."


def against_bicubic(psnr: float, baseline: float, crops: int) -> str:
    """How a run ends beside bicubic."""
    text = f"After {crops:,} crops the network is at {psnr:.2f} dB, {apart(psnr, baseline)} than"
    return f"{text} bicubic's {baseline:.2f} dB, which needed no training."


def steering(rows: Rows) -> str:
    """Which term's gradient leads at a run's first line and at its last, and what was warned of."""
    pulls = [{k[9:]: v for k, v in row.items() if k.startswith("gradient_")} for row in rows]
    first, last = (max(pull, key=pull.__getitem__) for pull in (pulls[0], pulls[-1]))
    told = [f"update {r['step']}: {text}" for r in rows for text in r.get("warnings", [])]
    text = f"The {first} term steers at the beginning and the {last} term at the end."
    text = f"The {first} term steers throughout." if first == last else text
    return f"{text} Warned of: {'; '.join(told) or 'nothing'}."


def averaging(scored: Sequence[tuple[int, float, float]]) -> str:
    """What the EMA does, from (update, PSNR without it, PSNR with it) of each validation."""
    better = sum(ema > raw for _, raw, ema in scored)
    raw, ema = (steps_between([row[i] for row in scored]) for i in (1, 2))
    text = f"The EMA is the better one at {better} of {len(scored)} validations. From one to the"
    text += f" next it moves by {ema:.2f} dB on average, the weights themselves by {raw:.2f} dB:"
    return f"{text} {'it is the steadier one' if ema < raw else 'it is no steadier here'}."


def steps_between(values: Sequence[float]) -> float:
    """The mean change from one value to the next."""
    changes = [abs(b - a) for a, b in pairwise(values)]
    return sum(changes) / max(len(changes), 1)


def failing(cases: Mapping[str, Any], healthy: str) -> list[str]:
    """Each ill case beside the healthy one: PSNR, colours, and whether it was warned of."""
    base, told = cases[healthy], []
    for name, case in cases.items():
        if name != healthy:
            text = f"**{name}**, beside *{healthy}*: PSNR {apart(case.psnr, base.psnr)}, colours"
            text += f" drift by {case.colour_drift:.1f} levels ({base.colour_drift:.1f} there),"
            told.append(f"{text} {case.short_warnings if case.warnings else 'no warning'}.")
    return told


def least_hurt(cases: Mapping[str, Any], healthy: str) -> str:
    """The ill case that loses the least PSNR against the healthy one."""
    return max((n for n in cases if n != healthy), key=lambda name: cases[name].psnr)
