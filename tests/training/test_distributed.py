"""One run on two processes is the run on one, on the CPU with Gloo; and kills lose nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from srkit.training import distributed
from srkit.training.checkpoints import found
from srkit.training.recipe import TrainingError
from srkit.training.recipes import recipe
from srkit.training.run_folder import read_log
from srkit.training.state import start
from srkit.weights import load_generator, load_state

TRAIN = ["-m", "srkit", "train", "--preset", "smoke", "--device", "cpu", "--content", "untrained"]


def run(*command: object) -> subprocess.CompletedProcess:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, env=environment
    )


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(make_folder, tmp_path):
    model, batch = "sr-ugan", 3  # without BatchNorm; two in one process
    folder = make_folder({f"{n % 2}/{n}.png": (48, 48) for n in range(8)})
    options = ["--model", model, "--data", folder, "--set", f"batch={batch}"]
    options += ["--set", "iterations=6"]
    alone = run(*TRAIN, *options, "--out", tmp_path / "one")
    assert alone.returncode == 0, alone.stderr
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", 2, "--standalone"]
    both = run(*torchrun, *TRAIN, *options, "--out", tmp_path / "two")
    assert both.returncode == 0, both.stderr
    one, two = read_log(tmp_path / "one"), read_log(tmp_path / "two")
    assert [row["step"] for row in one] == [row["step"] for row in two] == [1, 2, 3, 4, 5, 6]
    local = ("gradient_", "colour", "checker", "content_to")  # of the first process's share
    for a, b in zip(one, two, strict=True):
        for name in a:
            if not name.startswith((*local, "warnings")):
                assert b[name] == pytest.approx(a[name], rel=2e-3), (a["step"], name)
    # Adam divides by tiny second moments at first: sums in another order move weights by some 1e-4
    first, second = (
        load_generator(tmp_path / n / "generator.safetensors")[0] for n in ("one", "two")
    )
    for p, q in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.allclose(p, q, atol=5e-3)
    (checkpoint, _) = found(tmp_path / "two")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-9])
    again = run(*torchrun, *TRAIN, *options, "--out", tmp_path / "two")  # both find it damaged
    assert again.returncode == 0 and "is damaged" in again.stdout, again.stderr
    again = run(*TRAIN, *options, "--out", tmp_path / "two")  # one process goes on from two's files
    assert again.returncode == 0 and len(found(tmp_path / "two")) == 2, again.stderr


def test_a_share_that_cannot_be_split_is_refused_before_it_hangs():
    plan = recipe("sr-ugan", "smoke", batch=3, accumulate=2)
    world = distributed.World(0, 2)
    with pytest.raises(TrainingError, match=r"batch of 3 on 2 processes .* 2 parts each"):
        start(plan, 3, "untrained", "cpu", world)


def test_a_world_of_one_needs_no_torchrun(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    world = distributed.join(torch.device("cpu"))
    assert (world.rank, world.size, world.first) == (0, 1, True)
    network = torch.nn.Linear(2, 2)
    assert distributed.data_parallel(network, world) is None
    assert world.any(True, torch.device("cpu")) and not world.any(False, torch.device("cpu"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("model", ["sr-ugan", "srgan"])
def test_kills_at_random_instants_lose_nothing(tmp_path, model):
    script = Path(__file__).parent / "kills.py"
    done = run(script, tmp_path, os.environ.get("SRKIT_KILLS", 10), 0, model)
    assert done.returncode == 0, done.stderr
    count = int(done.stdout.split()[-2])
    whole = tmp_path / "whole"
    names = sorted(f.relative_to(whole) for f in whole.rglob("*") if f.suffix != ".pt")
    for killed in (tmp_path / str(number) for number in range(count)):
        assert names == sorted(
            f.relative_to(killed) for f in killed.rglob("*") if f.suffix != ".pt"
        )
        for name in names:
            if name.suffix and name.name != "times.jsonl":  # the only thing that may differ
                assert (whole / name).read_bytes() == (killed / name).read_bytes(), name
        checkpoints = [[load_state(path) for path in found(r)] for r in (whole, killed)]
        assert len(checkpoints[0]) == 2
        for a, b in zip(*checkpoints, strict=True):  # pickles of equal tensors may differ in bytes
            assert same(a, b)


def same(a: object, b: object) -> bool:
    """Whether two nested dicts are the same, bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b
