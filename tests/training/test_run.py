"""What a run writes, and what stops it."""

import numpy as np
import pytest
import torch
from smoke_runs import run, saved, smoke

from srkit import losses
from srkit.losses import Weights
from srkit.training import checkpoints, run_folder
from srkit.training.recipe import TrainingError
from srkit.weights import load_generator

pytestmark = pytest.mark.usefixtures("tiny_vgg")


def test_the_generator_s_loss_is_the_weighted_sum_of_what_is_logged(tmp_path):
    run(smoke("sr-ugan", weights=Weights(2.0, 3.0, 0.5)), tmp_path)
    for row in run_folder.read_log(tmp_path):
        total = 2 * row["mse"] + 3 * row["content"] + 0.5 * row["adversarial"]
        assert row["generator"] == pytest.approx(total, rel=1e-5)  # float32 rounding


def test_the_written_generator_is_the_ema(tmp_path):
    generator, _ = load_generator(run(smoke(), tmp_path))
    ema = saved(tmp_path)["ema"]
    for name, value in generator.state_dict().items():
        assert torch.equal(value, ema[name].half().to(value.dtype)), name


def test_on_sample_sees_each_validation(tmp_path):
    seen = []
    run(smoke(), tmp_path, on_sample=lambda state, row, sr: seen.append((state.step, sr.shape)))
    assert seen == [(n, (2, 3, 40, 40)) for n in (1, 3, 6)]  # the photographs are 40x40


def test_a_checkpoint_is_kept_when_the_recipe_says_whatever_else_it_logs(tmp_path):
    run(smoke(iterations=7, log_every=5, sample_every=7, checkpoint_every=3), tmp_path)
    assert [checkpoints.step_of(path) for path in checkpoints.found(tmp_path)] == [7, 6]


def test_no_half_written_files_are_left(tmp_path):
    run(smoke(), tmp_path)
    files = sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("checkpoint-"))
    expected = ["generator.safetensors", "held_out.png", "log.jsonl", "samples", "times.jsonl"]
    assert [name for name in files if not name.startswith("photographs-")] == expected
    assert [checkpoints.step_of(path) for path in checkpoints.found(tmp_path)] == [6, 3]


def test_tensorboard_gets_every_number_of_the_log(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(smoke(), tmp_path, tensorboard=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = [event.value for event in events.Scalars("mse")]
    assert np.allclose(
        found, [row["mse"] for row in run_folder.read_log(tmp_path)], rtol=1e-6
    )  # float32


def test_the_log_tells_trouble_once_in_words(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("srkit.training.step.colour_drift", lambda *_: torch.tensor(50.0))
    run(smoke(iterations=9), tmp_path)
    told = [row["step"] for row in run_folder.read_log(tmp_path) if "warnings" in row]
    assert told == [6]  # in five rows that come after a fifth of the run
    printed = capsys.readouterr()
    assert "colours drift" in printed.out + printed.err


def test_a_log_that_cannot_be_written_is_named_with_what_to_do(tmp_path):
    (tmp_path / "times.jsonl").mkdir()  # a full disk fails in the same place
    said = r"times\.jsonl cannot be written \(Is a directory\).* Free space on that disk"
    with pytest.raises(TrainingError, match=said):
        run(smoke(), tmp_path)


@pytest.mark.parametrize("term", ["mse", "adversarial"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_at_the_last_good_checkpoint(
    monkeypatch, tmp_path, term, bad
):
    plan = smoke("sr-ugan", checkpoint_every=3, log_every=3)
    right, calls = getattr(losses, f"{term}_loss"), []

    def breaks(*args):
        calls.append(1)
        return right(*args) * (bad if len(calls) == 4 else 1)

    monkeypatch.setattr(losses, f"{term}_loss", breaks)
    with pytest.raises(
        TrainingError, match=rf"{term}.* not finite at step 4, .*checkpoint-0000003"
    ):
        run(plan, tmp_path)
    state = saved(tmp_path)
    assert state["step"] == 3 and all(v.isfinite().all() for v in state["ema"].values())


def test_of_several_bad_terms_the_first_is_named(monkeypatch, tmp_path):
    plan = smoke("sr-ugan", log_every=5, checkpoint_every=5)
    right, calls = losses.mse_loss, []

    def breaks(*args):
        calls.append(1)
        return right(*args) * (float("nan") if len(calls) == 2 else 1)

    monkeypatch.setattr(losses, "mse_loss", breaks)
    with pytest.raises(TrainingError, match=r"^mse not finite at step 2, "):
        run(plan, tmp_path)


@pytest.mark.parametrize("part", ["generator", "ema", "discriminator"])
def test_weights_that_are_not_finite_are_never_saved(tmp_path, part):
    def poison(state, row, _):
        if row["step"] == 6:
            next(iter(getattr(state, part).parameters())).data[0] = float("nan")

    with pytest.raises(TrainingError, match=rf"weights of the {part} not finite at step 6, "):
        run(smoke("sr-ugan"), tmp_path, on_sample=poison)
    assert saved(tmp_path)["step"] == 3
    run(smoke("sr-ugan"), tmp_path)  # and it can go on from there
    assert saved(tmp_path)["step"] == 6
