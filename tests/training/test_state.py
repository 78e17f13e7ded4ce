"""Networks and optimisers as a recipe begins, and what they may start from."""

import pytest
import torch
from smoke_runs import equal, photos, run, smoke

from srkit.models import build
from srkit.training import run_folder
from srkit.training.recipe import TrainingError
from srkit.training.state import start
from srkit.weights import WeightsError, load_generator, save_generator

pytestmark = pytest.mark.usefixtures("tiny_vgg")


def test_the_optimiser_is_adam_with_the_recipe_s_settings():
    state = start(smoke("sr-ugan"), 3, device="cpu")
    for optimiser in (state.generator_optimiser, state.discriminator_optimiser):
        assert type(optimiser) is torch.optim.Adam
        assert optimiser.param_groups[0]["betas"] == (0.9, 0.999)


def test_the_weights_depend_on_the_seed_alone():
    first, again, other = (
        start(smoke("sr-ugan", seed=seed), 3, device="cpu") for seed in (4, 4, 5)
    )
    assert equal(first.generator.state_dict(), again.generator.state_dict())
    assert equal(first.discriminator.state_dict(), again.discriminator.state_dict())
    assert not equal(first.generator.state_dict(), other.generator.state_dict())


@pytest.mark.parametrize(("bf16", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_the_precision_that_the_device_is_fast_in(bf16, precision, monkeypatch, tmp_path):
    monkeypatch.setattr("srkit.training.state.has_fast_bf16", lambda device: bf16)
    path = run(smoke(iterations=1, precision="auto"), tmp_path)
    assert load_generator(path)[1]["training"]["recipe"]["precision"] == precision


def test_native_4x_starts_from_a_2x_generator(tmp_path):
    path = run(smoke(iterations=1), tmp_path / "srresnet")
    state = start(smoke("srresnet", scale=4, start_from=str(path)), 3, device="cpu")
    trained, ours = load_generator(path)[0].state_dict(), state.generator.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in trained.items())
    assert {k.split(".")[0] for k in ours if k not in trained} == {"upsample"}


def test_srgan_starts_from_an_srresnet_checkpoint(tmp_path):
    path = run(smoke(), tmp_path / "srresnet")
    state = start(smoke("srgan", start_from=str(path)), 3, device="cpu")
    trained, facts = load_generator(path)
    assert equal(dict(state.generator.state_dict()), dict(trained.state_dict()))
    assert equal(dict(state.ema.state_dict()), dict(trained.state_dict()))
    assert state.generator.training
    told = run_folder.describe(state, photos())["recipe"]["start_from"]
    assert told == f"srresnet, sha256 {facts['sha256'][:12]}"  # what it is, not where it lies


def test_srgan_refuses_another_start(tmp_path):
    path = run(smoke("sr-ugan"), tmp_path / "sr-ugan")
    with pytest.raises(WeightsError, match="sr-ugan at 2x, not model srresnet"):
        start(smoke("srgan", start_from=str(path)), 3, device="cpu")


def test_a_start_of_another_width_or_scale_is_refused(tmp_path):
    plan = smoke(width=4)
    network = build.build_generator(plan.settings())
    path = save_generator(tmp_path / "narrow.safetensors", network, plan.settings(), {})
    with pytest.raises(TrainingError, match="another width or depth"):
        start(smoke("srgan", start_from=str(path)), 3, device="cpu")
    plan = smoke(scale=4)
    network = build.build_generator(plan.settings())
    path = save_generator(tmp_path / "four.safetensors", network, plan.settings(), {})
    with pytest.raises(WeightsError, match="4x, not scale 2"):
        start(smoke("srgan", start_from=str(path)), 3, device="cpu")
