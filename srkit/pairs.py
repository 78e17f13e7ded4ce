"""Training pairs: random aligned crops of photographs, LR and HR (the report's section 3).

Which photograph, crop and flip sample number i gets is a function of (seed, i) alone: not of the
number of workers, nor of where a run was interrupted.
"""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from srkit.data import Photos, bicubic_lr, norm, to_tensor


class Pairs(Dataset):
    """Sample i: a random aligned crop of one photograph, flipped or not, as (lr, hr, label).

    Photographs come in a new order each epoch; order, crop and flip depend on (seed, i) alone.
    `samples` is how many there are (steps times batch).

    Shape: lr (3, crop/scale, crop/scale) in [0, 1], hr (3, crop, crop) in [-1, 1], label ().
    Raises DataError where a photograph is smaller than the crop.
    """

    def __init__(self, photos: Photos, scale: int, crop: int, samples: int, seed: int = 0):
        if crop % scale:
            raise ValueError(f"a crop of {crop} is no multiple of the scale {scale}")
        self.photos = photos.require_size(crop)
        self.scale, self.crop, self.samples, self.seed = scale, crop, samples, seed
        self._epoch, self._order = -1, np.empty(0, dtype=int)

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int]:
        epoch, place = divmod(index, len(self.photos))
        if epoch != self._epoch:
            order = np.random.default_rng((self.seed, 0, epoch))
            self._epoch, self._order = epoch, order.permutation(len(self.photos))
        number = int(self._order[place])
        rng = np.random.default_rng((self.seed, 1, index))
        hr = to_tensor(random_crop(self.photos[number], self.crop, rng))
        lr = bicubic_lr(hr[None], self.scale)[0]
        return lr, norm(hr), int(self.photos.labels[number])


def random_crop(photo: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """A side x side crop at a random place, mirrored left to right half of the time."""
    top = rng.integers(photo.shape[0] - side + 1)
    left = rng.integers(photo.shape[1] - side + 1)
    crop = photo[top : top + side, left : left + side]
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def centre_crops(photos: Photos, crop: int, count: int) -> Tensor:
    """The middle of `count` photographs, evenly spaced through the set: what a training run is
    watched on. Squares of `crop` pixels, or what the smallest of them allows in fours.

    Shape: (count, 3, crop, crop) in [0, 1].
    """
    return middles(photos.spread(count), crop)


def middles(photos: Photos, crop: int) -> Tensor:
    """The middle of every photograph of a set. Squares of `crop` pixels, or what the smallest of
    them allows in fours. Shape: (len(photos), 3, crop, crop) in [0, 1].
    """
    chosen = [photos[number] for number in range(len(photos))]
    crop = min(crop, *(min(photo.shape[:2]) // 4 * 4 for photo in chosen))
    crops = []
    for photo in chosen:
        top, left = (photo.shape[0] - crop) // 2, (photo.shape[1] - crop) // 2
        crops.append(to_tensor(photo[top : top + crop, left : left + crop]))
    return torch.stack(crops)
