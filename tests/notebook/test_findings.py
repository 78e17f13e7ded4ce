"""Findings say what their numbers say: turned round, they take the other side."""

import pytest

from srkit.notebook import findings


@pytest.mark.parametrize(
    ("value", "said"), [(30.354, "0.35 dB higher"), (29.5, "0.50 dB lower"), (30.001, "the same")]
)
def test_apart(value, said):
    assert findings.apart(value, 30.0) == said


def test_factors_have_two_digits():
    assert [findings.times(factor) for factor in (1.44, 12.3, 3207)] == [
        "1.4 times", "12 times", "3,200 times",
    ]  # fmt: skip


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


def test_content_forgives_by_its_numbers_and_an_untrained_one_proves_nothing():
    scores = {"blurred": 4.0, "moved": 1.0}
    said = findings.forgiven(scores, "VGG19 relu5_4")
    assert "factor of 4.0" in said and "forgives *moved* the most" in said
    assert "random weights" not in said
    assert "random weights" in findings.forgiven(scores, "UNTRAINED VGG19")


def test_the_largest_gradient_leads():
    assert findings.leading({"a": 2.0, "b": 8.0, "c": 1.0}) == (
        "The b term pulls the hardest, 4 times a's."
    )


@pytest.mark.parametrize(
    ("psnr", "fine", "said"),
    [(29.0, 0.9, "gave up PSNR for texture"), (29.0, 0.4, "has not won texture"),
     (31.0, 0.9, "lost no PSNR")],
)  # fmt: skip
def test_what_srgan_traded(psnr, fine, said):
    text = findings.traded({"srresnet": 30.0, "srgan": psnr}, {"srresnet": 0.5, "srgan": fine})
    assert said in text and f"{fine:.0%}" in text and "1.00 dB" in text


def test_influence_is_near_or_far_by_its_radii():
    assert "comes from the inner 12" in findings.spread(48, 12)
    assert "reaches out" in findings.spread(48, 40)


def test_attention_chooses_or_it_does_not():
    said = findings.chosen({"down 1": 0.01, "up 1": 0.36})
    assert "0.010 to 0.360" in said and "1 of 2 layers choose by content (up 1)" in said
    assert "No layer chooses" in findings.chosen({"down 1": 0.01})


@pytest.mark.parametrize(
    ("srugan", "said"), [(0.0, "no more use"), (0.2, "rounding"), (3.0, "does use the far corner")]
)
def test_the_far_change_takes_a_side(srugan, said):
    text = findings.far_change({"srgan": 0.0, "sr-ugan": srugan})
    assert said in text and f"SR-UGAN's by {srugan:.2f}" in text


def test_the_wider_view_is_used_or_not():
    assert "looks no farther" in findings.radii({"srgan": 12, "sr-ugan": 8})
    assert "also looks farther" in findings.radii({"srgan": 12, "sr-ugan": 20})


@pytest.mark.parametrize(
    ("srgan", "srugan", "said"),
    [(-0.05, 0.12, "uses the wider"), (0.0, 0.05, "local affair"), (0.3, 0.3, "local affair")],
)
def test_context_is_used_where_it_brings_more_than_a_tenth(srgan, srugan, said):
    curves = {m: {8: 30.0, 40: 30 + gain} for m, gain in (("srgan", srgan), ("sr-ugan", srugan))}
    text = findings.context_use(curves)
    assert said in text and f"SR-UGAN {srugan:+.2f} dB" in text


def test_gradients_agree_by_their_cosines():
    said = findings.agreement({"content": -0.93, "adversarial": 0.05}, {"content": 0.01,
                              "adversarial": 1e-6})  # fmt: skip
    assert "content pulls against MSE (cosine -0.93)" in said
    assert "adversarial pulls at right angles" in said and "MSE leads" in said
    assert "does not lead" in findings.agreement({"content": 0.9}, {"content": 2.0})


def test_a_curve_is_flat_from_where_it_gains_no_more():
    assert findings.flat_from({1: 30.0, 2: 31.0, 4: 32.0, 8: 32.05}) == 4
