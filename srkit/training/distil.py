"""The small content network: trained to return VGG19's features, for where VGG19 is absent."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from srkit.data.crops import Pairs
from srkit.data.images import bicubic_lr
from srkit.data.photos import Photos
from srkit.devices import has_fast_bf16, pick_device
from srkit.models.blocks import he_initialise
from srkit.models.vgg19 import SMALL_LAYERS, VGG19, VGG19_LAYERS, Standardise, first_layers

LEARNING_RATE = 3e-3  # of Adam, after a warm-up


def distil(
    teacher: VGG19,
    photos: Photos,
    updates: int = 3_000,
    batch: int = 4,
    crop: int = 32,
    seed: int = 0,
    device: str = "auto",
) -> nn.Sequential:
    """A network of VGG19's form up to relu3_1, from fresh weights to the teacher's features.

    The content loss compares features of SR and HR. So each batch has crops, and each crop spoiled;
    what is to agree at the three layers, before their ReLU, is the features and their difference.
    """
    where = pick_device(device)
    torch.manual_seed(seed)
    student = first_layers(Standardise())
    he_initialise(student)
    student = student.to(where).to(memory_format=torch.channels_last)
    judge = teacher.network.eval().requires_grad_(False).to(where)
    optimiser = torch.optim.Adam(student.parameters(), LEARNING_RATE)
    pairs = Pairs(photos.without_small(crop), 4, crop, updates * batch, seed)
    for step, (crops, _) in enumerate(tqdm(DataLoader(pairs, batch), unit="update", disable=None)):
        rate = min(1.0, (step + 1) / 100, 5 * (updates - step) / updates)  # down in the last fifth
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * rate
        hr = crops.to(where).float().div(255)
        image = torch.cat([hr, spoiled(hr, 2 + 2 * (step % 2))])
        image = image.contiguous(memory_format=torch.channels_last)
        with torch.autocast(where.type, torch.bfloat16, enabled=has_fast_bf16(where)):
            with torch.no_grad():
                wanted = list(convolved(judge, image))
            made = list(convolved(student, image))
        loss = torch.stack([disagreement(m, w) for m, w in zip(made, wanted, strict=True)]).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return student.cpu().eval()


def spoiled(hr: Tensor, scale: int) -> Tensor:
    """Each picture blurred or too sharp, with other colours and with noise, all of random strength:
    what SR is beside HR, from bad to nearly right. Shape: (B, 3, H, W) in [0, 1] -> the same."""

    def strength(channels: int = 1) -> Tensor:
        return torch.rand(len(hr), channels, 1, 1, device=hr.device)

    blurred = F.interpolate(bicubic_lr(hr, scale), scale_factor=scale, mode="bicubic")
    image = hr + (2 * strength() - 0.5) * (blurred - hr)
    image = image + 0.2 * strength() * (strength(3) - 0.5)
    return (image + 0.1 * strength() ** 2 * torch.randn_like(hr)).clamp(0, 1)


def convolved(network: nn.Sequential, image: Tensor) -> Iterator[Tensor]:
    """The three layers before their ReLU, (B, C, H', W') each."""
    convolutions = [VGG19_LAYERS[layer] for layer in SMALL_LAYERS]  # one before the ReLU, but ...
    for number, module in enumerate(network):  # ... number 0 prepares the picture
        image = module(image)
        if number in convolutions:
            yield image


def disagreement(made: Tensor, wanted: Tensor) -> Tensor:
    """The relative squared error of features, and of what spoiling changes in them.

    Shape: (2B, C, H, W), the spoiled pictures behind the others -> ().
    """
    made, wanted = made.float(), wanted.float()
    return relative(made, wanted) + relative(changed(made), changed(wanted))


def changed(features: Tensor) -> Tensor:
    """What spoiling changes. Shape: (2B, C, H, W) -> (B, C, H, W)."""
    before, after = features.chunk(2)
    return after - before


def relative(made: Tensor, wanted: Tensor) -> Tensor:
    """The squared error of each picture, by its power; the mean over the batch, ()."""
    power = wanted.square().sum((1, 2, 3)).clamp(min=1e-6)
    return ((made - wanted).square().sum((1, 2, 3)) / power).mean()
