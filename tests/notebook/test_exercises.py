"""Answers are read as people write them, and typical errors get their hint."""

from types import SimpleNamespace

import numpy as np
import pytest
from IPython.display import Markdown
from PIL import Image

from srkit import models
from srkit.data import bicubic_lr_pil
from srkit.notebook import exercises
from srkit.notebook.exercises import EXERCISES, check, fits, predict, summary
from srkit.training.recipes import recipe
from srkit.upscale import kernel

# Worked out on paper, each as somebody may type it. 06.3 depends on the notebook's table.
ON_PAPER = {
    "01.1": "3 dB",
    "01.2": [0.8672, 0.2266, -0.0703, -0.0234],
    "01.3": "125x93",
    "02.1": 48,
    "02.2": "28 blocks",
    "02.3": 0.69,
    "03.1": 48,
    "03.2": "497,952",
    "03.3": 6.91,
    "04.1": "3.33",
    "04.2": 693,
    "04.3": "0.3285",
    "05.1": 10,
    "05.2": 3,
    "05.3": "19,200",
    "05.4": 2.208,
    "05.5": 24,
    "05.6": 8,
    "06.1": "63/64",
    "06.2": 21,
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    for name in ("wrong", "solved"):
        monkeypatch.setattr(exercises, name, {})
    monkeypatch.setattr(exercises, "predicted", [])


@pytest.mark.parametrize("name", ON_PAPER)
def test_what_is_right_on_paper_is_right(name, capsys):
    check(name, ON_PAPER[name])
    assert capsys.readouterr().out.startswith("right: ")


def test_every_exercise_is_tried_here():
    assert {*ON_PAPER, "06.3"} == set(EXERCISES)


@pytest.mark.parametrize("name", ON_PAPER)
def test_typical_errors_are_wrong_and_get_their_hint(name, capsys):
    exercise = EXERCISES[name]
    for error, hint in exercise.get("hints", {}).items():
        assert not fits(error, exercise["solution"], exercise.get("tolerance", 0.01)), error
        exercises.wrong.clear()
        check(name, error)
        assert hint in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "solution", "right"),
    [
        ("497,952", 497_952, True),
        ("497.952", 497_952, False),
        ("3,01", 3.01, True),
        ("98.4 %", 0.984, True),
        ("25%", 25, True),
        ("1/0", 1, False),
        ("−3 dB", -3, True),
        ("about three", 3, False),
        ("1e-3", 0.001, True),
        (np.float32(3), 3, True),
        ("[0.5, 0.25]", (0.5, 0.25), True),
        (np.array([0.5, 0.25]), (0.5, 0.25), True),
        (0.5, (0.5, 0.25), False),
        ("sr-ugan", ["SR-UGAN native 4x", "sr-ugan"], True),
        ("SR-UGAN  native 4x", ["SR-UGAN native 4x", "sr-ugan"], True),
        ("srgan", "sr-ugan", False),
    ],
)
def test_answers_are_understood(answer, solution, right):
    assert fits(answer, solution, 0.001) is right


def test_what_the_kit_can_work_out_is_the_solution():
    solutions = {name: exercise["solution"] for name, exercise in EXERCISES.items()}
    assert solutions["01.2"] == pytest.approx(kernel("bicubic", np.arange(1, 8, 2) / 4), abs=1e-6)
    assert tuple(solutions["01.3"]) == bicubic_lr_pil(Image.new("RGB", (500, 375)), 4).size
    small = models.SRGANGenerator(2, blocks=8, width=8)
    assert solutions["02.1"] == models.receptive_radius(small, 96)
    assert solutions["03.1"] == 37 + -37 % models.AttentionUNet((8, 8, 8, 8, 8)).stride
    assert solutions["03.2"] == models.count_parameters(models.DenseBlock(96, 96))
    report = recipe("sr-ugan", "paper")
    seen = report.iterations * report.batch / (1_000 * report.per_class)
    assert solutions["04.1"] == pytest.approx(seen)
    assert report.ema ** solutions["04.2"] == pytest.approx(0.5)


def test_each_exercise_has_a_tolerance_of_its_own(capsys):
    check("03.2", 497_953)  # counting is exact
    assert "is not it" in capsys.readouterr().out
    check("01.1", 3.02)
    assert "right" in capsys.readouterr().out


def test_the_solution_comes_after_three_different_tries(capsys):
    for answer in (5, 5, 6):
        check("05.1", answer)
    assert "try 2 of 3" in capsys.readouterr().out
    check("05.1", 7)
    assert "the solution is 10: means 3 apart" in capsys.readouterr().out


def test_what_is_not_understood_is_no_try(capsys):
    check("01.2", 0.5)
    check("01.1", "half")
    assert capsys.readouterr().out.count("is not understood: write it as") == 2
    assert exercises.wrong == {}


def test_other_order_is_a_hint(capsys):
    check("01.3", (93, 125))
    assert "these numbers, in another order" in capsys.readouterr().out


def test_the_least_consistent_method_is_named_by_key_or_label(capsys):
    names = {"nearest": "Nearest-neighbor", "srgan": "SRGAN native 4x"}
    for answer in ("srgan", "SRGAN native 4x"):
        check("06.3", answer, names, {"nearest": 40.0, "srgan": 30.0})
        assert "right: SRGAN native 4x" in capsys.readouterr().out
    check("06.3", "nearest", names, {"nearest": 40.0, "srgan": 30.0})
    assert "nearest is not it" in capsys.readouterr().out


def test_the_summary_counts(capsys):
    check("05.1", 5)
    check("05.1", 10)
    for answer in (1, 2, 4):
        check("05.2", answer)
    check("05.3", 7)
    exercises.said("up", "up")
    exercises.said("30", 80)
    capsys.readouterr()
    summary("05")
    assert capsys.readouterr().out.splitlines() == [
        "predictions: 1 of 2 came out as you said",
        "exercise 1: right at try 2",
        "exercise 2: solution shown",
        "exercise 3: 1 wrong so far",
        *[f"exercise {n}: not answered" for n in (4, 5, 6)],
    ]


@pytest.fixture
def displayed(monkeypatch):
    """What is displayed, and with which updates."""
    shown = []

    def display(*objects, display_id=False):
        shown.extend(objects)
        place = len(shown) - 1
        return SimpleNamespace(update=lambda new: shown.__setitem__(place, new))

    monkeypatch.setattr(exercises, "display", display)
    return shown


def test_without_a_reader_all_is_revealed_at_once(displayed):
    predict("Which?", ["left", "right"], "right", "a figure")
    assert "Which?" in displayed[0].data and "**Outcome:** right" in displayed[0].data
    assert displayed[1:] == ["a figure"]


@pytest.mark.parametrize(
    ("options", "guess", "verdict"),
    [
        (["left", "right"], "left", "You said:** left. **Outcome:** right, not as you said"),
        (["left", "right"], "right", "right, as you said"),
        ([], "80", "**Outcome:** 80, as you said"),
        ([], "", "**Outcome:** 80."),
    ],
)
def test_a_reader_predicts_first(monkeypatch, displayed, options, guess, verdict):
    monkeypatch.setattr(exercises, "in_the_hands_of_a_reader", lambda: True)
    predict("Which?", options, "right" if options else 80, "a figure")
    entry, button = displayed[1].children
    assert "a figure" not in displayed
    entry.value = guess
    button.click()
    assert displayed[-1] == "a figure" and entry.disabled
    assert isinstance(displayed[2], Markdown) and verdict in displayed[2].data
    assert len(exercises.predicted) == (guess != "")


def test_only_a_cell_of_jupyterlab_is_in_the_hands_of_a_reader(monkeypatch):
    for metadata, reader in (({"cellId": "1"}, True), ({}, False)):
        shell = SimpleNamespace(get_parent=lambda m=metadata: {"metadata": m})
        monkeypatch.setattr(exercises, "get_ipython", lambda s=shell: s)
        assert exercises.in_the_hands_of_a_reader() is reader
    monkeypatch.setattr(exercises, "get_ipython", lambda: None)
    assert not exercises.in_the_hands_of_a_reader()
