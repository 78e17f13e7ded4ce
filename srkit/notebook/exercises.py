"""What a reader does in a notebook: predict before a cell shows, and answer its exercises.

Answers are read as people write them ("497,952", "3 dB", "63/64", a label of the table). After
three wrong ones the solution is shown; `summary` tells at the end how it went.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from IPython import get_ipython
from IPython.display import Markdown, display
from ipywidgets import Button, HBox, RadioButtons, Text

TRIES = 3
TOLERANCE = 0.01  # of the solution, of several numbers the largest; 0 wants it exact

# By notebook and number: the solution, the way there, its tolerance where that is another one, and
# hints for typical errors.
EXERCISES = json.loads(Path(__file__).with_name("exercises.json").read_text(encoding="utf-8"))
wrong: dict[str, list[str]] = {}  # answers so far, by exercise
solved: dict[str, str] = {}
predicted: list[bool] = []  # whether each prediction came out


def check(
    name: str,
    answer: Any,
    labels: Mapping[str, str] | None = None,
    values: Mapping[str, float] | None = None,
) -> None:
    """Judge an answer to an exercise; None is none yet. Where the solution is the least of the
    notebook's own `values`, it may be named as their key or as the label in the table."""
    if answer is None:
        return print("not answered yet: put your answer in the place of None and run the cell")
    exercise = EXERCISES[name]
    solution, tolerance = exercise["solution"], exercise.get("tolerance", TOLERANCE)
    if labels and values:
        least = min(values, key=values.__getitem__)
        solution = [labels[least], least]
    if fits(answer, solution, tolerance):
        solved.setdefault(name, written(answer))
        return print(f"right: {written(solution)}. {exercise['why']}")
    if not means(answer, solution):
        return print(f"{answer!r} is not understood: write it as {example(solution)}")
    tries = wrong.setdefault(name, [])
    if written(answer) not in tries:
        tries.append(written(answer))
    if len(tries) >= TRIES:
        return print(f"the solution is {written(solution)}: {exercise['why']}")
    hint = hint_for(answer, solution, exercise.get("hints", {}), tolerance)
    print(f"{written(answer)} is not it (try {len(tries)} of {TRIES}): {hint}")


def hint_for(answer: Any, solution: Any, hints: Mapping[str, str], tolerance: float) -> str:
    """What a typical error is told; others are asked to look again."""
    for error, hint in hints.items():
        if fits(answer, means(error, solution)[0], tolerance):
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
