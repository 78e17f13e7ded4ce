"""Findings say what their numbers say: turned round, they take the other side."""

import pytest

from srkit.notebook import findings


@pytest.mark.parametrize(
    ("value", "said"), [(30.354, "0.35 dB higher"), (29.5, "0.50 dB lower"), (30.001, "the same")]
)
def test_apart(value, said):
    assert findings.apart(value, 30.0) == said


def test_names_in_a_sentence():
    assert findings.listed(["bicubic"]) == "Bicubic"
    assert findings.listed(["nearest", "bicubic", "x"]) == "Nearest-neighbor, Bicubic and x"


def test_orders_say_who_agrees_with_the_first():
    said = findings.orders({"PSNR": ["bicubic", "nearest"], "FID": ["nearest", "bicubic"],
                            "patches": ["bicubic", "nearest"]})  # fmt: skip
    assert "patches side with PSNR and FID contradict PSNR" in said
    assert "FID has Nearest-neighbor and Bicubic" in said


def test_antialias_names_the_scales_at_which_the_worse_lr_scores_better():
    said = findings.antialias({2: (33.0, 33.5), 4: (28.0, 26.0)})
    assert "0.50 dB higher at 2x and 2.00 dB lower at 4x" in said and "So at 2x a worse" in said
    assert "a worse LR" not in findings.antialias({2: (33.5, 33.0), 4: (28.0, 26.0)})
