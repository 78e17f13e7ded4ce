"""The discriminators: SRGAN's (the report's Figure 1), SR-UGAN's (its Figure 2), and a U-Net.

Every discriminator takes a batch in [-1, 1] of any size and returns logits: no sigmoid and no
softmax inside, the losses apply them.
"""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from srkit.models import conv


class SRGANDiscriminator(nn.Module):
    """SRGAN's discriminator (Figure 1, bottom): eight convolutions, then two dense layers.

    Average pooling to 6x6 before the dense layers makes it size-free; at SRGAN's own 96x96 crops
    that pooling changes nothing. 23.6 M parameters.

    Shape: (B, 3, H, W) in [-1, 1] -> validity logits (B,).
    """

    def __init__(self, width: int = 64):
        super().__init__()
        layers: list[nn.Module] = [conv(3, width), nn.LeakyReLU(0.2)]
        plan = [(1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2)]  # (width multiple, stride)
        channels = width
        for multiple, stride in plan:
            layers += [
                conv(channels, multiple * width, stride=stride),
                nn.BatchNorm2d(multiple * width),
                nn.LeakyReLU(0.2),
            ]
            channels = multiple * width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(6)
        self.dense = nn.Sequential(
            nn.Linear(channels * 36, 16 * width), nn.LeakyReLU(0.2), nn.Linear(16 * width, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        x = self.features(image)  # (B, 8*width, H/16, W/16)
        x = self.pool(x).flatten(1)  # (B, 8*width*6*6)
        return self.dense(x).squeeze(1)  # (B,)


class DownBlock(nn.Module):
    """Two 3x3 convolutions with LeakyReLU plus a 1x1 shortcut, then 2x2 average pooling."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.body = nn.Sequential(
            conv(channels_in, channels_out), nn.LeakyReLU(0.2),
            conv(channels_out, channels_out), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.shortcut = conv(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.shortcut(x) + self.body(x), 2, ceil_mode=True)


class SRUGANDiscriminator(nn.Module):
    """SR-UGAN's discriminator (Figure 2, right): real or fake, and which class (section 4.2).

    Six residual stages, each at half the size of the one before, global average pooling, a dense
    layer, then a validity head and a class head (Odena et al., 2016). 16.8 M parameters at
    1,000 classes.

    Shape: (B, 3, H, W) in [-1, 1] -> validity logits (B,) and class logits (B, classes).
    """

    def __init__(self, classes: int = 1000, width: int = 64):
        super().__init__()
        widths = [width * n for n in (1, 1, 2, 4, 8, 8)]
        self.stem = nn.Sequential(conv(3, width), nn.LeakyReLU(0.2))
        pairs = zip([width, *widths[:-1]], widths, strict=True)
        self.stages = nn.Sequential(*[DownBlock(before, after) for before, after in pairs])
        self.last = nn.Sequential(conv(widths[-1], 16 * width), nn.LeakyReLU(0.2))
        self.dense = nn.Sequential(nn.Linear(16 * width, 16 * width), nn.LeakyReLU(0.2))
        self.validity = nn.Linear(16 * width, 1)
        self.classifier = nn.Linear(16 * width, classes)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.last(self.stages(self.stem(image)))  # (B, 16*width, H/64, W/64)
        x = self.dense(x.mean((2, 3)))  # (B, 16*width)
        return self.validity(x).squeeze(1), self.classifier(x)  # (B,), (B, classes)


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
            spectral_norm(conv(width, width, bias=False)), nn.LeakyReLU(0.2),
            spectral_norm(conv(width, width, bias=False)), nn.LeakyReLU(0.2),
            conv(width, 1),
        )  # fmt: skip

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


DISCRIMINATORS = ("srgan", "sr-ugan", "unet")


def build_discriminator(kind: str, classes: int = 1000, width: int = 64) -> nn.Module:
    """An untrained discriminator; only "sr-ugan" has a class head and looks at `classes`.

    Raises ValueError on an unknown kind.
    """
    if kind == "srgan":
        return SRGANDiscriminator(width)
    if kind == "sr-ugan":
        return SRUGANDiscriminator(classes, width)
    if kind == "unet":
        return UNetDiscriminator(width)
    raise ValueError(f"unknown discriminator {kind!r}; accepted: {', '.join(DISCRIMINATORS)}")
