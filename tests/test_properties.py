"""What holds for any size, batch and value: networks, methods and losses under hypothesis."""

import numpy as np
import pytest
import torch
from PIL import Image

from srkit import losses
from srkit.fid.frechet import Statistics
from srkit.models import build_discriminator, build_generator
from srkit.upscale import upscale

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings, strategies  # noqa: E402

SIDES = strategies.integers(1, 40)
LOGITS = strategies.lists(strategies.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=6)
seldom = settings(max_examples=15, deadline=None, derandomize=True)
often = settings(max_examples=60, deadline=None, derandomize=True)

GENERATORS = {
    "srresnet": {"blocks": 1, "width": 4},
    "sr-ugan": {"blocks": 1, "width": 4, "wide": 4, "unet": [4, 6, 8]},
}


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("model", GENERATORS)
def test_a_generator_gives_scale_times_any_size_and_a_batch_is_its_pictures(model, scale):
    generator = build_generator({"model": model, "scale": scale} | GENERATORS[model]).eval()

    @seldom
    @given(SIDES, SIDES, strategies.integers(1, 3))
    def holds(height, width, batch):
        lr = torch.rand(batch, 3, height, width)
        with torch.no_grad():
            sr = generator(lr)
            alone = torch.cat([generator(one[None]) for one in lr])
        assert sr.shape == (batch, 3, scale * height, scale * width) and sr.isfinite().all()
        torch.testing.assert_close(sr, alone, rtol=1e-4, atol=1e-5)

    holds()


@pytest.mark.parametrize("kind", ["srgan", "sr-ugan", "unet"])
def test_a_discriminator_judges_any_size_finitely(kind):
    discriminator = build_discriminator(kind, 3, 4).eval()

    @seldom
    @given(strategies.integers(16, 48), strategies.integers(16, 48))
    def holds(height, width):
        said = discriminator(torch.rand(2, 3, height, width) * 2 - 1)
        for logits in said if isinstance(said, tuple) else (said,):
            assert logits.shape[0] == 2 and logits.isfinite().all()

    holds()


@seldom
@given(SIDES, SIDES, strategies.integers(1, 7), strategies.sampled_from(["L", "RGB", "RGBA"]))
def test_an_interpolation_gives_scale_times_any_size_within_the_range(height, width, scale, mode):
    picture = Image.new(
        mode, (width, height), 77 if mode == "L" else (3, 77, 251, 128)[: len(mode)]
    )
    for method in ("nearest", "bilinear", "bicubic"):
        sr = upscale(picture, method, scale)
        assert sr.size == (scale * width, scale * height)
        assert sr.getextrema() == picture.getextrema()  # a constant stays itself


@often
@given(LOGITS, strategies.booleans())
def test_adversarial_losses_and_their_gradients_are_finite_at_any_logits(values, real):
    logits = torch.tensor(values).view(-1, 1).requires_grad_()
    for loss in (losses.validity_loss(logits, real), losses.adversarial_loss(logits)):
        assert loss.isfinite() and loss >= 0
        loss.backward()
    assert logits.grad.isfinite().all()


@often
@given(strategies.floats(-1, 1), strategies.floats(-1, 1), SIDES, SIDES)
def test_mse_is_symmetric_zero_on_itself_and_the_squared_shift(a, b, height, width):
    one, other = (torch.full((2, 3, height, width), value) for value in (a, b))
    assert losses.mse_loss(one, one) == 0
    assert losses.mse_loss(one, other) == losses.mse_loss(other, one)
    assert float(losses.mse_loss(one, other)) == pytest.approx((a - b) ** 2, rel=1e-4, abs=1e-6)


@often
@given(strategies.lists(strategies.integers(1, 7), min_size=2, max_size=5), strategies.randoms())
def test_statistics_merge_in_any_order(sizes, order):
    parts = [np.random.default_rng(i).normal(3, 2, (n, 4)) for i, n in enumerate(sizes)]
    whole = Statistics.of(np.concatenate(parts))
    order.shuffle(parts)
    merged = Statistics.of(parts[0])
    for part in parts[1:]:
        merged = merged.merged(Statistics.of(part))
    assert merged.n == whole.n
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-10)
    np.testing.assert_allclose(merged.covariance, whole.covariance, rtol=1e-8, atol=1e-10)
