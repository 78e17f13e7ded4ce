"""Generators in bf16, and between two others."""

import copy

import pytest
import torch

from srkit.models import (
    InBf16,
    SRGANGenerator,
    build_generator,
    interpolated,
    receptive_radius,
    with_early_tail,
)


def network(value: float, width: int = 4) -> SRGANGenerator:
    one = SRGANGenerator(blocks=1, width=width)
    for tensor in one.state_dict().values():
        tensor.fill_(value)
    return one


def test_weights_and_statistics_lie_in_between():
    mixed = interpolated(network(2.0), network(6.0), 0.25).state_dict()
    assert {float(v.unique()) for v in mixed.values() if v.is_floating_point()} == {3.0}
    assert any("running_var" in name for name in mixed)


def test_neither_network_is_changed():
    first, second = network(2.0), network(6.0)
    interpolated(first, second, 0.5)
    assert all((v == 2).all() for v in first.parameters())
    assert all((v == 6).all() for v in second.parameters())


def test_it_is_ready_to_be_used():
    assert not interpolated(network(0.0).train(), network(1.0).train(), 0.0).training


def test_other_sizes_and_shares_are_refused():
    with pytest.raises(ValueError, match="two architectures or sizes"):
        interpolated(network(0.0), network(0.0, width=8), 0.5)
    with pytest.raises(ValueError, match="0 to 1"):
        interpolated(network(0.0), network(0.0), torch.nan)


@pytest.mark.parametrize("model", ["srgan", "sr-ugan"])
@pytest.mark.parametrize("scale", [2, 4])
def test_the_last_convolution_before_the_shuffle_makes_the_same_picture(model, scale):
    settings = {"model": model, "scale": scale, "blocks": 1, "width": 4}
    generator = build_generator(settings).eval()
    early = with_early_tail(copied := copy.deepcopy(generator))
    assert early is copied
    lr = torch.rand(2, 3, 7, 10)  # of which the padding is a large part
    assert torch.allclose(early(lr), generator(lr), atol=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_in_bf16_it_trains_or_not_as_before_also_after_a_probe(training):
    inside = SRGANGenerator(blocks=1, width=4).train(training)
    receptive_radius(InBf16(inside), 32)
    assert {module.training for module in inside.modules()} == {training}
