"""Training pairs: random aligned crops of photographs, LR and HR (the report's section 3).

Which photograph, crop and flip sample number i gets is a function of (seed, i) alone: not of the
number of workers or processes, nor of where a run was interrupted. Loader processes make HR crops
of 8 bits; LR is made of a whole batch, on the device that trains.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from srkit.data.images import bicubic_lr, lanczos_lr, norm, to_tensor
from srkit.data.photos import Photos

LR_FILTERS = {"bicubic": bicubic_lr, "lanczos": lanczos_lr}


class Pairs(Dataset):
    """Sample i: a random crop of one photograph, flipped or not, and its label.

    Photographs come in a new order each epoch; order, crop and flip depend on (seed, i) alone.
    `samples` is how many there are (steps times batch). `lr_and_hr` makes pairs of a batch.

    Shape: hr uint8 (3, crop, crop), label ().
    Raises DataError where a photograph is smaller than the crop.
    """

    def __init__(self, photos: Photos, scale: int, crop: int, samples: int, seed: int = 0):
        if crop % scale:
            raise ValueError(f"a crop of {crop} is no multiple of the scale {scale}")
        self.photos = photos.require_size(crop)
        self.scale, self.crop, self.samples, self.seed = scale, crop, samples, seed

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not 0 <= index < self.samples:
            raise IndexError(f"sample {index} of {self.samples}")
        epoch, place = divmod(index, len(self.photos))
        number = int(order(self.seed, epoch, len(self.photos))[place])
        rng = np.random.default_rng((self.seed, 1, index))
        crop = random_crop(self.photos[number], self.crop, rng)
        return torch.from_numpy(crop.transpose(2, 0, 1).copy()), int(self.photos.labels[number])


@lru_cache(maxsize=4)  # epochs
def order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The photographs' numbers in an epoch's order."""
    return np.random.default_rng((seed, 0, epoch)).permutation(count)


def random_crop(photo: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """A side x side crop at a random place, mirrored left to right half of the time."""
    top = rng.integers(photo.shape[0] - side + 1)
    left = rng.integers(photo.shape[1] - side + 1)
    crop = photo[top : top + side, left : left + side]
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def lr_and_hr(hr: Tensor, scale: int, lr_filter: str = "bicubic") -> tuple[Tensor, Tensor]:
    """A batch of 8-bit crops as the pairs that training takes, on the device where it lies.

    Shape: hr uint8 (B, 3, H, W) -> lr (B, 3, H/scale, W/scale) in [0, 1], hr in [-1, 1].
    Raises ValueError on an unknown `lr_filter`, on crops of no 8 bits, and where a side of HR is
    no multiple of `scale`.
    """
    if lr_filter not in LR_FILTERS:
        raise ValueError(f"unknown lr_filter {lr_filter!r}; accepted: {', '.join(LR_FILTERS)}")
    if hr.dtype != torch.uint8:
        raise ValueError(f"crops are uint8, not {hr.dtype}")
    image = hr.float().div(255)
    return LR_FILTERS[lr_filter](image, scale), norm(image)


# --- Which process takes which sample ------------------------------------------------------------


def share(step: int, batch: int, rank: int, world: int) -> range:
    """The samples of update `step`, counted from 0, that process `rank` of `world` takes.

    All shares in the order of their ranks are the batch; the first ones have one sample more where
    it cannot be split evenly. Raises ValueError where a process would be left without a sample.
    """
    if batch < world:
        raise ValueError(f"a batch of {batch} cannot be split over {world} processes")
    if not 0 <= rank < world:
        raise ValueError(f"no process {rank} among {world}")
    each, more = divmod(batch, world)
    first = step * batch + rank * each + min(rank, more)
    return range(first, first + each + (rank < more))


@dataclass(frozen=True)
class Steps:
    """The samples of one process, update by update: DataLoader's `batch_sampler`.

    From update `start`, where an interrupted run goes on, to the last of `iterations`; `batch` is
    that of all processes together. Raises ValueError as `share` does.
    """

    start: int
    iterations: int
    batch: int
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        share(0, self.batch, self.rank, self.world)

    def __len__(self) -> int:
        return max(0, self.iterations - self.start)

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.start, self.iterations):
            yield list(share(step, self.batch, self.rank, self.world))


# --- The middles ---------------------------------------------------------------------------------


def centre_crops(photos: Photos, crop: int, count: int) -> Tensor:
    """`middles` of `count` photographs, evenly spaced through the set: what a training run is
    watched on."""
    return middles(photos.evenly_spaced(count), crop)


def held_out_crops(photos: Photos, count: int, size: int) -> Tensor:
    """`middles` of `count` photographs, no two of one class where that can be."""
    by_turn = sorted(range(len(photos)), key=photos.turns().__getitem__)
    return middles(photos.subset(by_turn[:count]), size)


def middles(photos: Photos, crop: int) -> Tensor:
    """The middle of every photograph of a set: squares of `crop` pixels, or what the smallest of
    them allows in fours.

    Shape: (len(photos), 3, crop, crop) in [0, 1].
    """
    chosen = [photos[number] for number in range(len(photos))]
    crop = min(crop, *(min(photo.shape[:2]) // 4 * 4 for photo in chosen))
    crops = []
    for photo in chosen:
        top, left = (photo.shape[0] - crop) // 2, (photo.shape[1] - crop) // 2
        crops.append(to_tensor(photo[top : top + crop, left : left + crop]))
    return torch.stack(crops)
