"""SRGAN: Ledig et al. (2016), the report's Figure 1.

The generator takes a low-resolution batch, (B, 3, H, W) in [0, 1], of any H and W, and returns
(B, 3, scale * H, scale * W), trained towards the range [-1, 1]. The discriminator takes a batch in
[-1, 1] of any size and returns logits: no sigmoid inside, the losses apply it.
"""

from torch import Tensor, nn

from srkit.models.blocks import ResidualBlock, conv
from srkit.settings import check_scale


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
