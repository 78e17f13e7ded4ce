"""The update against the plain loop, at toy sizes: the same work, and what is said of it."""

import pytest
import torch

from srkit.cli import main
from srkit.evaluation import bench_training, results
from srkit.training.recipes import recipe
from srkit.training.step import train_step


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
    states.append(bench_training.plain_state(plan, "cpu"))
    lr, hr, labels = bench_training.batch_of(plan, 2, torch.device("cpu"))
    train_step(states[0], lr, hr, labels)
    bench_training.plain_step(states[1], lr.contiguous(), hr.contiguous(), labels)
    ours, theirs = (
        torch.cat([p.grad.flatten() for p in state.generator.parameters()]) for state in states
    )
    # the gradient went through a discriminator just updated, by signs that rounding may turn
    assert (ours - theirs).norm() < 0.02 * ours.norm()


def test_the_counted_work_of_an_update_is_that_of_its_parts():
    from srkit.models import count_gflop

    plan = recipe("sr-ugan", "smoke", batch=2, crop=32)
    found = bench_training.step_flop(plan, "cpu")
    state = bench_training.start(plan, 1000, "untrained", "cpu")
    g = count_gflop(state.generator, 16, 16)
    d = count_gflop(state.discriminator, 32, 32)
    phi = count_gflop(state.content.network, 32, 32)
    # forward and twice that backward; the frozen networks pass only the gradient of their input
    expected = 3 * g + (2 * 3 + 2) * d + (1 + 2) * phi
    assert found / 1e9 == pytest.approx(expected, rel=0.1)


@pytest.mark.gpu
def test_bench_train_on_a_gpu_gives_rates_and_memory():
    rows = bench_training.bench_train(batch=2, rounds=1, quick=True, device="cuda")
    metrics = {row["metric"] for row in rows}
    assert {"crops/s", "TFLOP/s", "share of the bf16 product", "peak memory (GiB)"} <= metrics
