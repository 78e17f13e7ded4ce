"""One update: its terms, its averages, and the ways to compute it."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from smoke_runs import batch, photos, smoke
from torch import nn

from srkit import losses
from srkit.data import bicubic_lr, norm, to_tensor
from srkit.losses import Weights
from srkit.metrics import psnr
from srkit.training.recipes import RECIPES, recipe
from srkit.training.state import start
from srkit.training.step import (
    generate,
    generator_backward,
    shifted,
    train_step,
    update_ema,
    validate,
)

pytestmark = pytest.mark.usefixtures("tiny_vgg")


def test_the_learning_rate_steps_down_in_both_optimisers():
    state = start(smoke("srgan", iterations=4, drop_at=2, discriminator_rate=4.0), 3, device="cpu")
    lr, hr, labels = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 32, 32), torch.tensor([0, 1])
    rates = []
    for _ in range(4):
        train_step(state, lr, hr, labels)
        groups = (state.generator_optimiser, state.discriminator_optimiser)
        rates.append([optimiser.param_groups[0]["lr"] for optimiser in groups])
    assert np.allclose(rates, [[1e-3, 4e-3]] * 2 + [[1e-4, 4e-4]] * 2, rtol=1e-12)


def test_ema_is_the_running_average_batchnorm_included():
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    ema = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).eval()
    expected = {k: v.clone() for k, v in ema.state_dict().items()}
    for step in range(1, 31):
        with torch.no_grad():
            model[0].weight.add_(0.1)
        model(torch.randn(4, 1, 3, 3) + 5)
        update_ema(ema, model, step, decay=0.6)
        decay = min(0.6, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * value
    assert ema.state_dict()["1.num_batches_tracked"] == 30  # a count is copied, not averaged
    for name in ("0.weight", "0.bias", "1.weight", "1.running_mean", "1.running_var"):
        assert torch.allclose(ema.state_dict()[name], expected[name], rtol=1e-5), name  # float32
    assert float(ema[1].running_mean) > 3  # it did follow the input's mean of 5 or so


def test_a_training_step_moves_the_ema_s_batchnorm():
    state = start(smoke(), 3, device="cpu")
    before = state.ema.merge[1].running_mean.clone()
    train_step(state, torch.rand(2, 3, 16, 16), torch.rand(2, 3, 32, 32), torch.zeros(2))
    assert not torch.equal(before, state.ema.merge[1].running_mean)
    decay = 2 / 11  # at the first step, whatever the recipe's
    by_hand = decay * before + (1 - decay) * state.generator.merge[1].running_mean
    assert torch.allclose(state.ema.merge[1].running_mean, by_hand, rtol=1e-5)  # float32


def test_frozen_batchnorm_keeps_its_statistics_and_learns_its_weights():
    state = start(smoke(freeze_batchnorm=True), 3, device="cpu")
    layer = state.generator.merge[1]
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    lr, hr, labels = batch(2)
    expected = float(losses.mse_loss(state.generator.eval()(lr).detach(), hr))
    log = train_step(state, lr, hr, labels)
    assert float(log["mse"]) == pytest.approx(expected, rel=1e-5)  # as in evaluation mode
    same = {name: torch.equal(value, before[name]) for name, value in layer.state_dict().items()}
    assert same["running_mean"] and same["running_var"] and not same["weight"]


def test_sr_and_hr_are_shifted_alike_by_every_distance_and_their_far_edges_mirrored():
    state, seen = start(smoke("srgan", shift=2), 3, device="cpu"), set()
    row = torch.arange(100.0).reshape(1, 1, 10, 10)
    for state.step in range(100):
        moved = shifted(state, row)
        assert torch.equal(moved, shifted(state, row)) and moved.shape == row.shape
        up, left = divmod(int(moved[0, 0, 0, 0]), 10)
        below, right = torch.arange(10) + up, torch.arange(10) + left
        below, right = (torch.where(x > 9, 18 - x, x) for x in (below, right))  # 9 is the edge
        assert torch.equal(moved[0, 0], row[0, 0][below][:, right])
        seen.add((up, left))
    assert seen == {(up, left) for up in range(3) for left in range(3)}


def test_what_is_compared_pixel_by_pixel_is_not_shifted():
    lr, hr, labels = batch(2)
    logs = [
        train_step(start(smoke("sr-ugan", shift=shift), 3, device="cpu"), lr, hr, labels)
        for shift in (0, 8)
    ]
    assert logs[0]["mse"] == logs[1]["mse"] and logs[0]["content"] != logs[1]["content"]


@pytest.mark.parametrize(("parts", "detail"), [(1, False), (1, True), (2, False)])
def test_at_first_the_discriminator_learns_alone(parts, detail):
    plan = smoke("srgan", discriminator_alone=1, iterations=4, accumulate=parts)
    state = start(plan, 3, device="cpu")
    networks = {"G": state.generator, "D": state.discriminator}

    def changed() -> list[str]:
        before = {n: next(m.parameters()).detach().clone() for n, m in networks.items()}
        log = train_step(state, *batch(2), detail=detail)
        assert ("gradient_content" in log) == detail
        return [n for n, m in networks.items() if not torch.equal(next(m.parameters()), before[n])]

    assert [changed(), changed()] == [["D"], ["G", "D"]]


def test_srresnet_overfits_a_batch():
    plan = smoke(width=8, iterations=120, drop_at=100, learning_rate=1e-2)
    state = start(plan, 3, device="cpu")
    hr = torch.stack([to_tensor(photo) for photo in photos(2, 32).items])
    lr = bicubic_lr(hr, 2)
    history = [
        float(train_step(state, lr, norm(hr), torch.zeros(2))["mse"])
        for _ in range(plan.iterations)
    ]
    assert history[-1] < history[0] / 10


def test_class_loss_can_be_left_out():
    state = start(smoke("sr-ugan", class_loss=False), 3, device="cpu")
    batch = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 32, 32), torch.tensor([0, 1])
    assert "class" not in train_step(state, *batch)


def test_class_loss_into_the_generator_is_a_switch():
    plan = smoke("sr-ugan", weights=Weights(1, 1, 1e-3, classes=1e-3))
    log = train_step(start(plan, 3, device="cpu"), *batch(2), detail=True)
    assert float(log["classes"]) > 0 and float(log["gradient_classes"]) > 0


def test_the_generator_s_update_leaves_no_gradient_in_the_discriminator():
    state = start(smoke("sr-ugan"), 3, device="cpu")
    lr, hr, labels = batch(2)
    generator_backward(state, generate(state, lr), lr, hr, labels, 1.0, False)
    assert all(p.grad is None for p in state.discriminator.parameters())


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("preset", ["smoke"])
def test_every_term_of_every_recipe_has_a_live_gradient(name, preset):
    plan = recipe(name, preset, batch=4, accumulate=1)
    state = start(plan, 3, device="cpu")
    hr = torch.stack([to_tensor(photo) for photo in photos(4, 32).items])
    lr, labels = bicubic_lr(hr, plan.scale), torch.arange(4) % 3
    log = train_step(state, lr, norm(hr), labels, detail=True)
    wanted = {term for term, weight in asdict(plan.weights).items() if weight}
    norms = {k.removeprefix("gradient_"): float(v) for k, v in log.items() if "gradient_" in k}
    assert set(norms) == wanted
    assert all(value > 0 for value in norms.values()), norms
    grads = [p.grad for p in state.generator.parameters()]
    assert all(g is not None and g.abs().sum() > 0 for g in grads)
    if state.discriminator is not None:
        gone = [n for n, p in state.discriminator.named_parameters() if p.grad is None]
        assert plan.class_loss or all("classifier" in n for n in gone), gone


class Nearest(nn.Module):
    """Repeats pixels: a generator whose PSNR is known without it."""

    scale = 2

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, lr):
        assert not self.training
        return norm(F.interpolate(lr, scale_factor=2, mode="nearest"))


def test_validation_is_the_mean_psnr_of_each_prediction():
    hr = torch.stack([to_tensor(photo) for photo in photos(2, 32).items])
    generator = Nearest().train()
    mean, sr = validate(generator, hr, 2)
    repeated = bicubic_lr(hr, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.allclose(sr, repeated, atol=1e-6)  # float32 rounding of Norm and back
    assert mean == pytest.approx((psnr(repeated[0], hr[0]) + psnr(repeated[1], hr[1])) / 2)
    assert generator.training


# --- Ways to compute the same update -------------------------------------------------------------


def test_a_batch_in_parts_is_the_batch_at_once():
    logs, states = [], []
    for parts in (1, 2, 3):  # 3 gives parts of 2 and 2: chunks are of ceil(4 / 3)
        state = start(smoke("sr-ugan", batch=4, accumulate=parts), 3, device="cpu")
        logs.append(train_step(state, *batch()))
        states.append(state)
    for other, state in zip(logs[1:], states[1:], strict=True):
        for name, value in logs[0].items():
            assert float(other[name]) == pytest.approx(float(value), rel=1e-4), name  # float32
        for p, q in zip(
            states[0].generator.parameters(), state.generator.parameters(), strict=True
        ):
            assert torch.allclose(p, q, atol=2e-4)  # Adam's first step is 1e-3 by sign


@pytest.mark.parametrize("changes", [{}, {"accumulate": 2}])
def test_a_compiled_update_may_be_looked_into_at_any_step(changes, monkeypatch):
    """A run that is resumed compiles at a step that is not logged, and logs a later one."""
    own = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda m: own(m, backend="aot_eager"))
    plan = smoke("srgan", batch=2, compile=True, weights=Weights(), **changes)
    state = start(plan, 3, "untrained", "cpu")
    for detail in (False, True):
        log = train_step(state, *batch(2), detail)
    eager = start(replace(plan, compile=False), 3, "untrained", "cpu")
    for detail in (False, True):
        expected = train_step(eager, *batch(2), detail)
    for name, value in expected.items():
        assert float(log[name]) == pytest.approx(float(value), rel=1e-3, abs=1e-5), name


def test_bf16_starts_where_float32_does():
    logs = []
    for precision in ("fp32", "bf16"):
        state = start(smoke("sr-ugan", precision=precision), 3, device="cpu")
        logs.append(train_step(state, *batch(2)))
        assert all(p.dtype == torch.float32 for p in state.generator.parameters())
    for name, value in logs[0].items():
        assert float(logs[1][name]) == pytest.approx(float(value), rel=0.05, abs=1e-3), name
