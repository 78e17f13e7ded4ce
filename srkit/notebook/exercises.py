"""What a reader does in a notebook: predict before a cell shows, and answer its exercises.

Answers are read as people write them ("497,952", "3 dB", "63/64", a label of the table). After
three wrong ones the solution is shown; `summary` tells at the end how it went.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log, log10
from typing import Any

import numpy as np
import torch
from IPython import get_ipython
from IPython.display import Markdown, display
from ipywidgets import Button, HBox, RadioButtons, Text
from PIL import Image

from srkit import losses, models
from srkit.data.images import bicubic_lr_pil
from srkit.training.recipes import recipe
from srkit.upscale import kernel

TRIES = 3


@dataclass(frozen=True)
class Exercise:
    """A question's solution, worked out when somebody answers."""

    solve: Callable[..., Any]  # a number, several, or the names that are right
    why: str  # the way there
    tolerance: float = 0.01  # of the solution, of several the largest; 0 wants it exact
    hints: Mapping[Any, str] = field(default_factory=dict)  # typical errors


def _weights() -> list[float]:
    return list(kernel("bicubic", np.array([0.25, 0.75, 1.25, 1.75])))


def _least(names: Mapping[str, str], values: Mapping[str, float]) -> list[str]:
    least = min(values, key=values.__getitem__)
    return [names[least], least]


EXERCISES = {
    "01.1": Exercise(
        lambda: 10 * log10(2),
        "10 log10 of the ratio of two MSEs, and log10 2 is 0.301.",
        hints={
            6.02: "20 log10 is for amplitudes; MSE is a square already.",
            0.301: "a decibel is a tenth: 10 log10.",
            -3.01: "less error is a higher PSNR.",
        },
    ),
    "01.2": Exercise(
        _weights,
        "k at distances 1/4, 3/4, 5/4 and 7/4. They add up to 1, as grey must stay grey.",
        0.005,
    ),
    "01.3": Exercise(
        lambda: bicubic_lr_pil(Image.new("RGB", (500, 375)), 4).size,
        "375 is no multiple of 4: HR is first cut to 500x372.",
        0,
        {(125, 94): "375 / 4 is no whole number: is HR kept whole?", (125, 93.75): "whole pixels."},
    ),
    "02.1": Exercise(
        lambda: models.receptive_radius(models.SRGANGenerator(2, 8, 8), 96),
        "2 x (4 + 2 x 8 + 1 + 1) + 4, and a gradient probe finds the same.",
        0,
        {
            22: "those are LR pixels.",
            44: "and the last 9x9 layer?",
            26: "an LR pixel is two wide.",
            46: "count both layers outside the blocks: merge, and the one before the shuffle.",
        },
    ),
    "02.2": Exercise(
        lambda: ((128 - 4) // 2 - 4 - 2) / 2,
        "(128 - 4) / 2 = 62 LR pixels, less 4 and 2 for the other layers, at 2 a block. The blocks"
        " are nearly all of the cost, which grows by three quarters.",
        0,
        {56: "a block has two layers.", 12: "that is how many more than 16.", 29: "62 - 4 - 2."},
    ),
    "02.3": Exercise(
        lambda: float(losses.adversarial_loss(torch.zeros(1))),
        "D is one half there, and -log 0.5 = log 2.",
        hints={
            0.5: "that is D; what is its -log?",
            0.301: "the natural logarithm.",
            -0.693: "mind the sign: D is below 1.",
        },
    ),
    "03.1": Exercise(
        lambda: 37 + -37 % models.AttentionUNet((8, 8, 8, 8, 8)).stride,
        "five levels have four poolings, so a stride of 16, and 48 is its next multiple.",
        0,
        {40: "that is for four levels.", 64: "five levels have four poolings."},
    ),
    "03.2": Exercise(
        lambda: models.count_parameters(models.DenseBlock(96, 96)),
        "9 x 96 x 96 x (1 + 2 + 3) weights and 3 x 96 biases.",
        0,
        {
            497664: "the biases?",
            55296 * 3: "each layer reads all that came before: 96, 192 and 288 channels.",
            249120: "each layer reads all that came before: 96, 192 and 288 channels.",
        },
    ),
    "03.3": Exercise(
        lambda: float(losses.class_loss(torch.zeros(1, 1000), torch.tensor([0]))),
        "each class gets 1/1,000, and -log of it is log 1,000.",
        hints={
            3: "the natural logarithm.",
            0.693: "that is for two classes.",
            0.001: "that is the probability; its -log?",
        },
    ),
    "04.1": Exercise(
        lambda: 200_000 * 3 / (1_000 * 180),
        "200,000 updates of 3 crops, over 1,000 classes of 180 photographs.",
        hints={1.11: "there are three crops in a batch.", 0.3: "that is the inverse."},
    ),
    "04.2": Exercise(
        lambda: log(0.5) / log(recipe("sr-ugan", "paper").ema),
        "beta to the power n is one half: n = log 0.5 / log beta.",
        hints={
            500: "it does not fall in a straight line.",
            1000: "then it has fallen to 1/e; you want one half.",
        },
    ),
    "04.3": Exercise(
        lambda: -log(0.9) - log(1 - 0.2),
        "-log 0.9 for HR and -log(1 - 0.2) for the prediction; as printed, (6) gives 0 for it.",
        hints={
            0.105: "that is HR's half.",
            0.223: "that is the prediction's half.",
            1.715: "the fake half is -log(1 - D).",
            0.143: "the natural logarithm.",
        },
    ),
    "05.1": Exercise(
        lambda: 3**2 + (2 - 1) ** 2,
        "means 3 apart and standard deviations 1 apart: 9 + 1.",
        hints={18: "standard deviations, not variances.", 3.16: "squared, as FIDs in print."},
    ),
    "05.2": Exercise(
        lambda: 48 * 100 / 1_600,
        "as 1/n: a sixteenth.",
        hints={12: "as 1/n, not as its root.", 768: "it becomes smaller."},
    ),
    "05.3": Exercise(
        lambda: 8 * 8 * 3 * 10**2,
        "each of the 192 means differs by 10, and squares add.",
        hints={100: "a vector has 192 numbers.", 1920: "squared.", 6400: "three channels."},
    ),
    "05.4": Exercise(
        lambda: (1 / 1_000 + 1 / 1_000) * (5 / 4 * 64 + 64 * 64 / 2 / 2),
        "2/1,000 x (80 + 1,024).",
        hints={
            4.256: "1 x 1 / (1 + 1) is a half, and so is the factor before the sum.",
            1.104: "1/n and 1/m.",
        },
    ),
    "05.5": Exercise(
        lambda: 27 - (30 - 27),
        "a line through (1/1,000, 30) and (1/2,000, 27) is at 24 where 1/n is 0.",
        hints={25.5: "in 1/n, not in n: from 1/2,000 to 0 is as far as from 1/1,000 to it."},
    ),
    "05.6": Exercise(
        lambda: (4 / 4 + 1) ** 3,
        "x.y is 4, over d = 4, plus 1, cubed.",
        hints={125: "divide by d first.", 4: "to the third power.", 1: "plus 1, cubed."},
    ),
    "06.1": Exercise(
        lambda: (8**2 - 1) / 8**2,
        "one of 8 x 8 pixels is left.",
        0.001,
        {0.875: "in both directions.", 0.015625: "that is what is left."},
    ),
    "06.2": Exercise(
        lambda: sum(4**done for done in range(3)),
        "1 + 4 + 16: each pass has four times as many pixels.",
        0,
        {3: "the second pass is on a larger picture.", 7: "larger in both directions."},
    ),
    "06.3": Exercise(_least, "what contradicts LR most has the most to gain from being corrected."),
}

wrong: dict[str, list[str]] = {}  # answers so far, by exercise
solved: dict[str, str] = {}
predicted: list[bool] = []  # whether each prediction came out


def check(name: str, answer: Any, *given: Any) -> None:
    """Judge an answer to an exercise; None is none yet. `given` is what the solution is worked out
    from, where it depends on the notebook's numbers."""
    exercise = EXERCISES[name]
    if answer is None:
        return print("not answered yet: put your answer in the place of None and run the cell")
    solution = exercise.solve(*given)
    if fits(answer, solution, exercise.tolerance):
        solved.setdefault(name, written(answer))
        return print(f"right: {written(solution)}. {exercise.why}")
    if not means(answer, solution):
        return print(f"{answer!r} is not understood: write it as {example(solution)}")
    tries = wrong.setdefault(name, [])
    if written(answer) not in tries:
        tries.append(written(answer))
    if len(tries) >= TRIES:
        return print(f"the solution is {written(solution)}: {exercise.why}")
    hint = hint_for(answer, solution, exercise)
    print(f"{written(answer)} is not it (try {len(tries)} of {TRIES}): {hint}")


def hint_for(answer: Any, solution: Any, exercise: Exercise) -> str:
    """What a typical error is told; others are asked to look again."""
    for error, hint in exercise.hints.items():
        if fits(answer, error, exercise.tolerance):
            return hint
    if is_sequence(solution) and sorted(means(answer, solution)[0]) == sorted(solution):
        return "these numbers, in another order."
    return "look again, then run this cell once more."


def summary(notebook: str) -> None:
    """How a notebook's predictions and exercises went, such as of "01"."""
    if predicted:
        print(f"predictions: {sum(predicted)} of {len(predicted)} came out as you said")
    for name in (name for name in EXERCISES if name.startswith(notebook)):
        tries = len(wrong.get(name, []))
        state = f"{tries} wrong so far" if tries else "not answered"
        if tries >= TRIES:
            state = "solution shown"
        elif name in solved:
            state = f"right at try {tries + 1}"
        print(f"exercise {name[3:]}: {state}")


# --- Reading an answer ---------------------------------------------------------------------------


def is_sequence(value: Any) -> bool:
    """Several numbers, and not a text or names."""
    return isinstance(value, Sequence | np.ndarray) and not is_name(value)


def is_name(value: Any) -> bool:
    """A text, or several that mean the same."""
    return isinstance(value, str) or (isinstance(value, list) and isinstance(value[0], str))


def means(answer: Any, solution: Any) -> list[Any]:
    """What an answer may mean where the solution is of this kind; none where nothing."""
    if is_name(solution):
        return [" ".join(str(answer).lower().split())]
    text = str(answer).replace("−", "-")
    if not is_sequence(solution):
        return numbers_in(text)
    numbers = re.findall(r"-?\d*\.?\d+(?:e-?\d+)?", text)  # of a list or an array, too
    return [tuple(map(float, numbers))] if len(numbers) == len(solution) else []


def numbers_in(text: str) -> list[float]:
    """The values that a text may stand for: "497,952" is a whole number or one with three decimals,
    "25 %" is 25 or 0.25, "63/64" a fraction, and a unit may follow."""
    found = re.fullmatch(r"\s*([-+\d.,e]*\d)\s*(?:/\s*(\d+))?\s*(%?)[^\d]*", text.lower())
    if not found:
        return []
    digits, below, percent = found.groups()
    values = []
    for reading in {digits.replace(",", ""), digits.replace(",", ".")}:
        try:
            values.append(float(reading) / float(below or 1))
        except (ValueError, ZeroDivisionError):
            continue
    return [*values, *(value / 100 for value in values if percent)]


def fits(answer: Any, solution: Any, tolerance: float) -> bool:
    """Whether an answer can be read as the solution, to a share of it."""
    if is_name(solution):
        names = [solution] if isinstance(solution, str) else solution
        return means(answer, solution)[0] in [name.lower() for name in names]
    away = tolerance * float(np.abs(solution).max()) + 1e-9
    return any(np.abs(np.subtract(one, solution)).max() <= away for one in means(answer, solution))


def written(value: Any) -> str:
    """A value as it is shown."""
    if is_name(value):
        return value if isinstance(value, str) else value[0]
    if is_sequence(value):
        return "(" + ", ".join(f"{one:.4g}" for one in value) + ")"
    whole = float(value).is_integer()
    return f"{int(value):,}" if whole else f"{value:.4g}"


def example(solution: Any) -> str:
    """How an answer of that kind may look."""
    if is_name(solution):
        return "a name of the table"
    return f"{len(solution)} numbers, (1, 2)" if is_sequence(solution) else "1.5, 1,500 or 3/4"


# --- Predictions ---------------------------------------------------------------------------------


def in_the_hands_of_a_reader() -> bool:
    """Whether a person runs the cell: JupyterLab and its like say which cell it is, papermill and
    nbconvert do not."""
    shell = get_ipython()
    parent = shell.get_parent() if shell and hasattr(shell, "get_parent") else {}
    return "cellId" in parent.get("metadata", {})


def predict(question: str, options: Sequence[str], outcome: Any, *shown: Any) -> None:
    """Ask, and show the outcome and whatever is `shown` once the reader has chosen one of the
    options, or typed a number where there are none. Without a reader all is shown at once."""
    asked = f"**Predict.** {question}"
    if not in_the_hands_of_a_reader():
        choices = f" *({' / '.join(options)})*" if options else ""
        display(Markdown(f"{asked}{choices}\n\n**Outcome:** {written(outcome)}."), *shown)
        return
    display(Markdown(asked))
    entry = (
        RadioButtons(options=options, value=None)
        if options
        else Text(placeholder="a number", continuous_update=False)
    )
    button = Button(description="Show", tooltip="show the outcome")
    display(HBox([entry, button]))
    handles = [display(Markdown(""), display_id=True) for _ in (outcome, *shown)]

    def show(_: Any) -> None:
        entry.disabled = button.disabled = True
        outcomes = (Markdown(said(entry.value, outcome)), *shown)
        for handle, what in zip(handles, outcomes, strict=True):
            handle.update(what)

    button.on_click(show)


def said(guess: Any, outcome: Any) -> str:
    """A prediction beside what came out, which is counted for the summary."""
    if guess in (None, ""):
        return f"**Outcome:** {written(outcome)}."
    right = fits(guess, outcome, 0.05)
    predicted.append(right)
    verdict = "as you said" if right else "not as you said"
    return f"**You said:** {guess}. **Outcome:** {written(outcome)}, {verdict}."
