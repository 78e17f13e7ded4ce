"""SR-UGAN: the report's Figure 2 and its section 4.2.

The generator takes a low-resolution batch, (B, 3, H, W) in [0, 1], of any H and W, and returns
(B, 3, scale * H, scale * W) in [-1, 1]. The discriminator takes a batch in [-1, 1] of any size and
returns logits: no sigmoid and no softmax inside, the losses apply them.
"""

import torch
from torch import Tensor, nn

from srkit.models.blocks import AttentionUNet, DenseBlock, DownBlock, UNetBlock, UpBlock, conv
from srkit.settings import check_scale


class SRUGANGenerator(nn.Module):
    """SR-UGAN's generator (Figure 2, left; section 4.2).

    An attention U-Net at the input's resolution, `blocks` dense blocks of `wide` channels, as many
    of `width` channels, one attention pixel shuffle for each factor of two, a last 9x9 convolution
    (SRGAN's) and tanh. The report has B = 8 blocks of each kind and does not give the higher width.

    Each addition to SRGAN can be left out, to see what it buys (an ablation): with `unet=()`
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
