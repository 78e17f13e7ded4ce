"""Rows and tables: each number is the one that its own code gives, in the right place."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from srkit import metrics
from srkit.cli import main
from srkit.data import DataError, Photos, bicubic_lr_pil
from srkit.evaluation import measure, results
from srkit.fid.features import inception_features
from srkit.fid.frechet import FewImagesWarning, frechet_distance
from srkit.fid.inception import FIDInception
from srkit.fid.statistics import Statistics
from srkit.fid.uncertainty import kid
from srkit.files import sha256
from srkit.models import build_generator
from srkit.training.recipes import recipe
from srkit.upscale import upscale
from srkit.weights import save_generator

RUN = results.Run("report", "smoke")


def photos(count: int = 2, size: int = 64) -> Photos:
    values = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    smooth = [
        np.array(Image.fromarray(v).resize((size, size + 3)).resize((size, size))) for v in values
    ]
    return Photos("noise", smooth, [0] * count, ["noise"])


def test_psnr_row_is_the_mean_over_photographs():
    some = photos()
    rows = measure.measure(["bilinear"], some, 2, RUN)
    expected = []
    for number in range(len(some)):
        hr = Image.fromarray(some[number])
        expected.append(metrics.psnr(upscale(bicubic_lr_pil(hr, 2), "bilinear", 2), hr, "y", 2))
    found = results.value(rows, method="bilinear", metric="PSNR")
    assert found == pytest.approx(np.mean(expected), rel=1e-5)  # rows keep 6 digits


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (np.full((40, 40, 3), 255, np.uint8), "of one colour"),
        (np.random.default_rng(1).integers(0, 256, (9, 40, 3), np.uint8), "of 40x8, under 15"),
    ],
)
def test_a_photograph_that_cannot_be_measured_is_named(odd, why):
    some = Photos("odd", [photos(1)[0], odd], [0, 0], ["noise"])
    with pytest.raises(DataError, match=f"odd: photograph 1 is {why}.*: leave it out"):
        measure.measure(["bicubic"], some, 2, RUN)


def test_a_photograph_that_is_predicted_perfectly_is_named():
    nearly = np.full((32, 32, 3), 200, np.uint8)
    nearly[0, 0] = 201  # in the border that PSNR leaves out
    some = Photos("odd", [photos(1)[0], nearly], [0, 0], ["noise"])
    with pytest.raises(DataError, match=r"bicubic predicts photograph 1 without any error.*leave"):
        measure.measure(["bicubic"], some, 2, RUN)


def test_hr_against_itself_is_zero_and_every_row_is_stamped():
    rows = measure.measure(["nearest"], photos(), 2, results.Run(seed=3))
    assert results.value(rows, method="hr", metric="Patch Frechet distance") == 0
    for row in rows:
        assert row["source"] == "measured" and row["n"] == 2 and row["seed"] == 3
        assert row["protocol"] and row["torch"] and "commit" in row and row["device"] == "cpu"


def test_nothing_without_inception_is_called_fid():
    rows = measure.measure(["nearest"], photos(), 2, RUN)
    assert not any("FID" in row["metric"] for row in rows)


def test_rows_of_a_network_say_by_which_recipe_it_was_trained(tmp_path):
    file, plan = tmp_path / "ours.safetensors", recipe("sr-ugan-mse", "smoke")
    save_generator(
        file, build_generator(plan.settings()), plan.settings(), {"recipe": asdict(plan)}
    )
    rows = measure.measure(["bicubic", "ours"], photos(), 2, RUN, checkpoints={"ours": file})
    said = {(row["method"], row.get("recipe"), row["weights"]) for row in rows}
    ours = ("ours", "sr-ugan-mse", sha256(file)[:12])
    assert said == {("hr", None, None), ("bicubic", None, None), ours}


def test_twice_is_the_2x_method_applied_two_times():
    lr = Image.fromarray(photos()[0])
    once = upscale(upscale(lr, "nearest", 2), "nearest", 2)
    assert np.array_equal(measure.enlarge(lr, "nearest twice", 4), once)
    with pytest.raises(ValueError, match="4 times"):
        measure.enlarge(lr, "nearest twice", 2)


def test_evaluate_command_prints_the_table_and_records_rows(tmp_path, capsys):
    Image.fromarray(photos(1, 96)[0]).save(tmp_path / "a.png")
    record = tmp_path / "rows.json"
    command = ["evaluate", "--data", str(tmp_path), "--methods", "nearest", "bicubic"]
    assert main([*command, "--record", str(record), "--device", "cpu"]) == 0
    assert "| Bicubic |" in capsys.readouterr().out
    assert {row["method"] for row in results.load(record)} == {"nearest", "bicubic", "hr"}
    assert main([*command[:3], "--methods", "magic"]) == 2
    assert "magic" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_evaluate_measures_anybody_s_checkpoint_like_a_peer(tmp_path, capsys, suffix):
    pytest.importorskip("spandrel", reason="spandrel is not installed")
    from spandrel.architectures.Compact import Compact

    (tmp_path / "in").mkdir()
    Image.fromarray(photos(1, 96)[0]).save(tmp_path / "in" / "a.png")
    file, state = tmp_path / f"theirs.{suffix}", Compact(num_feat=4, num_conv=1, upscale=2)
    if suffix == "pth":
        torch.save(state.state_dict(), file)
    else:
        save_file(state.state_dict(), file)
    record = tmp_path / "rows.json"
    command = ["evaluate", "--data", str(tmp_path / "in"), "--methods", "bicubic", "--device"]
    command += ["cpu", "--record", str(record), "--checkpoint", str(file)]
    assert main(command) == 0
    assert "| theirs |" in capsys.readouterr().out
    rows = results.select(results.load(record), method="theirs")
    assert {row["weights"] for row in rows} == {sha256(file)[:12]}
    with Image.open(tmp_path / "in" / "a.png") as hr:
        sr = upscale(bicubic_lr_pil(hr, 2), "", 2, file)
        expected = metrics.psnr(sr, hr, "y", 2)
    assert results.value(rows, metric="PSNR") == pytest.approx(expected, rel=1e-5)
    assert main([*command, "--scale", "4"]) == 2
    assert "enlarges 2 times, not 4: use --scale 2" in capsys.readouterr().err


# --- With an Inception ---------------------------------------------------------------------------


@pytest.fixture
def network():
    """An untrained Inception up to 64 features: what is tested is the bookkeeping."""
    return FIDInception(64).eval().requires_grad_(False)


@pytest.mark.filterwarnings("ignore::srkit.fid.frechet.FewImagesWarning")
def test_fid_kid_and_intervals_are_those_of_the_features(network):
    some = photos(10, 48)
    rows = measure.measure(["nearest", "bicubic"], some, 2, RUN, [network])
    sets = {"hr": [], "nearest": [], "bicubic": []}
    for number in range(10):
        hr = Image.fromarray(some[number])
        sets["hr"].append(hr)
        for method in ("nearest", "bicubic"):
            sets[method].append(upscale(bicubic_lr_pil(hr, 2), method, 2))
    x = {method: inception_features(iter(own), network) for method, own in sets.items()}
    for method in sets:
        expected = frechet_distance(Statistics.of(x[method]), Statistics.of(x["hr"]))
        assert results.value(rows, method=method, metric="FID-64") == pytest.approx(
            expected, rel=1e-5
        )
        expected = kid(x[method], x["hr"], paired=True)
        found = results.value(rows, method=method, metric="KID-64")
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-12)
    (row,) = results.select(rows, method="nearest", metric="FID-64")
    (base,) = results.select(rows, method="bicubic", metric="FID-64")
    assert row["interval"][0] < row["value"] < row["interval"][1]
    assert row["ratio_interval"][0] < row["value"] / base["value"] < row["ratio_interval"][1]
    assert base["ratio_interval"] == [1, 1]
    assert "UNTRAINED" in row["protocol"]
    assert (row["layer"], row["resize"], row["network"]) == (64, "pytorch", network.name)


def test_a_handful_of_photographs_gets_no_interval_and_one_no_fid(network):
    with pytest.warns(FewImagesWarning):
        rows = measure.measure(["bicubic"], photos(3, 48), 2, RUN, [network])
    (row,) = results.select(rows, method="bicubic", metric="FID-64")
    assert "interval" not in row
    rows = measure.measure(["bicubic"], photos(1, 48), 2, RUN, [network])
    assert not results.select(rows, metric="FID-64")


def test_sensitivity_varies_protocol_layer_n_and_side():
    network = FIDInception(192, collect=(64, 192)).eval().requires_grad_(False)
    some = photos(4, 64)
    rows = measure.sensitivity(some, network, RUN, ["bicubic"], sides=(64, 32), sizes=(2, 4))
    assert len(rows) == 2 * 3 * 2 * 2 * 2  # methods with hr, protocols, layers, sizes, sides
    assert {(row["dataset"], row["side"]) for row in rows} == {("noise", 64), ("noise", 32)}
    assert len({results.key(row) for row in rows}) == len(rows)
    order = np.random.default_rng(0).permutation(4)[:2]
    hrs = [Image.fromarray(some[int(i)]) for i in order]
    srs = [upscale(bicubic_lr_pil(hr, 2), "bicubic", 2) for hr in hrs]
    alone = FIDInception(64).eval()
    alone.load_state_dict(network.state_dict(), strict=False)
    x, y = (Statistics.of(inception_features(iter(s), alone, "tf")) for s in (srs, hrs))
    with pytest.warns(FewImagesWarning):
        expected = frechet_distance(x, y)
    row = results.only(rows, method="bicubic", layer=64, n=2, resize="tf", side=64)
    assert row["metric"] == "FID-64" and "protocol tf" in row["protocol"]
    assert row["value"] == pytest.approx(expected, rel=1e-4)  # batches of other sizes
    assert all(r["value"] == 0 for r in results.select(rows, method="hr"))
    with pytest.raises(ValueError, match="5 photographs wanted, there are 4"):
        measure.sensitivity(some, network, RUN, sizes=(5,), sides=(64,))


def test_bicubic_s_psnr_is_the_mean_over_crops(rng):
    hr = torch.from_numpy(rng.random((2, 3, 32, 32), dtype=np.float32))
    each = [measure.bicubic_psnr(one[None], 2) for one in hr]
    assert each[0] != each[1] and measure.bicubic_psnr(hr, 2) == pytest.approx(sum(each) / 2)
    assert measure.bicubic_psnr(torch.full((1, 3, 8, 8), 0.5), 2) == float("inf")
