"""The generators: SRGAN's (the report's Figure 1, top) and SR-UGAN's (its Figure 2, left).

Every generator takes a low-resolution batch, (B, 3, H, W) in [0, 1], of any H and W, and returns
(B, 3, scale * H, scale * W), trained towards the range [-1, 1].
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def conv(channels_in: int, channels_out: int, kernel: int = 3, **options) -> nn.Conv2d:
    """A convolution that keeps height and width (at stride 1)."""
    return nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, **options)


def check_scale(scale: int) -> int:
    """Return the number of x2 stages. Raises ValueError unless scale is 2 or 4."""
    if scale not in (2, 4):
        raise ValueError(f"scale must be 2 or 4, not {scale}")
    return {2: 1, 4: 2}[scale]


# --- SRGAN: Ledig et al. (2016), the report's Figure 1 -------------------------------------------


class ResidualBlock(nn.Module):
    """conv - BN - PReLU - conv - BN, added to its input (SRGAN section 2.1.1)."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            conv(width, width), nn.BatchNorm2d(width), nn.PReLU(),
            conv(width, width), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class SRGANGenerator(nn.Module):
    """SRGAN's generator, also called SRResNet when trained on MSE alone (Figure 1, top).

    One 9x9 convolution, `blocks` residual blocks, a long skip, one pixel shuffle for each factor
    of two, one 9x9 convolution to RGB. 1.40 M parameters at 2x, 1.55 M at 4x.

    Shape: (B, 3, H, W) in [0, 1] -> (B, 3, scale*H, scale*W).
    """

    def __init__(self, scale: int = 2, blocks: int = 16, width: int = 64):
        super().__init__()
        stages = check_scale(scale)
        self.scale = scale
        self.head = nn.Sequential(conv(3, width, 9), nn.PReLU())
        self.blocks = nn.Sequential(*[ResidualBlock(width) for _ in range(blocks)])
        self.merge = nn.Sequential(conv(width, width), nn.BatchNorm2d(width))
        self.upsample = nn.Sequential()
        for _ in range(stages):
            self.upsample.extend([conv(width, 4 * width), nn.PixelShuffle(2), nn.PReLU()])
        self.tail = conv(width, 3, 9)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.head(lr)  # (B, width, H, W)
        x = x + self.merge(self.blocks(x))  # (B, width, H, W), the long skip
        x = self.upsample(x)  # (B, width, scale*H, scale*W)
        return self.tail(x)  # (B, 3, scale*H, scale*W)


# --- SR-UGAN: the report's Figure 2 --------------------------------------------------------------


class Attention(nn.Module):
    """Squeeze-and-excitation, then spatial attention (the caption of Figure 2).

    Channel weights: a shared MLP on the average- and the max-pooled channel vectors, summed,
    sigmoid. Spatial weights: a 7x7 convolution over each pixel's mean and maximum over the
    channels, sigmoid. The form is that of Woo et al. (2018), CBAM.

    Shape: (B, C, H, W) -> (B, C, H, W).
    """

    def __init__(self, channels: int, reduction: int = 8):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.SiLU(), nn.Conv2d(hidden, channels, 1)
        )
        self.spatial = conv(2, 1, 7, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.mlp(x.mean((2, 3), keepdim=True)) + self.mlp(x.amax((2, 3), keepdim=True))
        x = x * torch.sigmoid(pooled)  # (B, C, 1, 1) weights
        stacked = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)  # (B, 2, H, W)
        return x * torch.sigmoid(self.spatial(stacked))  # (B, 1, H, W) weights


class UNetBlock(nn.Module):
    """conv - swish - conv - swish, added to the input (1x1 where the width changes)."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.body = nn.Sequential(
            conv(channels_in, channels_out), nn.SiLU(), conv(channels_out, channels_out), nn.SiLU()
        )
        same = channels_in == channels_out
        self.shortcut = nn.Identity() if same else conv(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.body(x)


class UpBlock(nn.Module):
    """conv - swish - attention - pixel shuffle: twice the size, a quarter of `channels` out."""

    def __init__(self, channels_in: int, channels: int, attention: bool = True):
        super().__init__()
        self.conv = conv(channels_in, channels)
        self.attention = Attention(channels) if attention else nn.Identity()
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.attention(F.silu(self.conv(x))))


class AttentionUNet(nn.Module):
    """The U-Net at the base of SR-UGAN's generator (section 4.2), with attention at each level.

    `widths` are the channels from the input's resolution down; each level has two residual blocks
    and attention, 2x2 max pooling lies between levels, pixel shuffle leads back up, and the skip
    is concatenated. Inputs whose sides are no multiple of the U-Net's stride are padded on the
    right and the bottom by repeating the edge, and the output is cropped back.

    Shape: (B, 3, H, W) -> (B, 2 * widths[0], H, W).
    """

    def __init__(self, widths: tuple[int, ...] = (64, 96, 128, 256), attention: bool = True):
        super().__init__()
        self.stride = 2 ** (len(widths) - 1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        channels = 3
        for width in widths:
            level = nn.Sequential(UNetBlock(channels, width), UNetBlock(width, width))
            self.down.append(level.append(Attention(width)) if attention else level)
            channels = width
        for width in reversed(widths[:-1]):
            self.up.append(UpBlock(channels, 4 * width, attention))
            channels = 2 * width  # after concatenation with the skip
        self.channels_out = channels

    def forward(self, lr: Tensor) -> Tensor:
        height, width = lr.shape[-2:]
        pad = (0, -width % self.stride, 0, -height % self.stride)
        x = F.pad(lr, pad, mode="replicate") if any(pad) else lr
        skips: list[Tensor] = []
        for level in self.down:
            x = level(F.max_pool2d(x, 2) if skips else x)  # (B, widths[i], H / 2^i, W / 2^i)
            skips.append(x)
        skips.pop()  # the lowest level is the input of the way up
        for level in self.up:
            x = torch.cat([level(x), skips.pop()], 1)  # (B, 2 * widths[i], H / 2^i, W / 2^i)
        return x[..., :height, :width]


class DenseBlock(nn.Module):
    """Three densely connected 3x3 convolutions, added to the input (section 4.2).

    Each convolution sees the block's input and all the outputs before it (Huang et al., 2016):
    w, 2w and 3w channels where the width w stays, and a 1x1 shortcut where it changes.

    Shape: (B, channels_in, H, W) -> (B, width, H, W).
    """

    def __init__(self, channels_in: int, width: int):
        super().__init__()
        self.convs = nn.ModuleList([conv(channels_in + n * width, width) for n in range(3)])
        same = channels_in == width
        self.shortcut = nn.Identity() if same else conv(channels_in, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.convs:
            features.append(F.silu(layer(torch.cat(features, 1))))
        return self.shortcut(x) + features[-1]


class SRUGANGenerator(nn.Module):
    """SR-UGAN's generator (Figure 2, left; section 4.2).

    An attention U-Net at the input's resolution, `blocks` dense blocks of `wide` channels, as many
    of `width` channels, one attention pixel shuffle for each factor of two, a last 9x9 convolution
    (SRGAN's) and tanh. The report has B = 8 blocks of each kind and does not give the higher width.

    Each addition to SRGAN can be left out, to see what it buys (`srkit.ablation`): with `unet=()`
    one 9x9 convolution takes the U-Net's place, as in SRGAN; without `attention` none is left in
    U-Net and upsampling; without `dense` the blocks are residual, of two convolutions.

    Shape: (B, 3, H, W) in [0, 1] -> (B, 3, scale*H, scale*W) in [-1, 1].
    """

    def __init__(
        self,
        scale: int = 2,
        blocks: int = 8,
        width: int = 64,
        wide: int = 96,
        unet: tuple[int, ...] = (64, 96, 128, 256),
        attention: bool = True,
        dense: bool = True,
    ):
        super().__init__()
        stages = check_scale(scale)
        self.scale = scale
        base = AttentionUNet(tuple(unet), attention) if unet else None
        self.unet = base or nn.Sequential(conv(3, width, 9), nn.SiLU())
        first = [base.channels_out if base else width] + [wide] * blocks
        second = [wide] + [width] * blocks
        block = DenseBlock if dense else UNetBlock
        self.wide_blocks = nn.Sequential(*[block(c, wide) for c in first[:-1]])
        self.blocks = nn.Sequential(*[block(c, width) for c in second[:-1]])
        up = [UpBlock(width, 4 * width, attention) for _ in range(stages)]
        self.upsample = nn.Sequential(*up)
        self.tail = conv(width, 3, 9)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.unet(lr)  # (B, 2*unet[0], H, W)
        x = self.blocks(self.wide_blocks(x))  # (B, width, H, W)
        x = self.upsample(x)  # (B, width, scale*H, scale*W)
        return torch.tanh(self.tail(x))  # (B, 3, scale*H, scale*W)


@torch.no_grad()
def quick_start(generator: nn.Module) -> None:
    """Initial weights from which short trainings get further; not in the report.

    The branches of residual and dense blocks start at zero (Goyal et al., 2017), so that the blocks
    start as their skips alone, and the pixel shuffles of the upsampling head as nearest-neighbour
    enlargement (Aitken et al., 2017), so that there is no checkerboard to unlearn.
    """
    for name, module in generator.named_modules():
        if isinstance(module, ResidualBlock):
            module.body[-1].get_parameter("weight").zero_()
        elif isinstance(module, DenseBlock | UNetBlock) and not name.startswith("unet"):
            last = module.convs[-1] if isinstance(module, DenseBlock) else module.body[-2]
            for parameter in last.parameters():
                parameter.zero_()
    for part in generator.get_submodule("upsample").children():
        up = [part]
        if isinstance(part, UpBlock):
            up = [part.conv]
            up += [part.attention.mlp[-1]] if isinstance(part.attention, Attention) else []
        for convolution in up:
            if isinstance(convolution, nn.Conv2d):
                for values in convolution.parameters():
                    values.copy_(values[::4].repeat_interleave(4, 0))


# --- What the notebooks and tests ask of a network -----------------------------------------------


def count_parameters(model: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_gflop(model: nn.Module, height: int, width: int) -> float:
    """GFLOP (10^9 operations, a multiply-add is two) of one forward pass on one image."""
    parameter = next(model.parameters())
    image = torch.zeros(1, 3, height, width, device=parameter.device, dtype=parameter.dtype)
    training = model.training
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(image)
    model.train(training)
    return counter.get_total_flops() / 1e9


def receptive_field(generator: nn.Module, lr_size: int = 128) -> Tensor:
    """How strongly one output pixel depends on each input pixel (a gradient probe, section 4.2).

    The gradient of the output pixel nearest the middle, its channels summed, with respect to a
    constant grey input with a little noise, as absolute values summed over channels.

    Shape: -> (lr_size, lr_size), at the input's resolution.
    """
    training = generator.training
    generator.eval()
    noise = torch.Generator().manual_seed(0)
    lr = 0.5 + 0.1 * torch.randn(1, 3, lr_size, lr_size, generator=noise)
    lr = lr.to(next(generator.parameters()).device).requires_grad_()
    sr = generator(lr)
    middle = sr.shape[-1] // 2
    (gradient,) = torch.autograd.grad(sr[0, :, middle, middle].sum(), lr)
    generator.train(training)
    return gradient[0].abs().sum(0)


def receptive_radius(generator: nn.Module, lr_size: int = 128) -> int:
    """The farthest that the probe of `receptive_field` reaches from its output pixel, in output
    pixels (section 4.2 has 80 for SRGAN at 2x). At least `lr_size // 2 * scale` means all of it.
    """
    touched = receptive_field(generator, lr_size).nonzero()  # (N, 2)
    middle = lr_size // 2
    reach = max(middle - int(touched.min()), int(touched.max()) - middle)
    scale = generator.scale
    assert isinstance(scale, int)
    return scale * reach
