"""Findings say what their numbers say: turned round, they take the other side."""

import pytest
import torch

from srkit.evaluation.ablation import FULL
from srkit.evaluation.results import Run
from srkit.notebook import findings
from srkit.notebook.live import Case


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
    [({"d_real": 0.5, "d_fake": 0.5, "class": 0.3}, ("no idea", "does learn")),
     ({"d_real": 0.9, "d_fake": 0.1, "class": 1.3}, ("tells them apart", "learned nothing")),
     ({"d_real": 0.9, "d_fake": 0.1}, ("tells them apart.",))],
)  # fmt: skip
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
    cases = {"healthy": case(34.0, 2.0), "no MSE": case(33.0, 7.0, "colours drift: more"),
             "dead": case(34.2, 1.0)}  # fmt: skip
    first, second = findings.failing(cases, "healthy")
    assert "**no MSE**, beside *healthy*: PSNR 1.00 dB lower, colours drift by 7.0 levels" in first
    assert first.endswith("colours drift.") and second.endswith("no warning.")
    assert findings.least_hurt(cases, "healthy") == "dead"


def rows_of(metric, numbers, **facts):
    run = Run(commit="abc")
    return [run.row(method, metric, value, "p", **facts) for method, value in numbers.items()]


@pytest.mark.parametrize(
    ("psnr", "distance", "said"),
    [(31.0, 2.0, "better in both"), (31.0, 9.0, "farther as a set"), (29.0, 2.0, "nearer as a set"),
     (29.0, 9.0, "worse in both")],
)  # fmt: skip
def test_a_method_s_quadrant_beside_bicubic(psnr, distance, said):
    rows = rows_of("PSNR", {"bicubic": 30.0, "srgan": psnr})
    rows += rows_of("FID-64", {"bicubic": 4.0, "srgan": distance, "hr": 0.0})
    text = findings.quadrant(rows, "srgan", "FID-64")
    assert said in text and f"{psnr - 30:+.2f} dB" in text and f"{distance / 4:.3f}" in text


def test_winners_by_each_metric():
    rows = rows_of("PSNR", {"bicubic": 30.0, "srgan": 29.0})
    rows += rows_of("FID-64", {"bicubic": 4.0, "srgan": 2.0, "hr": 0.0})
    said = findings.winners(rows, {"PSNR": "higher", "FID-64": "lower"})
    assert "Bicubic by PSNR and SRGAN by FID-64" in said
    assert findings.winners(rows, {"PSNR": "higher"}) == "All put the same method first: Bicubic."


def test_an_order_is_kept_across_sets_or_one_pair_is_named():
    groups = {"Set5": rows_of("PSNR", {"bicubic": 30.0, "srgan": 31.0})}
    groups["Set14"] = rows_of("PSNR", {"bicubic": 28.0, "srgan": 29.0, "nearest": 20.0})
    assert "keeps its order" in findings.order_across(groups, "PSNR", "higher")
    groups["Set5"] = rows_of("PSNR", {"bicubic": 32.0, "srgan": 31.0})
    said = findings.order_across(groups, "PSNR", "higher")
    assert "Set5 has Bicubic before SRGAN, Set14 the reverse" in said


@pytest.mark.parametrize(
    ("at", "said"),
    [({64: 0.5, 768: 1.2}, "below 1 at 2 of 4 settings (layers 64)"),
     ({64: 0.5, 768: 0.7}, "below 1 at all of them"), ({64: 1.5, 768: 1.7}, "above 1 at all")],
)  # fmt: skip
def test_settings_say_whether_the_side_depends_on_them(at, said):
    rows = []
    for layer, ratio in at.items():
        for n in (10, 20):
            facts = {"resize": "tf", "layer": layer, "n": n, "side": 112}
            rows += rows_of("FID", {"bicubic": 2.0 * n, "sr-ugan": 2.0 * n * ratio}, **facts)
    text = findings.settings(rows, "sr-ugan")
    assert said in text and "N by up to 2 times" in text


def test_a_part_is_worth_something_where_the_seeds_do_not_overlap():
    rows = rows_of("FID-64", {"bicubic": 2.0})
    for name, psnr in ((FULL, [31.0, 32.0]), ("without MSE", [29.0, 30.5]),
                       ("without attention", [30.5, 31.5])):  # fmt: skip
        facts = {"variant": name, "values": psnr}
        rows += rows_of("PSNR", {"sr-ugan": sum(psnr) / 2}, **facts)
        rows += rows_of("FID-64", {"sr-ugan": 1.0}, variant=name)
    first, second = findings.ablated(rows)
    assert "**without MSE**: PSNR 1.75 dB lower than the whole's, more than the seeds" in first
    assert "FID-64 0.50 of bicubic's" in first and "no more than seeds differ" in second


def test_errors_compound_where_a_network_loses_more_than_bicubic():
    scores = {"bicubic": [30.0, 28.0, 31.0], "sr-ugan": [31.0, 28.0, 32.0]}
    said = findings.compounding(scores)
    assert "Bicubic 3.00 dB and SR-UGAN 4.00 dB" in said
    assert "More than bicubic loses SR-UGAN" in said
    assert "nothing compounds" in findings.compounding(scores | {"sr-ugan": [31.0, 29.5, 32.0]})


@pytest.mark.parametrize(
    ("psnr", "far", "said"),
    [(31.0, 1.0, "native is better in both"), (29.0, 3.0, "twice is better in both"),
     (29.0, 1.0, "each wins one")],
)  # fmt: skip
def test_the_two_roads_to_4x(psnr, far, said):
    rows = rows_of("PSNR", {"sr-ugan": psnr, "sr-ugan twice": 30.0})
    rows += rows_of("Patch Frechet distance", {"sr-ugan": far, "sr-ugan twice": 2.0})
    text = findings.roads(rows, "sr-ugan")
    assert said in text and f"{far / 2:.2f} of it" in text and "1.00 dB" in text


def test_a_glaring_grid_is_named():
    labels = {"bicubic": "Bicubic", "sr-ugan": "SR-UGAN native 4x"}
    said = findings.gridded({"bicubic": 0.1, "sr-ugan": 2.2}, labels)
    assert "SR-UGAN native 4x (2.2 levels)" in said and "bicubic has 0.1" in said
    assert "No method lays a grid" in findings.gridded({"bicubic": 0.1, "sr-ugan": 0.4}, labels)


def test_unlike_trainings_are_said_to_be_so():
    facts = {"2x": {"images_seen": 24000}, "native 4x": {"images_seen": 8000}}
    assert "unlike trainings (2x 24,000 and native 4x 8,000" in findings.same_training(facts)
    assert "the same number" in findings.same_training({"2x": facts["2x"], "4x": facts["2x"]})
