"""A checkerboard over predictions: what it is, and that its rows are of the pictures it made."""

import numpy as np
import pytest
from PIL import Image

from srkit import metrics
from srkit.cli import main
from srkit.data import Photos, bicubic_lr_pil
from srkit.evaluation import patterns, results, tables
from srkit.fid.features import inception_features
from srkit.fid.frechet import frechet_distance
from srkit.fid.inception import FIDInception
from srkit.fid.statistics import Statistics
from srkit.upscale import upscale

RUN = results.Run("checkerboard")
FID = "FID-64"


@pytest.fixture
def network():
    """An untrained Inception up to 64 features: what is tested is the bookkeeping."""
    return FIDInception(64).eval().requires_grad_(False)


def photos(count: int = 3) -> Photos:
    values = np.random.default_rng(0).integers(60, 190, (count, 48, 48, 3), dtype=np.uint8)
    return Photos("noise", list(values), [0] * count, ["noise"])


def test_pixels_are_lighter_and_darker_in_turn_and_clipped():
    grey = np.asarray(patterns.checkered(Image.new("RGB", (4, 3), (2, 100, 254)), 4)).astype(int)
    assert grey[0, :2].tolist() == [[6, 104, 255], [0, 96, 250]]
    assert grey[1, :2].tolist() == [[0, 96, 250], [6, 104, 255]]
    plain = Image.fromarray(photos()[0])
    assert np.array_equal(patterns.checkered(plain, 0), plain)


def test_psnr_falls_to_the_closed_form_where_nothing_else_is_wrong():
    flat = Image.new("RGB", (32, 32), (120, 120, 120))
    luma = 219 / 255  # of grey, by BT.601
    expected = 20 * np.log10(255 / (4 * luma))
    found = metrics.psnr(patterns.checkered(flat, 4), flat, "y", 2)
    assert found == pytest.approx(expected, abs=0.01)


def test_rows_are_of_the_checkered_predictions(network):
    some = photos()
    rows = patterns.checkerboard(some, ["bicubic", "nearest"], [4], network, RUN)
    assert len(rows) == 2 * 2 * 2
    hrs = [Image.fromarray(some[n]) for n in range(len(some))]
    srs = [upscale(bicubic_lr_pil(hr, 2), "nearest", 2) for hr in hrs]
    checked = {"method": "nearest", "variant": "checkerboard of 4 levels"}
    shown = [patterns.checkered(sr, 4) for sr in srs]
    psnr = np.mean([metrics.psnr(sr, hr, "y", 2) for sr, hr in zip(shown, hrs, strict=True)])
    assert results.value(rows, metric="PSNR", **checked) == pytest.approx(psnr, rel=1e-5)
    sets = [Statistics.of(inception_features(np.stack(x), network)) for x in (shown, hrs)]
    fid = frechet_distance(*sets, warn=False)
    assert results.value(rows, metric=FID, **checked) == pytest.approx(fid, rel=1e-4)


def test_the_table_has_tables_order_and_ratios_to_bicubic_as_it_is(network):
    rows = patterns.checkerboard(photos(), ["bicubic", "nearest"], [4, 9], network, RUN)
    header, body = tables.checkerboard_table(rows)
    assert [line[0] for line in body[:3]] == ["Nearest-neighbor"] * 3
    body, rows = body[3:], results.select(rows, method="bicubic")
    assert [line[:2] for line in body] == [
        ["Bicubic", "as it is"],
        ["Bicubic", "checkerboard of 4 levels"],
        ["Bicubic", "checkerboard of 9 levels"],
    ]
    fids = [row["value"] for row in results.select(rows, metric=FID)]
    ratios = [float(line[header.index("/ bicubic")]) for line in body]
    assert ratios == pytest.approx([fid / fids[0] for fid in fids], abs=6e-4)


@pytest.mark.parametrize(
    ("names", "levels"), [(["nearest"], [4]), (["bicubic"], [0]), (["bicubic"], [128])]
)
def test_no_bicubic_or_an_impossible_strength_is_refused(names, levels, network):
    with pytest.raises(ValueError, match="bicubic and levels from 1 to 127 are wanted, not"):
        patterns.checkerboard(photos(), names, levels, network, RUN)


def test_without_inception_the_command_says_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SRKIT_INCEPTION", "")
    Image.fromarray(photos()[0]).save(tmp_path / "a.png")
    command = ["evaluate", "--data", str(tmp_path), "--methods", "bicubic", "--device", "cpu"]
    assert main([*command, "--checkerboard", "4"]) == 2
    assert "SRKIT_INCEPTION" in capsys.readouterr().err
    assert main([*command, "--checkerboard", "4", "--scale", "4"]) == 2
    assert "no --scale 4" in capsys.readouterr().err
