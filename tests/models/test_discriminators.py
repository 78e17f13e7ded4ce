"""The discriminators: sizes in print, shapes, logits, and spectral normalisation that is saved."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrize import remove_parametrizations

from srkit import losses, models
from srkit.models import (
    SRGANDiscriminator,
    SRUGANDiscriminator,
    UNetDiscriminator,
    build_discriminator,
)
from srkit.settings import DISCRIMINATORS

SIZES = [(96, 96), (33, 70), (16, 17), (1, 5), (1, 1), (7, 9)]


def on_meta(build, *args, **options) -> nn.Module:
    with torch.device("meta"):
        return build(*args, **options)


def spectral_layers(network) -> list[nn.Module]:
    return [m for m in network.modules() if hasattr(m, "parametrizations")]


def largest_singular_value(layer) -> float:
    """By LAPACK, not by the power iteration that is tested."""
    return float(torch.linalg.svdvals(layer.weight.detach().flatten(1).double())[0])


# --- Sizes in print ------------------------------------------------------------------------------


def test_discriminators_have_the_published_parameters():
    millions = {
        kind: models.count_parameters(build_discriminator(kind)) / 1e6 for kind in DISCRIMINATORS
    }
    assert millions["srgan"] == pytest.approx(23.6, abs=0.05)  # published to one decimal
    assert millions["sr-ugan"] == pytest.approx(16.8, abs=0.05)
    # Real-ESRGAN's by hand, the layers of its public code: 3x3, three 4x4 down, five 3x3, 3x3.
    f = 64
    first, last = 27 * f + f, 9 * f + 1
    down = 16 * (f * 2 * f + 2 * f * 4 * f + 4 * f * 8 * f)
    up = 9 * (8 * f * 4 * f + 4 * f * 2 * f + 2 * f * f)
    assert millions["unet"] * 1e6 == first + down + up + 2 * 9 * f * f + last == 4_376_897


def test_forward_costs_the_counted_operations():
    counted = models.count_gflop(on_meta(SRUGANDiscriminator), 256, 256)
    assert counted == pytest.approx(19, rel=0.01, abs=0.5)  # 1%, or the rounding to a unit


# --- Shapes and ranges ---------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_discriminators_take_any_size(height, width):
    image = torch.rand(2, 3, height, width) * 2 - 1
    validity, classes = SRUGANDiscriminator(classes=7, width=2)(image)
    assert validity.shape == (2,) and classes.shape == (2, 7)
    assert SRGANDiscriminator(width=2).eval()(image).shape == (2,)
    assert UNetDiscriminator(width=2)(image).shape == (2, 1, height, width)


def test_srgan_discriminator_pooling_changes_nothing_at_96():
    features = SRGANDiscriminator(width=2).eval().features(torch.rand(1, 3, 96, 96))
    assert features.shape[-2:] == (6, 6)
    assert torch.equal(nn.AdaptiveAvgPool2d(6)(features), features)


def test_discriminators_return_logits_not_probabilities():
    last = {
        "srgan": lambda network: network.dense[-1],
        "sr-ugan": lambda network: network.validity,
        "unet": lambda network: network.last[-1],
    }
    for kind in DISCRIMINATORS:
        network = build_discriminator(kind, width=2).eval()
        nn.init.constant_(last[kind](network).bias, -20)
        out = network(torch.rand(1, 3, 32, 32))
        assert (out[0] if isinstance(out, tuple) else out).max().item() < -10, kind


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_each_weight_of_a_discriminator_is_trained(kind):
    network = build_discriminator(kind, classes=3, width=2)
    out = network(torch.rand(2, 3, 33, 40))
    validity, classes = out if isinstance(out, tuple) else (out, None)
    labels = None if classes is None else torch.tensor([0, 2])
    terms = losses.discriminator_loss(validity, -validity, classes, labels)
    torch.stack(list(terms.values())).sum().backward()
    for name, weight in network.named_parameters():
        if weight.ndim > 1:  # a bias before BatchNorm has none
            assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(ValueError, match="'patch'; accepted: srgan, sr-ugan, unet"):
        build_discriminator("patch")


# --- The U-Net -----------------------------------------------------------------------------------


def test_unet_s_verdict_on_a_pixel_depends_on_the_pixels_around_it():
    network = UNetDiscriminator(width=4).eval()
    image = torch.rand(1, 3, 128, 128, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(image)[0, 0, 64, 64], image)
    touched = gradient[0].abs().sum(0) > 0
    assert touched[60:69, 60:69].all()
    assert not touched[:10, :10].any()  # nowhere near the whole picture


def test_unet_adds_the_skip_of_each_level():
    network = UNetDiscriminator(width=2).eval()
    seen = []
    network.last.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    for layer in network.up:
        nn.init.zeros_(remove_parametrizations(layer, "weight").weight)  # no norm of zeros
    image = torch.rand(1, 3, 16, 16)
    network(image)
    first = nn.functional.leaky_relu(network.first(image), 0.2)
    assert torch.equal(seen[0], first)  # the way up is shut: only the topmost skip is left


def test_padding_of_the_unet_leaves_aligned_pictures_alone():
    network = UNetDiscriminator(width=2).eval()
    cut = torch.rand(1, 3, 13, 15)
    repeated = nn.functional.pad(cut, (0, 1, 0, 3), mode="replicate")
    assert torch.equal(network(cut), network(repeated)[..., :13, :15])


def test_all_but_the_unet_s_first_and_last_layer_are_spectrally_normalised():
    network = UNetDiscriminator(width=4)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 10
    normalised = spectral_layers(network)
    assert {id(m) for m in convolutions} - {id(m) for m in normalised} == {
        id(network.first),
        id(network.last[-1]),
    }
    for layer in normalised:
        layer.parametrizations.weight.original.data.mul_(7)
    for _ in range(50):
        network(torch.rand(1, 3, 16, 16))  # power iteration, one step a forward
    for layer in normalised:
        assert largest_singular_value(layer) == pytest.approx(1, abs=0.02)  # 50 steps of it


def test_spectral_norm_moves_in_training_alone():
    network, image = UNetDiscriminator(width=2), torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        spectral_layers(network)[0].parametrizations.weight.original[0] += 3
    before = copy.deepcopy(network.state_dict())
    network.eval()(image)
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    network.train()(image)
    moved = {k for k, v in network.state_dict().items() if not torch.equal(before[k], v)}
    assert moved and all(name.endswith(("._u", "._v")) for name in moved)


def test_the_unet_goes_on_from_its_state_dict_bit_for_bit(tmp_path):
    def update(network, optimiser, image):
        optimiser.zero_grad()
        losses.validity_loss(network(image), real=True).backward()
        optimiser.step()

    images = torch.rand(4, 1, 3, 16, 16)
    network = UNetDiscriminator(width=2)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for image in images[:2]:
        update(network, optimiser, image)
    torch.save([network.state_dict(), optimiser.state_dict()], tmp_path / "half")
    again = UNetDiscriminator(width=2)
    optimiser_again = torch.optim.Adam(again.parameters(), 1e-2)
    weights, moments = torch.load(tmp_path / "half", weights_only=True)
    assert sum(name.endswith(("._u", "._v")) for name in weights) == 2 * 8
    again.load_state_dict(weights)
    optimiser_again.load_state_dict(moments)
    for image in images[2:]:
        update(network, optimiser, image)
        update(again, optimiser_again, image)
    for (name, value), other in zip(
        network.state_dict().items(), again.state_dict().values(), strict=True
    ):
        assert torch.equal(value, other), name


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_discriminators_train_under_bf16_autocast(kind, device):
    network = build_discriminator(kind, classes=3, width=4).to(device)
    image = torch.rand(2, 3, 32, 32, device=device)
    with torch.autocast(device, torch.bfloat16):
        out = network(image)
    validity = (out[0] if isinstance(out, tuple) else out).float()
    losses.validity_loss(validity, real=False).backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients and all(g.isfinite().all() and g.dtype == torch.float32 for g in gradients)


def test_quick_start_begins_with_no_opinion_and_learns_where_the_framework_s_weights_do_not():
    """Without BatchNorm the logits of different pictures would hardly differ; and by He's weights
    alone those of pictures that differ in faint detail would not."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(8, 3, 8, 8, generator=random) * 1.8 - 0.9
    even = F.interpolate(coarse, (64, 64), mode="bilinear")
    detail = 0.05 * torch.randn(even.shape, generator=random)
    pictures, real = torch.cat([even + detail, even]), torch.arange(16) < 8
    last = {}
    for name in ("framework", "He", "quick start"):
        torch.manual_seed(0)
        discriminator = models.build_discriminator("sr-ugan", classes=3, width=8)
        if name == "He":
            models.he_initialise(discriminator, slope=0.2)
        elif name == "quick start":
            models.quick_start_discriminator(discriminator)
            assert not any(logits.any() for logits in discriminator(pictures))
        optimiser = torch.optim.Adam(discriminator.parameters(), 4e-4)
        for _ in range(30):
            loss = F.binary_cross_entropy_with_logits(discriminator(pictures)[0], real.float())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        last[name] = loss.item() / math.log(2)
    assert last["framework"] > 0.99 and last["He"] > 0.9 and last["quick start"] < 0.5, last
