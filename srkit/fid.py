"""Frechet distance, Eq. (9): in closed form for Gaussians, on pixel patches, on Inception (FID).

A Frechet distance is called FID here only when its features come from the FID Inception with its
real weights, and then with layer and protocol beside the number.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from srkit.inception import FIDInception


@dataclass
class Statistics:
    """Count, mean and scatter of features, float64, built up batch by batch.

    Batches are merged by Chan's formula: differences to running means, never sums of squares.
    """

    n: int
    mean: np.ndarray  # (d,)
    scatter: np.ndarray  # (d, d), the sum of outer products of x - mean

    @classmethod
    def of(cls, features: np.ndarray) -> "Statistics":
        """Shape: (N, d). Raises ValueError where a feature is not finite."""
        features = np.asarray(features, dtype=np.float64)
        if features.ndim != 2:
            raise ValueError(f"features must be (N, d), not {features.shape}")
        if not len(features):
            raise ValueError("no features: the set is empty")
        if not np.isfinite(features).all():
            raise ValueError("features hold NaN or infinity; look at the images they came from")
        mean = features.mean(0)
        centred = features - mean
        return cls(len(features), mean, centred.T @ centred)

    def merged(self, other: "Statistics") -> "Statistics":
        """The statistics of both sets together."""
        n = self.n + other.n
        step = other.mean - self.mean
        mean = self.mean + step * other.n / n
        cross = np.outer(step, step) * self.n * other.n / n
        return Statistics(n, mean, self.scatter + other.scatter + cross)

    @property
    def covariance(self) -> np.ndarray:
        """(d, d), over n - 1. Raises ValueError for fewer than two samples."""
        if self.n < 2:
            raise ValueError(f"a covariance needs two samples or more, there is {self.n}")
        return self.scatter / (self.n - 1)


class Accumulator:
    """Statistics of features that come in bit by bit; some `at_once` rows wait in memory."""

    def __init__(self, at_once: int = 1024):
        self.at_once = at_once
        self.waiting: list[np.ndarray] = []
        self.whole: Statistics | None = None

    def add(self, features: np.ndarray) -> None:
        """Take in (N_i, d) features."""
        self.waiting.append(features)
        if sum(map(len, self.waiting)) >= self.at_once:
            self._take_in()

    def _take_in(self) -> None:
        part = Statistics.of(np.concatenate(self.waiting))
        self.whole = part if self.whole is None else self.whole.merged(part)
        self.waiting.clear()

    def statistics(self) -> Statistics:
        """Of all that was added. Raises ValueError where that is nothing, or not finite."""
        if self.waiting:
            self._take_in()
        if self.whole is None:
            raise ValueError("no features: nothing was added")
        return self.whole


def statistics(batches: Iterable[np.ndarray], at_once: int = 1024) -> Statistics:
    """The statistics of a stream of (N_i, d) batches, however they are cut.

    Raises ValueError where there is nothing, or something not finite.
    """
    accumulator = Accumulator(at_once)
    for batch in batches:
        accumulator.add(batch)
    return accumulator.statistics()


def frechet_distance(a: Statistics, b: Statistics) -> float:
    """The square of Eq. (9) for two Gaussians, which is what every FID in print is:

        |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2))

    The trace of the root is the sum of the square roots of the eigenvalues of
    S_a^(1/2) S_b S_a^(1/2), which is symmetric: no general matrix root is needed.

    Raises ValueError where the dimensions differ.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"features of {a.mean.size} and {b.mean.size} dimensions do not compare")
    s_a, s_b = a.covariance, b.covariance
    values, vectors = np.linalg.eigh(s_a)
    root_a = vectors * np.sqrt(values.clip(min=0)) @ vectors.T
    eigenvalues = np.linalg.eigvalsh(root_a @ s_b @ root_a)
    trace_root = np.sqrt(eigenvalues.clip(min=0)).sum()
    difference = a.mean - b.mean
    distance = difference @ difference + np.trace(s_a) + np.trace(s_b) - 2 * trace_root
    return float(max(distance, 0.0))


# --- Features ------------------------------------------------------------------------------------


def check_images(images: Tensor) -> None:
    """Raise ValueError unless images are (B, 3, H, W) floats in [0, 1]."""
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise ValueError(f"images must be float (B, 3, H, W), not {images.dtype} {images.shape}")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"images must be in [0, 1]; these span [{low:.3g}, {high:.3g}]")


def patch_features(images: Tensor, patch: int = 8) -> np.ndarray:
    """Every patch x patch x 3 square of a grid, in levels of 0-255: features without a network.

    Their Frechet distance compares colours and fine texture and knows nothing of objects.

    Shape: (B, 3, H, W) in [0, 1] -> (B * (H // patch) * (W // patch), 3 * patch * patch).
    """
    check_images(images)
    columns = F.unfold(images, patch, stride=patch)  # (B, 3*patch*patch, patches)
    return columns.transpose(1, 2).flatten(0, 1).mul(255).cpu().numpy()


@torch.no_grad()
def inception_features(images: Tensor, network: FIDInception) -> np.ndarray:
    """Features as pytorch-fid computes them (protocol `pytorch`).

    Resized to 299x299 (bilinear, align_corners=False, no antialias), mapped to [-1, 1].

    Shape: (B, 3, H, W) in [0, 1] -> (B, network.dims).
    """
    check_images(images)
    device = next(network.parameters()).device
    x = F.interpolate(images.to(device), (299, 299), mode="bilinear", align_corners=False)
    return network(2 * x - 1).cpu().numpy()


def features_of(images: Tensor, network: FIDInception | None) -> np.ndarray:
    """Inception features, or pixel patches where no network is given."""
    return patch_features(images) if network is None else inception_features(images, network)


def measure_name(network: FIDInception | None) -> str:
    """What a distance on these features may be called in a table."""
    return f"FID-{network.dims}" if network else "Patch Frechet distance"


def measure_protocol(network: FIDInception | None) -> str:
    """The protocol beside it: network, layer and resize, or the patches' units."""
    if network is None:
        return "8x8x3 patches on a grid, levels 0-255, no network"
    return f"{network.name}, {network.dims} features, protocol pytorch (bilinear to 299)"
