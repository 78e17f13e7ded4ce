"""The generators: published counts, the report's receptive field, shapes, and that they learn."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from srkit import models
from srkit.data import bicubic_lr, norm
from srkit.losses import mse_loss


def on_meta(build, *args, **options) -> nn.Module:
    """A network without memory for its weights: enough to count parameters and operations."""
    with torch.device("meta"):
        return build(*args, **options)


def tiny_srgan(scale=2, **options):
    return models.SRGANGenerator(scale, **{"blocks": 1, "width": 4} | options)


def tiny_srugan(scale=2, **options):
    return models.SRUGANGenerator(
        scale, **{"blocks": 1, "width": 4, "wide": 6, "unet": (4, 6, 8)} | options
    )


# --- Sizes in print ------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "millions"), [(2, 1.40), (4, 1.55)])
def test_srgan_generator_has_the_published_parameters(scale, millions):
    count = models.count_parameters(on_meta(models.SRGANGenerator, scale))
    assert count / 1e6 == pytest.approx(millions, abs=0.005)  # published to two decimals


def test_srgan_generator_parameters_by_hand():
    # Weights and biases layer by layer; BatchNorm has 2 a channel, PReLU 1.
    conv3, norm = 64 * 64 * 9 + 64, 2 * 64
    block = 2 * (conv3 + norm) + 1
    head, tail = 3 * 64 * 81 + 64 + 1, 64 * 3 * 81 + 3
    upsample = 64 * 256 * 9 + 256 + 1
    by_hand = head + 16 * block + conv3 + norm + upsample + tail
    assert models.count_parameters(on_meta(models.SRGANGenerator, 2)) == by_hand


@pytest.mark.parametrize(
    ("build", "options", "side", "gflop"),
    [
        (models.SRGANGenerator, {"scale": 2}, 128, 47),
        (models.SRUGANGenerator, {"scale": 2, "wide": 96}, 128, 215),
        (models.SRUGANGenerator, {"scale": 2, "wide": 128}, 128, 316),
    ],
)
def test_forward_costs_the_counted_operations(build, options, side, gflop):
    counted = models.count_gflop(on_meta(build, **options), side, side)
    # 1%, or the half unit to which the figure was rounded
    assert counted == pytest.approx(gflop, rel=0.01, abs=0.5)


def test_flop_count_of_one_convolution_in_closed_form():
    convolution = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    assert models.count_gflop(convolution, 10, 20) == 2 * 3 * 8 * 9 * 10 * 20 / 1e9


@pytest.mark.parametrize(("wide", "millions"), [(96, 12.3), (128, 15.4)])
def test_srugan_generator_is_near_the_prototype_in_size(wide, millions):
    # The figures are those of a prototype whose last layers differed, hence 5%.
    count = models.count_parameters(on_meta(models.SRUGANGenerator, 2, wide=wide))
    assert count / 1e6 == pytest.approx(millions, rel=0.05)


def test_frozen_parameters_are_not_counted():
    layer = nn.Linear(3, 5)
    layer.bias.requires_grad_(False)
    assert models.count_parameters(layer) == 15


# --- Shapes and ranges ---------------------------------------------------------------------------

SIZES = [(37, 53), (1, 1), (1, 9), (7, 1), (16, 16)]


@pytest.mark.parametrize("build", [tiny_srgan, tiny_srugan])
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_output_is_exactly_scale_times_the_input(build, scale, height, width):
    generator = build(scale).eval()
    sr = generator(torch.rand(2, 3, height, width))
    assert sr.shape == (2, 3, scale * height, scale * width)


@pytest.mark.parametrize("unet", [(4,), (4, 5), (3, 4, 5, 6)])
def test_unet_may_have_any_number_of_levels(unet):
    sr = tiny_srugan(unet=unet)(torch.rand(1, 3, 11, 13))
    assert sr.shape == (1, 3, 22, 26)


@pytest.mark.parametrize("build", [models.SRGANGenerator, models.SRUGANGenerator])
@pytest.mark.parametrize("scale", [0, 1, 3, 8, -2])
def test_another_scale_is_refused_by_name(build, scale):
    with pytest.raises(ValueError, match=f"2 or 4, not {scale}"):
        build(scale, blocks=1, width=2)


def test_srugan_output_is_within_the_range_of_norm():
    generator = tiny_srugan()
    nn.init.constant_(generator.tail.bias, 3)  # tanh has work to do
    sr = generator(torch.rand(1, 3, 8, 8) * 50 - 25)
    assert float(sr.detach().min()) >= -1 and float(sr.detach().max()) <= 1


def test_padding_for_the_unet_leaves_aligned_inputs_alone():
    unet = models.AttentionUNet((4, 6, 8))
    image = torch.rand(1, 3, 12, 16)
    cut = image[..., :11, :15]
    repeated = torch.nn.functional.pad(cut, (0, 1, 0, 1), mode="replicate")
    assert torch.equal(unet(cut), unet(repeated)[..., :11, :15])
    assert unet(image).shape == (1, 8, 12, 16)


# --- Blocks --------------------------------------------------------------------------------------


def test_attention_only_ever_shrinks():
    x = torch.randn(2, 16, 5, 6)
    weighted = models.Attention(16)(x)
    assert weighted.shape == x.shape
    assert (weighted.abs() <= x.abs()).all()
    assert (weighted * x >= 0).all()  # a weight in (0, 1) keeps the sign


def test_attention_with_zero_weights_halves_twice():
    attention = models.Attention(8)
    for parameter in attention.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(1, 8, 3, 3)
    assert torch.allclose(attention(x), x / 4)  # sigmoid(0) for channels, then for pixels


def test_attention_sees_the_whole_image():
    attention = models.Attention(4)
    x = torch.rand(1, 4, 40, 40)
    far = x.clone()
    far[..., -1, -1] += 5
    assert not torch.equal(attention(x)[..., 0, 0], attention(far)[..., 0, 0])


def test_attention_matches_its_definition_written_out(rng):
    attention = models.Attention(8, reduction=4)
    x = torch.rand(1, 8, 4, 4)
    first, _, second = attention.mlp

    def mlp(vector):  # (8,)
        hidden = first.weight.flatten(1) @ vector + first.bias
        return second.weight.flatten(1) @ (hidden * torch.sigmoid(hidden)) + second.bias

    pixels = x[0].flatten(1)  # (8, 16)
    channel = torch.sigmoid(mlp(pixels.mean(1)) + mlp(pixels.max(1).values))
    y = x * channel.view(1, 8, 1, 1)
    stacked = torch.stack([y.mean(1), y.max(1).values], 1)
    spatial = torch.sigmoid(torch.conv2d(stacked, attention.spatial.weight, padding=3))
    assert torch.allclose(attention(x), y * spatial, atol=1e-6)  # float32 rounding


def test_dense_block_sees_all_that_came_before():
    widths = [layer.in_channels for layer in models.DenseBlock(6, 6).convs]
    assert widths == [6, 12, 18]
    widths = [layer.in_channels for layer in models.DenseBlock(4, 6).convs]
    assert widths == [4, 10, 16]


@pytest.mark.parametrize("channels_in", [4, 6])
def test_dense_block_adds_to_its_shortcut(channels_in):
    block = models.DenseBlock(channels_in, 6)
    x = torch.randn(1, channels_in, 5, 5)
    nn.init.zeros_(block.convs[-1].weight)
    nn.init.zeros_(block.convs[-1].bias)
    assert torch.equal(block(x), block.shortcut(x))
    assert isinstance(block.shortcut, nn.Identity) == (channels_in == 6)


def test_srgan_s_long_skip_carries_the_first_features_past_the_blocks():
    generator = tiny_srgan(blocks=2).eval()
    nn.init.zeros_(generator.merge[1].weight)  # the branch of the blocks is shut
    lr = torch.rand(1, 3, 6, 7)
    expected = generator.tail(generator.upsample(generator.head(lr)))
    assert torch.equal(generator(lr), expected)


def test_the_unet_concatenates_the_skip_of_each_level():
    unet = models.AttentionUNet((4, 6))
    for parameter in unet.up.parameters():
        nn.init.zeros_(parameter)  # the way up is shut
    image = torch.rand(1, 3, 8, 8)
    features = unet(image)  # (1, 4 + 4, 8, 8)
    assert torch.equal(features[:, :4], torch.zeros(1, 4, 8, 8))
    assert torch.equal(features[:, 4:], unet.down[0](image))


def test_quick_start_makes_residual_branches_the_identity():
    srgan, srugan = tiny_srgan(), tiny_srugan()
    models.quick_start(srgan)
    models.quick_start(srugan)
    x = torch.randn(1, 4, 6, 6)
    assert torch.equal(srgan.blocks(x), x)
    assert torch.equal(srgan.eval().blocks(x), x)
    for block in (*srugan.wide_blocks, *srugan.blocks):
        x = torch.randn(1, block.convs[0].in_channels, 6, 6)
        assert torch.equal(block(x), block.shortcut(x))


@pytest.mark.parametrize("build", [tiny_srgan, tiny_srugan])
@pytest.mark.parametrize("scale", [2, 4])
def test_quick_start_makes_each_shuffle_repeat_pixels(build, scale):
    generator = build(scale)
    models.quick_start(generator)
    x = torch.randn(1, 4, 5, 6)
    parts = 1 if build is tiny_srugan else 3  # one UpBlock, or conv, shuffle, PReLU
    for first in range(0, len(generator.upsample), parts):
        shuffle = generator.upsample[first : first + parts]
        y = shuffle(x)  # (1, 4, 10, 12)
        repeated = y[..., ::2, ::2].repeat_interleave(2, -2).repeat_interleave(2, -1)
        assert torch.allclose(y, repeated, atol=1e-6)  # float32 rounding


def test_without_quick_start_a_shuffle_has_its_checkerboard():
    y = tiny_srgan().upsample[:2](torch.randn(1, 4, 5, 6))
    assert not torch.allclose(y[..., ::2, ::2], y[..., 1::2, 1::2])


# --- Learning ------------------------------------------------------------------------------------


@pytest.fixture
def one_thread():
    """Small networks are many times as fast without threads waiting for each other."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(count)


def decibel(picture, truth):
    """PSNR over all channels, both in [0, 1]."""
    return float(-10 * torch.log10(F.mse_loss(picture, truth)))


def test_srresnet_overfits_a_batch_to_40_db(one_thread):
    # Blobs of two pixels, so that LR does not hold them: they have to be learnt by heart.
    hr = F.interpolate(torch.rand(2, 3, 16, 16), size=32, mode="bicubic").clamp(0, 1)
    lr, target = bicubic_lr(hr, 2), norm(hr)
    generator, updates = models.SRGANGenerator(2, blocks=8, width=16), 200
    optimiser = torch.optim.Adam(generator.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=updates)
    for _ in range(updates):
        optimiser.zero_grad()
        mse_loss(generator(lr), target).backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        batch_statistics = (generator(lr) + 1) / 2
        running_statistics = (generator.eval()(lr) + 1) / 2
    enlarged = F.interpolate(lr, scale_factor=2, mode="bicubic")
    assert decibel(enlarged, hr) < 25
    assert decibel(batch_statistics, hr) > 40
    assert decibel(running_statistics, hr) > 40  # BatchNorm's averages have arrived, too


# --- Receptive field (section 4.2) ---------------------------------------------------------------


def test_srgan_receptive_radius_is_the_report_s_80_pixels():
    # One 9x9 and 34 3x3 kernels at low resolution, then one 9x9 at twice that.
    assert 2 * (4 + 34) + 4 == 80
    generator = models.SRGANGenerator(2, width=4)
    kernels = [m.kernel_size[0] for m in generator.modules() if isinstance(m, nn.Conv2d)]
    assert (kernels.count(3), kernels.count(9)) == (34, 2)
    assert models.receptive_radius(generator, 128) == 80


def test_srgan_receptive_radius_grows_with_blocks():
    # n blocks have 2n kernels, and the merge and the shuffle one each.
    for blocks in (0, 1, 3):
        by_hand = 2 * (4 + 2 * blocks + 2) + 4
        assert models.receptive_radius(tiny_srgan(blocks=blocks), 64) == by_hand


def test_srugan_sees_the_whole_input():
    generator = tiny_srugan(blocks=2)
    assert models.receptive_radius(generator, 128) >= 128 // 2 * 2
    touched = models.receptive_field(generator, 128) > 0
    assert touched.float().mean() > 0.99  # single pixels may cancel or underflow


def test_receptive_field_leaves_the_mode_as_it_was():
    generator = tiny_srgan()
    models.receptive_field(generator, 16)
    assert generator.training
    models.count_gflop(generator, 4, 4)
    assert generator.training


@pytest.mark.gpu
@pytest.mark.parametrize("build", [tiny_srgan, tiny_srugan])
def test_gpu_and_cpu_predict_the_same(build):
    generator = build().eval()
    lr = torch.rand(1, 3, 37, 53)
    on_cpu = generator(lr)
    on_gpu = generator.cuda()(lr.cuda()).cpu()
    assert torch.allclose(on_cpu, on_gpu, atol=2e-3)  # TF32 convolutions keep 10 bits


@pytest.mark.gpu
def test_receptive_radius_can_be_measured_on_the_gpu_too():
    assert models.receptive_radius(tiny_srgan().cuda(), 64) == 2 * (4 + 4) + 4
