"""Timing in turns, and features and distances beside the installed programs, at toy sizes."""

import time

import numpy as np
import pytest
import torch

from srkit.cli import main
from srkit.evaluation import bench_fid, results
from srkit.fid.inception import FIDInception, fold_batchnorm


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


@pytest.mark.gpu
def test_features_on_a_gpu_are_the_cpu_s(inception_file):
    from srkit.fid.features import inception_features
    from srkit.fid.inception import load_inception

    images = torch.rand(4, 3, 90, 70)
    network = load_inception(inception_file, 768)
    cpu = inception_features(images, network)
    gpu = inception_features(images, network.cuda())
    assert np.abs(cpu - gpu).max() < 1e-4 * np.abs(cpu).max()  # float32, without TF32
