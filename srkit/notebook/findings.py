"""What the numbers of a notebook say, as sentences: written by code from the rows above them, the
side that they take too, so that text and numbers cannot part when the networks change."""

from collections.abc import Mapping, Sequence

from IPython.display import Markdown

from srkit.evaluation import results
from srkit.weights import LABELS


def say(*sentences: str) -> Markdown:
    """Sentences as a paragraph that begins as the notebooks' do."""
    return Markdown("**Notice.** " + " ".join(sentences))


def table(header: Sequence[str], body: Sequence[Sequence[str]]) -> Markdown:
    """A table as a cell shows it."""
    return Markdown(results.markdown(header, body))


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "A, B and C"."""
    names = [LABELS.get(name, name) for name in names]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def apart(value: float, base: float, unit: str = "dB", digits: int = 2) -> str:
    """How a value stands to another: "0.35 dB higher", "0.35 dB lower", or "the same"."""
    size = f"{abs(value - base):.{digits}f}"
    if float(size) == 0:
        return "the same"
    return f"{size} {unit} {'higher' if value > base else 'lower'}"


def times(factor: float) -> str:
    """A factor in words: "1.4 times", "3,200 times"."""
    return f"{factor:.2g} times" if factor < 10 else f"{float(f'{factor:.2g}'):,.0f} times"


def ranked(values: Mapping[str, float], better: str = "lower") -> list[str]:
    """The names from the best to the worst."""
    return sorted(values, key=values.__getitem__, reverse=better == "higher")


def orders(columns: Mapping[str, Sequence[str]]) -> str:
    """How several rulers order the same methods, and which agree with the first."""
    told = [f"{name} has {listed(order)}" for name, order in columns.items()]
    (first, wanted), *others = columns.items()
    agree = [name for name, order in others if list(order) == list(wanted)]
    differ = [name for name, order in others if list(order) != list(wanted)]
    ends = [
        f"{listed(names)} {verb} {first}"
        for names, verb in ((agree, "side with"), (differ, "contradict"))
        if names
    ]
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
