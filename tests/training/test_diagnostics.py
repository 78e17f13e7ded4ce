"""Diagnostics against closed forms, and warnings that come where they should and nowhere else."""

import pytest
import torch

from srkit.losses import Weights
from srkit.training.diagnostics import (
    PATIENCE,
    checkerboard,
    colour_drift,
    gradient_norms,
    warnings_in,
)


def test_gradient_norms_are_those_of_the_weighted_terms():
    sr = torch.randn(2, 3, 4, 5, requires_grad=True)
    terms = {"mse": (sr**2).sum(), "content": (3 * sr).sum(), "adversarial": sr.detach().sum()}
    norms = gradient_norms(terms, Weights(0.5, 2.0, 1e-3), sr)
    assert float(norms["mse"]) == pytest.approx(float(sr.detach().norm()), rel=1e-5)  # 0.5 * 2 * sr
    assert float(norms["content"]) == pytest.approx(6 * (2 * 3 * 4 * 5) ** 0.5, rel=1e-5)
    assert float(norms["adversarial"]) == 0  # no graph: what a public SRGAN trained with for years
    terms["mse"].backward()  # the graph is still there
    assert sr.grad is not None


def test_colour_drift_is_the_largest_channel_s_shift_in_levels():
    lr = torch.rand(2, 3, 6, 6)
    sr = lr.repeat_interleave(2, 2).repeat_interleave(2, 3) * 2 - 1
    assert float(colour_drift(sr, lr)) == pytest.approx(0, abs=1e-3)  # float32 means
    shifted = sr + 2 / 255 * torch.tensor([0.0, -7.0, 3.0]).view(1, 3, 1, 1)
    assert float(colour_drift(shifted, lr)) == pytest.approx(7, abs=1e-3)


def test_checkerboard_is_one_for_hr_and_grows_with_the_pattern():
    hr = torch.rand(2, 3, 16, 16) * 2 - 1
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2.0 - 1
    assert float(checkerboard(hr, hr)) == pytest.approx(1)
    flat = torch.zeros_like(hr)
    energy = float(
        (hr[..., 1:, 1:] - hr[..., 1:, :-1] - hr[..., :-1, 1:] + hr[..., :-1, :-1]).square().mean()
    )
    # a checkerboard of amplitude a has the pattern 4a everywhere
    assert float(checkerboard(flat + 0.1 * board, hr)) == pytest.approx(0.4**2 / energy, rel=1e-4)
    assert float(checkerboard(flat, hr)) == 0


HEALTHY = {
    "d_real": 0.7,
    "d_fake": 0.4,
    "colour_drift": 0.5,
    "checkerboard": 1.1,
    "gradient_mse": 1.0,
    "gradient_content": 0.3,
    "gradient_adversarial": 1e-4,
}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"d_real": 0.99, "d_fake": 0.01}, "discriminator is never wrong"),
        ({"gradient_adversarial": 0.0}, "the adversarial term is dead"),
        ({"colour_drift": 9.0}, "colours drift"),
        ({"checkerboard": 5.0}, "checkerboard"),
    ],
)
def test_each_trouble_is_told_in_words_once_it_lasts(change, word):
    bad = HEALTHY | change
    assert len(warnings_in([HEALTHY, *[bad] * PATIENCE])) == 1
    assert word in warnings_in([bad] * PATIENCE)[0]
    assert warnings_in([bad] * (PATIENCE - 1)) == []
    assert warnings_in([*[bad] * (PATIENCE - 1), HEALTHY]) == []


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({}, "MSE leads already"),
        ({"gradient_mse": 0.1}, "raise its weight"),
        ({"gradient_mse": 0.0}, "raise its weight"),
    ],
)
def test_drifting_colours_want_more_mse_only_where_mse_does_not_lead(change, advice):
    (told,) = (
        t
        for t in warnings_in([HEALTHY | {"colour_drift": 9.0} | change] * PATIENCE)
        if "colours" in t
    )
    assert advice in told


def test_where_nothing_is_trained_there_is_no_advice():
    (told,) = warnings_in([{"colour_drift": 9.0, "checkerboard": 1.0}] * PATIENCE)
    assert told == "colours drift: SR's mean colour is more than 4 levels from LR's"


def test_a_healthy_run_and_one_without_a_discriminator_are_left_alone():
    assert warnings_in([HEALTHY] * 10) == []
    assert warnings_in([{"gradient_mse": 1.0, "colour_drift": 0.2, "checkerboard": 1.0}] * 10) == []
