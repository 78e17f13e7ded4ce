"""The context probes, on networks whose context is known."""

import pytest
import torch
from torch import nn

from srkit.data import bicubic_lr
from srkit.evaluation import context
from srkit.metrics import psnr
from srkit.models import SRUGANGenerator, effective_radius, probes


class Blur(nn.Module):
    """Nearest-neighbour enlargement of a mean over (2 reach + 1)^2 LR pixels."""

    scale = 2

    def __init__(self, reach: int):
        super().__init__()
        self.mean = nn.AvgPool2d(2 * reach + 1, 1, reach, count_include_pad=False)
        self.one = nn.Parameter(torch.ones(()))

    def forward(self, lr):
        return nn.functional.interpolate(self.mean(lr * self.one), scale_factor=2) * 2 - 1


@pytest.mark.parametrize("reach", [0, 1, 4])
def test_a_box_has_the_box_as_its_field(reach):
    field = probes.gradient_map(Blur(reach), torch.rand(2, 3, 24, 24))
    expected = torch.zeros(24, 24)
    near = slice(12 - reach, 12 + reach + 1)
    expected[near, near] = 1 / (2 * reach + 1) ** 2
    assert torch.allclose(field, expected, atol=1e-7)
    assert effective_radius(field, 2, 1.0 - 1e-6) == 2 * reach


def test_context_stops_helping_where_the_network_stops_looking():
    hr = torch.rand(2, 3, 64, 64)
    narrow = context.psnr_with_context(Blur(1), hr, [1, 2, 8])
    assert narrow[0] == pytest.approx(narrow[1]) == pytest.approx(narrow[2])
    wide = context.psnr_with_context(Blur(4), hr, [1, 4, 8])
    assert wide[0] != pytest.approx(wide[1], abs=1e-3) and wide[1] == pytest.approx(wide[2])


def test_with_the_whole_photograph_it_is_the_prediction_s_psnr():
    hr = torch.rand(1, 3, 48, 48)
    network = SRUGANGenerator(blocks=1, width=4, wide=4, unet=(4, 4)).eval()
    (found,) = context.psnr_with_context(network, hr, [8], target=16)
    with torch.no_grad():
        sr = (network(bicubic_lr(hr, 2)[:, :, 0:24, 0:24]) + 1) / 2
    assert found == pytest.approx(
        psnr(sr[0, :, 16:32, 16:32].clamp(0, 1), hr[0, :, 16:32, 16:32], "y", 0)
    )


def test_a_radius_beyond_the_photograph_is_refused():
    with pytest.raises(ValueError, match="a radius of 9 LR pixels, the photographs allow 8"):
        context.psnr_with_context(Blur(1), torch.rand(1, 3, 48, 48), [9])
