"""The benchmarks at toy sizes: they run, compare the same work, and say what they did."""

import sys
import time
import types
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image

from srkit.cli import main
from srkit.evaluation import bench_fid, bench_training, bench_upscale, results
from srkit.fid.inception import FIDInception, fold_batchnorm
from srkit.models import SRGANGenerator
from srkit.training.recipes import recipe
from srkit.training.step import train_step


def test_alternated_work_is_timed_in_turns_after_one_to_warm_up():
    order = []
    work = {
        "quick": lambda: order.append("quick"),
        "slow": lambda: (order.append("slow"), time.sleep(0.02)),
    }
    seconds = bench_fid.alternate(work, rounds=3)
    assert order == ["quick", "slow"] * 4
    assert seconds["slow"] >= 0.02 > seconds["quick"]


@pytest.mark.parametrize("rounds", [0, -1])
def test_a_median_of_no_rounds_is_refused(rounds):
    with pytest.raises(ValueError, match=f"one round or more, not {rounds}"):
        bench_fid.alternate({"work": lambda: None}, rounds)


def test_the_standard_form_folds_back_into_the_same_weights(tmp_path):
    torch.manual_seed(5)
    network = FIDInception(64)
    torch.save(network.state_dict(), tmp_path / "folded.pth")
    state = bench_fid.standard_state(tmp_path / "folded.pth")
    folded = fold_batchnorm(state)
    for key, value in network.state_dict().items():
        assert torch.allclose(folded[key], value, rtol=1e-6), key  # divided by sqrt(1 - eps + eps)
    assert state["fc.weight"].shape == (1008, 2048)
    assert len(folded) == len(FIDInception(2048).state_dict())


def test_bench_fid_compares_all_that_is_installed(tmp_path, capsys):
    record = tmp_path / "rows.json"
    command = ["bench", "fid", "--quick", "--rounds", "1", "--record", str(record)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    rows = results.load(record)
    there = {n for n in bench_fid.PEERS if bench_fid.installed(n.replace("-", "_"))}
    assert {row["method"] for row in rows} == there | {"srkit"}
    for name in set(bench_fid.PEERS) - there:
        assert f"Not installed, so not compared: {name}" in printed
    for row in rows:
        assert row["stage"] == "bench" and row["value"] > 0 and "1 alternated" in row["protocol"]
        if row["method"] == "srkit":
            assert row["value"] == 1
        if row["metric"].startswith("distance"):
            assert abs(row["relative_difference"]) < 1e-5  # sqrtm of singular matrices
        assert 0 < row["seconds"] < 100
    features = [row for row in rows if row["metric"].startswith("feature")]
    assert all("UNTRAINED" in row["protocol"] for row in features)
    for row in features:
        assert row["photographs_per_second"] == pytest.approx(row["n"] / row["seconds"], rel=0.01)
    assert not any("photographs_per_second" in row for row in rows if row not in features)
    ours = {(row["dataset"], row["n"]): row["seconds"] for row in rows if row["method"] == "srkit"}
    for row in rows:  # 3 digits each
        ratio = row["seconds"] / ours[row["dataset"], row["n"]]
        assert row["value"] == pytest.approx(ratio, rel=0.02)


def test_a_missing_peer_is_named(monkeypatch):
    monkeypatch.setattr(bench_fid, "installed", lambda name: False)
    monkeypatch.setattr(bench_fid, "time_features", lambda *_: [])
    rows = bench_fid.bench_fid(quick=True, rounds=1)
    assert {row["method"] for row in rows} == {"srkit"}
    assert "pytorch-fid, torch-fidelity, torchmetrics" in bench_fid.summary(rows)


def test_sqrtm_takes_disp_whatever_scipy_says():
    import scipy.linalg

    before = scipy.linalg.sqrtm
    with bench_fid.sqrtm_with_disp():
        root, _ = scipy.linalg.sqrtm(np.diag([4.0, 9.0]), disp=False)
    assert np.allclose(root, np.diag([2.0, 3.0])) and scipy.linalg.sqrtm is before


def test_bench_train_compares_our_update_with_the_plain_loop(tmp_path, capsys):
    record = tmp_path / "rows.json"
    command = ["bench", "train", "--quick", "--rounds", "1", "--record", str(record)]
    assert main([*command, "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "sr-ugan: srkit, fp32" in printed and "Not installed" not in printed
    rows = results.load(record)
    ways = ("plain loop", "srkit, fp32", "srkit, bf16")
    expected = {(model, way) for model in bench_training.MODELS for way in ways}
    assert {(row["method"], row["variant"]) for row in rows} == expected
    for row in rows:
        assert row["stage"] == "bench" and row["value"] > 0 and "toy size" in row["protocol"]
        if row["variant"] == "plain loop" and row["metric"] != "crops/s":
            assert row["value"] == 1


@pytest.mark.parametrize("model", bench_training.MODELS)
def test_the_plain_loop_does_the_same_update(model):
    plan = recipe(model, "smoke", batch=2, crop=32, start_from="")
    states = [bench_training.start(plan, bench_training.CLASSES, "untrained", "cpu")]
    states.append(bench_training.plain_state(plan, "untrained", "cpu"))
    lr, hr, labels = bench_training.batch_of(plan, 2, torch.device("cpu"))
    train_step(states[0], lr, hr, labels)
    bench_training.plain_step(states[1], lr.contiguous(), hr.contiguous(), labels)
    ours, theirs = (
        torch.cat([p.grad.flatten() for p in state.generator.parameters()]) for state in states
    )
    # the gradient went through a discriminator just updated, by signs that rounding may turn
    assert (ours - theirs).norm() < 0.02 * ours.norm()


@pytest.mark.gpu
def test_bench_train_on_a_gpu_gives_rates_and_memory():
    rows = bench_training.bench_train(batch=2, rounds=1, quick=True, device="cuda")
    metrics = {row["metric"] for row in rows}
    assert {"crops/s", "TFLOP/s", "share of the bf16 product", "peak memory (GiB)"} <= metrics


@pytest.mark.gpu
def test_features_on_a_gpu_are_the_cpu_s(inception_file):
    from srkit.fid.features import inception_features
    from srkit.fid.inception import load_inception

    images = torch.rand(4, 3, 90, 70)
    network = load_inception(inception_file, 768)
    cpu = inception_features(images, network)
    gpu = inception_features(images, network.cuda())
    assert np.abs(cpu - gpu).max() < 1e-4 * np.abs(cpu).max()  # float32, without TF32


def test_the_counted_work_of_an_update_is_that_of_its_parts():
    from srkit.models import count_gflop

    plan = recipe("sr-ugan", "smoke", batch=2, crop=32)
    found = bench_training.step_flop(plan, "untrained", "cpu")
    state = bench_training.start(plan, 1000, "untrained", "cpu")
    g = count_gflop(state.generator, 16, 16)
    d = count_gflop(state.discriminator, 32, 32)
    phi = count_gflop(state.content.network, 32, 32)
    # forward and twice that backward; the frozen networks pass only the gradient of their input
    expected = 3 * g + (2 * 3 + 2) * d + (1 + 2) * phi
    assert found / 1e9 == pytest.approx(expected, rel=0.1)


def test_bench_upscale_times_the_tiles_of_another_program(monkeypatch):
    def tile_sr(model, scale, img, tile):
        """Of its form: tensors in and out, tiles that do not overlap."""
        assert tile == (64, 64) and img.shape == (1, 3, 96, 128)
        parts = [[model(img[..., y : y + 64, x : x + 64]) for x in (0, 64)] for y in (0, 64)]
        return torch.cat([torch.cat(row, -1) for row in parts], -2)

    module = types.SimpleNamespace(tile_sr=tile_sr)
    monkeypatch.setitem(sys.modules, bench_upscale.PEER, module)
    monkeypatch.setattr(bench_upscale.importlib.metadata, "version", lambda name: "1.2")
    image = Image.fromarray(np.zeros((96, 128, 3), np.uint8))
    work = bench_upscale.ways("srgan", True, image, (64, 96), "cpu")
    assert work["ccrestoration 1.2, fp32, tile 64"]().size == (256, 192)
    monkeypatch.setitem(sys.modules, bench_upscale.PEER, None)
    work = bench_upscale.ways("srgan", True, image, (64, 96), "cpu")
    assert not any("ccrestoration" in name for name in work)


def test_bench_upscale_compares_tiles_and_precisions_with_the_plain_run(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, bench_upscale.PEER, None)  # installed or not
    record = tmp_path / "rows.json"
    command = ["bench", "upscale", "--quick", "--rounds", "1", "--device", "cpu"]
    assert main([*command, "--record", str(record)]) == 0
    assert "| srgan: srkit, bf16, tile 64 |" in capsys.readouterr().out
    rows = results.load(record)
    assert {row["method"] for row in rows} == {"srgan", "sr-ugan"}
    variants = {f"srkit, {kind}, tile {tile}" for kind in ("fp32", "bf16") for tile in (64, 96)}
    assert {row["variant"] for row in rows} == variants | {"plain"}
    metrics = {"megapixels/s", "rate / the plain run's", "peak memory (GiB)"}
    assert {row["metric"] for row in rows} == metrics
    values = {(row["method"], row["variant"], row["metric"]): row["value"] for row in rows}
    for method in ("srgan", "sr-ugan"):
        assert values[method, "plain", "rate / the plain run's"] == 1
        for variant in variants:  # 3 digits each
            speed, plain = (values[method, v, "megapixels/s"] for v in (variant, "plain"))
            rate = values[method, variant, "rate / the plain run's"]
            assert rate == pytest.approx(speed / plain, rel=0.02)


def test_bench_upscale_times_what_gives_the_plain_run_s_picture(rng, monkeypatch):
    monkeypatch.setitem(sys.modules, bench_upscale.PEER, None)  # installed or not
    network = SRGANGenerator(blocks=1, width=4)
    monkeypatch.setattr(bench_upscale, "build_generator", lambda _: deepcopy(network))
    image = Image.fromarray(rng.integers(0, 256, (96, 128, 3), dtype=np.uint8))
    work = bench_upscale.ways("srgan", True, image, (64,), "cpu")
    plain = np.asarray(work.pop("plain")()).astype(int)
    for name, way in work.items():
        way()  # finds out the overlap, before which all is well
        assert np.abs(np.asarray(way()) - plain).max() <= 3, name


def test_peak_memory_is_what_is_held_at_once():
    peak = bench_upscale.peak_memory(lambda: np.ones(2**26).sum(), "cpu")  # half a GiB
    assert 0.45 < peak < 1
