"""Another project's generator, measured beside ours; `srkit.weights` loads its weights."""

import torch
from torch import Tensor, nn

from srkit.models.srgan import SRGANGenerator


class LeftthomasGenerator(SRGANGenerator):
    """The generator of github.com/leftthomas/SRGAN (MIT): SRGAN's with five blocks, PReLU for the
    BatchNorm before the long skip, and tanh at the end.

    Shape: (B, 3, H, W) in [0, 1] -> (B, 3, scale*H, scale*W) in [-1, 1].
    """

    def __init__(self, scale: int = 2):
        super().__init__(scale, blocks=5)
        self.merge[1] = nn.PReLU()

    def forward(self, lr: Tensor) -> Tensor:
        return torch.tanh(super().forward(lr))
