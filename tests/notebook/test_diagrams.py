"""Diagrams are read off the networks; attention weights are those that the layers apply."""

import torch

from srkit import models
from srkit.models import SRGANDiscriminator
from srkit.notebook import diagrams


def test_diagram_reads_srgan_as_published():
    labels = [(u.kind, u.label, u.repeats) for u in diagrams.units(models.SRGANGenerator())]
    assert labels == [
        ("convolution", "k9n64s1", 1),
        ("residual block", "k3n64s1", 16),
        ("convolution", "k3n64s1", 1),
        ("convolution", "k3n256s1", 1),
        ("pixel shuffle", "x2", 1),
        ("convolution", "k9n3s1", 1),
    ]
    discriminator = [u.label for u in diagrams.units(SRGANDiscriminator(), 96)]
    published = [f"k3n{width}s{stride}" for width in (64, 128, 256, 512) for stride in (1, 2)]
    assert discriminator[:8] == published and discriminator[-2:] == ["1024", "1"]


def test_diagram_shows_the_u_in_sr_ugan():
    units = diagrams.units(models.SRUGANGenerator())
    sizes = [u.size for u in units]
    assert min(sizes) == 1 / 8 and sizes[0] == 1 and sizes[-1] == 2
    dense = [(u.repeats, u.channels) for u in units if u.kind == "dense block"]
    assert dense == [(8, 96), (8, 64)]  # the caption of Figure 2: B = 8, 16 in all
    ends = [(units[a].size, units[b].size) for a, b in diagrams.skips(units)]
    assert ends == [(1 / 4, 1 / 4), (1 / 2, 1 / 2), (1, 1)]


def test_diagram_leaves_the_network_as_it_was():
    network = models.SRGANGenerator(blocks=1, width=8).train()
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())
    diagrams.units(network)
    after = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())
    assert network.training and hooks == after == 0


def test_attention_weights_are_those_that_the_layers_apply():
    torch.manual_seed(0)
    network = models.SRUGANGenerator(blocks=1, width=8, wide=8, unet=(8, 8))
    lr = torch.rand(3, 12, 10)
    weights = diagrams.attention_weights(network, lr)
    layers = {n: m for n, m in network.named_modules() if isinstance(m, models.Attention)}
    assert list(weights) == list(layers) and len(weights) == 4
    assert not any(m._forward_hooks for m in network.modules())
    entered = {}
    first = layers["unet.down.0.2"]
    first.register_forward_hook(lambda m, given, out: entered.update(x=given[0], out=out))
    with torch.no_grad():
        network(lr[None])
    channel, spatial = weights["unet.down.0.2"]
    torch.testing.assert_close(entered["x"] * channel[:, None, None] * spatial, entered["out"])
    figure = diagrams.attention_maps(lr, weights)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:3] == ["LR", "unet, down 1", "unet, down 2"]


def test_context_curves_are_gains_over_the_least_context():
    curves = {"srgan": {1: 30.0, 4: 31.5}, "sr-ugan": {1: 32.0, 4: 32.25}}
    (axes,) = diagrams.context_curves(curves).axes
    gains = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert gains["SRGAN"] == [0, 1.5] and gains["SR-UGAN"] == [0, 0.25]
