"""A discriminator that judges each pixel; not in the report."""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from srkit.models.blocks import conv


class UNetDiscriminator(nn.Module):
    """A U-Net that judges each pixel, with spectral normalisation; not in the report.

    Real-ESRGAN's (Wang et al., 2021, arXiv:2107.10833, section 3.3; layers as in its public code):
    three strided convolutions down, three up after bilinear enlargement, the skip added, and three
    more. All but the first and the last are spectrally normalised (Miyato et al., 2018): their
    largest singular value is kept at 1 by one step of power iteration at each forward in training
    mode, whose vectors are buffers and so travel with the state dict. 4.38 M parameters.

    Sides that are no multiple of 8 are padded on the right and the bottom by repeating the edge,
    and the logits are cropped back.

    Shape: (B, 3, H, W) in [-1, 1] -> validity logits (B, 1, H, W).
    """

    def __init__(self, width: int = 64):
        super().__init__()
        self.first = conv(3, width)
        down = [(n * width, 2 * n * width) for n in (1, 2, 4)]
        self.down = nn.ModuleList(
            spectral_norm(nn.Conv2d(few, many, 4, stride=2, padding=1, bias=False))
            for few, many in down
        )
        self.up = nn.ModuleList(
            spectral_norm(conv(many, few, bias=False)) for few, many in reversed(down)
        )
        self.last = nn.Sequential(
            spectral_norm(conv(width, width, bias=False)),
            nn.LeakyReLU(0.2),
            spectral_norm(conv(width, width, bias=False)),
            nn.LeakyReLU(0.2),
            conv(width, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        pad = (0, -width % 8, 0, -height % 8)
        x = F.pad(image, pad, mode="replicate") if any(pad) else image
        x = F.leaky_relu(self.first(x), 0.2)  # (B, width, H, W)
        skips: list[Tensor] = []
        for layer in self.down:
            skips.append(x)
            x = F.leaky_relu(layer(x), 0.2)  # (B, 2^i * width, H / 2^i, W / 2^i)
        for layer in self.up:
            skip = skips.pop()
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = F.leaky_relu(layer(x), 0.2) + skip
        return self.last(x)[..., :height, :width]  # (B, 1, H, W)
