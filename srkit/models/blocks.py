"""The blocks that the networks of Figures 1 and 2 are made of."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(channels_in: int, channels_out: int, kernel: int = 3, **options) -> nn.Conv2d:
    """A convolution that keeps height and width (at stride 1)."""
    return nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, **options)


def he_initialise(network: nn.Module, slope: float = 0.0, **options) -> None:
    """Weights that keep a signal's variance through LeakyReLUs of a slope; biases of zero (He et
    al., 2015). `options` are `nn.init.kaiming_normal_`'s."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, slope, **options)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


# --- SRGAN: Ledig et al. (2016), the report's Figure 1 -------------------------------------------


class ResidualBlock(nn.Module):
    """conv - BN - PReLU - conv - BN, added to its input (SRGAN section 2.1.1)."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            conv(width, width),
            nn.BatchNorm2d(width),
            nn.PReLU(),
            conv(width, width),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


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


class DownBlock(nn.Module):
    """Two 3x3 convolutions with LeakyReLU plus a 1x1 shortcut, then 2x2 average pooling."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.body = nn.Sequential(
            conv(channels_in, channels_out),
            nn.LeakyReLU(0.2),
            conv(channels_out, channels_out),
            nn.LeakyReLU(0.2),
        )
        self.shortcut = conv(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.shortcut(x) + self.body(x), 2, ceil_mode=True)
