"""Findings say what their numbers say: turned round, they take the other side."""

import pytest
import torch

from srkit.notebook import findings
from srkit.notebook.live import Case


@pytest.mark.parametrize(
    ("value", "said"), [(30.354, "0.35 dB higher"), (29.5, "0.50 dB lower"), (30.001, "the same")]
)
def test_apart(value, said):
    assert findings.apart(value, 30.0) == said


def test_factors_have_two_digits():
    assert [findings.times(factor) for factor in (1.44, 12.3, 3207)] == [
        "1.4 times",
        "12 times",
        "3,200 times",
    ]


def test_names_in_a_sentence():
    assert findings.listed(["bicubic"]) == "Bicubic"
    assert findings.listed(["nearest", "bicubic", "x"]) == "Nearest-neighbor, Bicubic and x"


def test_orders_say_who_agrees_with_the_first():
    said = findings.orders(
        {
            "PSNR": ["bicubic", "nearest"],
            "FID": ["nearest", "bicubic"],
            "patches": ["bicubic", "nearest"],
        }
    )
    assert "patches sides with PSNR and FID contradicts PSNR" in said
    assert "FID has Nearest-neighbor > Bicubic" in said


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
    [
        (29.0, 0.9, "gave up PSNR for texture"),
        (29.0, 0.4, "has not won texture"),
        (31.0, 0.9, "lost no PSNR"),
    ],
)
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
    [(-0.05, 0.4, "uses the wider"), (0.0, 0.2, "local affair"), (0.4, 0.4, "local affair")],
)
def test_context_is_used_where_it_brings_what_matters(srgan, srugan, said):
    curves = {m: {8: 30.0, 40: 30 + gain} for m, gain in (("srgan", srgan), ("sr-ugan", srugan))}
    text = findings.context_use(curves)
    assert said in text and f"SR-UGAN {srugan:+.2f} dB" in text


def test_gradients_agree_by_their_cosines():
    said = findings.agreement(
        {"content": -0.93, "adversarial": 0.05}, {"content": 0.01, "adversarial": 1e-6}
    )
    assert "content pulls against MSE (cosine -0.93)" in said
    assert "adversarial pulls across MSE" in said and "MSE leads" in said
    assert "does not lead" in findings.agreement({"content": 0.9}, {"content": 2.0})


def test_a_curve_is_flat_from_where_it_gains_no_more():
    assert findings.flat_from({1: 30.0, 2: 31.0, 4: 32.0, 8: 32.05}) == 4


@pytest.mark.parametrize(("without", "said"), [(13.0, "remark holds"), (21.8, "is not seen")])
def test_mse_gives_an_early_start_or_not(without, said):
    logs = {
        "Eq. (5)": [{"step": n, "psnr": p} for n, p in ((1, 9.0), (20, 22.0), (40, 30.0))],
        "without MSE": [{"step": 5}, *({"step": n, "psnr": without} for n in (20, 40))],
    }
    text = findings.early_lead(logs)
    assert said in text and f"22.0 dB on held-out crops and without MSE {without:.1f} dB" in text


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"d_real": 0.5, "d_fake": 0.5, "class": 0.3}, ("no idea", "does learn")),
        ({"d_real": 0.9, "d_fake": 0.1, "class": 1.3}, ("tells them apart", "learned nothing")),
        ({"d_real": 0.9, "d_fake": 0.1}, ("tells them apart.",)),
    ],
)
def test_the_discriminator_s_opinion(row, said):
    text = findings.opinion([row] * 6, 4)
    assert all(words in text for words in said)


def test_a_run_ends_above_or_below_bicubic():
    assert "2.00 dB lower than bicubic's 32.00" in findings.against_bicubic(30, 32, 3840)
    assert "1.00 dB higher than bicubic's" in findings.against_bicubic(33, 32, 3840)


def test_steering_reads_first_and_last_line_and_the_warnings():
    rows = [{"step": 1, "gradient_mse": 2.0, "gradient_content": 1.0}]
    rows.append({"step": 9, "gradient_mse": 1.0, "gradient_content": 3.0})
    rows[1]["warnings"] = ["colours drift"]
    assert findings.steering(rows) == (
        "The mse term steers at the beginning and the content term at the end. Warned of: update 9:"
        " colours drift."
    )
    assert findings.steering(rows[:1]) == "The mse term steers throughout. Warned of: nothing."


def test_the_ema_is_steadier_by_its_changes():
    said = findings.averaging([(1, 10.0, 9.0), (2, 20.0, 12.0), (3, 10.0, 15.0)])
    assert "at 1 of 3 validations" in said and "moves by 3.00 dB" in said and "10.00 dB" in said
    assert "the steadier one" in said
    assert "no steadier" in findings.averaging([(1, 10.0, 9.0), (2, 10.5, 12.0)])


def case(psnr, drift=0.0, *warnings):
    return Case(torch.zeros(3, 2, 2), psnr, drift, 1.0, warnings)


def test_failures_are_told_beside_the_healthy_one():
    cases = {
        "healthy": case(34.0, 2.0),
        "no MSE": case(33.0, 7.0, "colours drift: more"),
        "dead": case(34.2, 1.0),
    }
    first, second = findings.failing(cases, "healthy")
    assert "**no MSE**, beside *healthy*: PSNR 1.00 dB lower, colours drift by 7.0 levels" in first
    assert first.endswith("colours drift.") and second.endswith("no warning.")
    assert findings.least_hurt(cases, "healthy") == "dead"


def test_the_second_stage_takes_a_side_on_detail_and_psnr():
    at = {"update 1": (0.38, 36.2), "update 20": (0.4, 36.1)}
    text = findings.second_stage(at | {"update 140": (0.45, 35.7), "bicubic": (0.1, 34.8)})
    assert "had 38% and has 45% (bicubic 10%)" in text and "0.90 dB higher than bicubic" in text
    assert text.endswith("the two have parted.")
    for last in ((0.3, 35.7), (0.45, 36.4)):
        text = findings.second_stage(at | {"update 140": last, "bicubic": (0.1, 34.8)})
        assert text.endswith("is not to be seen here.")
