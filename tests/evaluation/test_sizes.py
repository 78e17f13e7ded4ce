"""The networks have their published sizes."""

import pytest

from srkit.evaluation import results, sizes


def test_sizes_are_the_published_ones():
    rows = sizes.size_rows(results.Run("size", commit="abc"))
    published = {(2, "generator"): 1.40, (4, "generator"): 1.55, (2, "discriminator"): 23.6}
    for (scale, part), millions in published.items():
        value = results.value(rows, scale=scale, metric=f"SRGAN {part} parameters")
        assert value == pytest.approx(millions, rel=0.005)
    costs = results.select(rows, metric="Generator GFLOP")
    assert costs[1]["value"] > 4 * costs[0]["value"]


def test_srgan_looks_80_pixels_far():
    assert sizes.radius_row(results.Run("size", commit="abc"))["value"] == 80
