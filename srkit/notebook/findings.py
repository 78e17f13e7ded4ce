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
