"""Where methods stand is what their rows say: turned round, the other side is taken."""

import pytest

from srkit.evaluation.results import Run
from srkit.notebook import standings
from srkit.training.variants import FULL


def rows_of(metric, numbers, **facts):
    run = Run(commit="abc")
    return [run.row(method, metric, value, "p", **facts) for method, value in numbers.items()]


@pytest.mark.parametrize(
    ("psnr", "distance", "said"),
    [
        (31.0, 2.0, "better in both"),
        (31.0, 9.0, "farther as a set"),
        (29.0, 2.0, "nearer as a set"),
        (29.0, 9.0, "worse in both"),
    ],
)
def test_a_method_s_quadrant_beside_bicubic(psnr, distance, said):
    rows = rows_of("PSNR", {"bicubic": 30.0, "srgan": psnr})
    rows += rows_of("FID-64", {"bicubic": 4.0, "srgan": distance, "hr": 0.0})
    text = standings.quadrant(rows, "srgan", "FID-64")
    assert said in text and f"{psnr - 30:+.2f} dB" in text and f"{distance / 4:.3f}" in text


def test_winners_by_each_metric():
    rows = rows_of("PSNR", {"bicubic": 30.0, "srgan": 29.0})
    rows += rows_of("FID-64", {"bicubic": 4.0, "srgan": 2.0, "hr": 0.0})
    said = standings.winners(rows, {"PSNR": "higher", "FID-64": "lower"})
    assert "Bicubic by PSNR and SRGAN by FID-64" in said
    assert standings.winners(rows, {"PSNR": "higher"}) == "All put the same method first: Bicubic."


def test_an_order_is_kept_across_sets_or_one_pair_is_named():
    groups = {"Set5": rows_of("PSNR", {"bicubic": 30.0, "srgan": 31.0})}
    groups["Set14"] = rows_of("PSNR", {"bicubic": 28.0, "srgan": 29.0, "nearest": 20.0})
    assert "keeps its order" in standings.order_across(groups, "PSNR", "higher")
    groups["Set5"] = rows_of("PSNR", {"bicubic": 32.0, "srgan": 31.0})
    said = standings.order_across(groups, "PSNR", "higher")
    assert "Set5 has Bicubic before SRGAN, Set14 the reverse" in said


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ({64: 0.5, 768: 1.2}, "below 1 at 2 of 4 settings (layers 64)"),
        ({64: 0.5, 768: 0.7}, "below 1 at all of them"),
        ({64: 1.5, 768: 1.7}, "above 1 at all"),
    ],
)
def test_settings_say_whether_the_side_depends_on_them(at, said):
    rows = []
    for layer, ratio in at.items():
        for n in (10, 20):
            facts = {"resize": "tf", "layer": layer, "n": n, "side": 112}
            rows += rows_of("FID", {"bicubic": 2.0 * n, "sr-ugan": 2.0 * n * ratio}, **facts)
    text = standings.settings(rows, "sr-ugan")
    assert said in text and "N by up to 2 times" in text


def test_a_part_is_worth_something_where_the_seeds_do_not_overlap():
    rows = rows_of("FID-64", {"bicubic": 2.0})
    for name, psnr in (
        (FULL, [31.0, 32.0]),
        ("without MSE", [29.0, 30.5]),
        ("without attention", [30.5, 31.5]),
    ):
        facts = {"variant": name, "values": psnr}
        rows += rows_of("PSNR", {"sr-ugan": sum(psnr) / 2}, **facts)
        rows += rows_of("FID-64", {"sr-ugan": 1.0}, variant=name)
    first, second, whole = standings.ablated(rows)
    assert "**without MSE**: PSNR 1.75 dB lower than the whole's, more than the seeds" in first
    assert "FID-64 0.50 of bicubic's" in first and "no more than seeds differ" in second
    assert whole == "**The whole**: FID-64 0.50 of bicubic's."
    alone = [{**r, "values": r["values"][:1]} if "values" in r else r for r in rows]
    assert "than the whole's, of one seed; FID-64" in standings.ablated(alone)[0]


def test_errors_compound_where_a_network_loses_more_than_bicubic():
    scores = {"bicubic": [30.0, 28.0, 31.0], "sr-ugan": [31.0, 28.0, 32.0]}
    said = standings.compounding(scores)
    assert "Bicubic 3.00 dB and SR-UGAN 4.00 dB" in said
    assert "SR-UGAN loses more than bicubic" in said
    assert "nothing compounds" in standings.compounding(scores | {"sr-ugan": [31.0, 29.5, 32.0]})


@pytest.mark.parametrize(
    ("psnr", "far", "said"),
    [
        (31.0, 1.0, "native is better in both"),
        (29.0, 3.0, "twice is better in both"),
        (29.0, 1.0, "each wins one"),
    ],
)
def test_the_two_roads_to_4x(psnr, far, said):
    rows = rows_of("PSNR", {"sr-ugan": psnr, "sr-ugan twice": 30.0})
    rows += rows_of("Patch Frechet distance", {"sr-ugan": far, "sr-ugan twice": 2.0})
    text = standings.roads(rows, "sr-ugan")
    assert said in text and f"{far / 2:.2f} of it" in text and "1.00 dB" in text


def test_a_glaring_grid_is_named():
    labels = {"bicubic": "Bicubic", "sr-ugan": "SR-UGAN native 4x"}
    said = standings.gridded({"bicubic": 0.1, "sr-ugan": 2.2}, labels)
    assert "SR-UGAN native 4x (2.2 levels)" in said and "bicubic has 0.1" in said
    assert "No method lays a grid" in standings.gridded({"bicubic": 0.1, "sr-ugan": 0.4}, labels)


def test_a_checkerboard_s_fid_is_told_beside_bicubic_s_as_it_is():
    board = "checkerboard of 4 levels"
    made = {("bicubic", None): (30.0, 0.2), ("bicubic", board): (29.0, 0.15)}
    made |= {("srgan", None): (31.0, 0.1), ("srgan", board): (30.5, 0.3)}
    rows = []
    for (method, variant), numbers in made.items():
        for metric, number in zip(("PSNR", "FID-768"), numbers, strict=True):
            rows.append({"method": method, "variant": variant, "metric": metric, "value": number})
    bicubic, srgan = standings.fooled(rows)
    assert "falls from 1.00 to 0.75 with a checkerboard of 4 levels, for 1.0 dB" in bicubic
    assert "SRGAN: FID-768 / bicubic rises from 0.50 to 1.50" in srgan and "0.5 dB" in srgan


def test_unlike_trainings_are_said_to_be_so():
    facts = {"2x": {"images_seen": 24000}, "native 4x": {"images_seen": 8000}}
    assert "unlike trainings (2x 24,000 and native 4x 8,000" in standings.same_training(facts)
    assert "the same number" in standings.same_training({"2x": facts["2x"], "4x": facts["2x"]})
    assert "alone" not in standings.same_training(facts)
    facts["native 4x"]["name"] = "sr-ugan-mse-4x"
    assert "The native 4x has had its first stage alone, MSE." in standings.same_training(facts)
