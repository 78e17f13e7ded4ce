"""The report's equations 1 to 8, by its names. Images are in [-1, 1], discriminator outputs logits.

The report sums the discriminator's losses over the batch (equations 3, 6, 7); `reduction="sum"`
does that to the letter. The default takes the mean, so that the weights of equation 5 mean the
same at every batch size.

A discriminator may judge a picture as a whole, logits (B,), or by its pixels, (B, 1, H, W). The
mean is over all of them; with "sum", a picture counts as the mean over its pixels, and the
pictures of the batch are added up. So a picture weighs the same however many logits it has.
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srkit.models.vgg19 import VGG19
from srkit.settings import Weights


def check_same_shape(sr: Tensor, hr: Tensor) -> None:
    """Raise ValueError where two image batches differ in shape."""
    if sr.shape != hr.shape:
        raise ValueError(f"sr {tuple(sr.shape)} and hr {tuple(hr.shape)} differ in shape")


def mse_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Pixel-wise mean squared error, Eq. (1).

    Shape: sr, hr (B, 3, H, W) in [-1, 1], the range of the report's Norm -> ().
    Raises ValueError where the shapes differ.
    """
    check_same_shape(sr, hr)
    return F.mse_loss(sr, hr)


class ContentLoss(nn.Module):
    """Mean squared error between VGG19 feature maps, Eq. (2).

    `vgg` is what `srkit.weights.load_vgg19` returns. Features are divided by `feature_scale` first,
    by default the one that goes with the weights. `name` says which network and layer it is.

    Shape: sr, hr (B, 3, H, W) in [-1, 1] -> ().
    Raises ValueError where the shapes differ.
    """

    def __init__(self, vgg: VGG19, feature_scale: float | None = None):
        super().__init__()
        self.network = vgg.network.eval().requires_grad_(False)
        self.name = vgg.name
        self.layer = vgg.layer
        self.feature_scale = vgg.feature_scale if feature_scale is None else feature_scale

    def train(self, mode: bool = True) -> "ContentLoss":
        """Stay in evaluation mode: phi in Eq. (2) is fixed."""
        return super().train(False)

    def features(self, image: Tensor) -> Tensor:
        """phi of Eq. (2). Shape: (B, 3, H, W) in [-1, 1] -> (B, C, H', W')."""
        return self.network((image + 1) / 2) / self.feature_scale

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        check_same_shape(sr, hr)
        with torch.no_grad():
            target = self.features(hr)
        return F.mse_loss(self.features(sr), target)


def adversarial_loss(validity_sr: Tensor, reduction: str = "mean") -> Tensor:
    """-log D(sr), Eq. (3): small where the discriminator takes the prediction for real.

    Computed on logits as softplus(-x) = -log sigmoid(x), which neither overflows nor saturates.

    Shape: validity logits (B,) or (B, ...) -> ().
    """
    return _cross_entropy(validity_sr, 1.0, reduction)


def _cross_entropy(validity: Tensor, target: float, reduction: str) -> Tensor:
    """Binary cross-entropy of logits with one target for all of them."""
    targets = torch.full_like(validity, target)
    loss = F.binary_cross_entropy_with_logits(validity, targets, reduction=reduction)
    return loss / math.prod(validity.shape[1:]) if reduction == "sum" else loss


def validity_loss(validity: Tensor, real: bool, reduction: str = "mean") -> Tensor:
    """Binary cross-entropy of the discriminator's real-or-fake output, Eq. (6).

    As printed, Eq. (6) is -sum Y log D, which is zero for every fake image (Y = 0) and so could
    not teach the discriminator anything about them; this is the whole binary cross-entropy that
    its text describes, -sum [Y log D + (1 - Y) log(1 - D)].

    Shape: validity logits (B,) or (B, ...) -> ().
    """
    return _cross_entropy(validity, float(real), reduction)


def class_loss(class_logits: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """Categorical cross-entropy of the discriminator's class output, Eq. (7).

    On a photograph it trains the discriminator (the term "class"). On a prediction it would train
    the generator (the term "classes"), as in the author's later code and not in the report.

    Shape: (B, classes) logits, (B,) integer labels -> ().
    """
    return F.cross_entropy(class_logits, labels, reduction=reduction)


def generator_loss(terms: Mapping[str, Tensor], weights: Weights) -> Tensor:
    """What the generator minimises: named terms, each times its weight, added up.

    SRGAN's perceptual loss, Eq. (4), has the terms content + 1e-3 adversarial; SR-UGAN's, Eq. (5),
    has MSE + content + 1e-3 adversarial; SRResNet's has MSE alone.

    Shape: each term () -> ().  Raises AttributeError for a term without a weight.
    """
    return torch.stack([getattr(weights, name) * value for name, value in terms.items()]).sum()


def discriminator_loss(
    validity_hr: Tensor,
    validity_sr: Tensor,
    class_logits_hr: Tensor | None = None,
    labels: Tensor | None = None,
) -> dict[str, Tensor]:
    """The discriminator's losses side by side, Eq. (8); their sum is what is minimised.

    Without class logits this is SRGAN's: the validity loss alone. Class loss is taken on real
    photographs only, since that is where the labels are sure.

    Shape: validity logits (B,) or (B, ...), class logits (B, classes), labels (B,) -> named
    scalars.
    Raises ValueError where only one of class logits and labels is given.
    """
    if (class_logits_hr is None) != (labels is None):
        raise ValueError("class_logits_hr and labels go together: give both or neither")
    losses = {
        "validity_real": validity_loss(validity_hr, real=True),
        "validity_fake": validity_loss(validity_sr, real=False),
    }
    if class_logits_hr is not None and labels is not None:
        losses["class"] = class_loss(class_logits_hr, labels)
    return losses
