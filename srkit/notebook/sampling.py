"""Experiments where the truth is known: what the number of vectors does to a Frechet distance."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from srkit.fid import uncertainty
from srkit.fid.frechet import frechet_distance
from srkit.fid.statistics import Statistics

Draw = Callable[[int], tuple[np.ndarray, np.ndarray]]  # n -> two samples, (n, d) each


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """The squared Frechet distance of two sets (N, d), without the warning that they are small."""
    return frechet_distance(Statistics.of(one), Statistics.of(other), warn=False)


def from_pool(pool: np.ndarray, rng: np.random.Generator) -> Draw:
    """Two samples without a common row, from the rows of a pool (N, d)."""

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        order = rng.permutation(len(pool))
        return pool[order[:n]], pool[order[n : 2 * n]]

    return draw


def gaussian_like(pool: np.ndarray, rng: np.random.Generator) -> Draw:
    """Two samples of the Gaussian with a pool's mean and covariance."""
    whole = Statistics.of(pool)
    variances, directions = np.linalg.eigh(whole.covariance)
    scaled = directions * np.sqrt(variances.clip(min=0))  # turns white noise into such vectors

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        one, other = rng.normal(size=(2, n, pool.shape[1])) @ scaled.T
        return whole.mean + one, whole.mean + other

    return draw


class Coverage(NamedTuple):
    """One bootstrap, and what many of them catch."""

    value: float
    draws: np.ndarray
    ends: tuple[float, float]  # the 95% interval
    mean_at_n: float  # over many choices of 60
    caught: tuple[int, int]  # of 100 intervals: those with that mean in them, and with the truth


TRUTH = 8 * (0.3**2 + (1 - np.sqrt(0.8**2 + 0.3**2)) ** 2)  # of `predicted`, on paper


def predicted(paired: bool, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """60 predictions and HRs in 8 dimensions: HR is a standard Gaussian, a prediction keeps 0.8 of
    it, with noise and a shift. Not `paired`: of the HR of 60 other photographs."""
    hr, others = rng.normal(size=(2, 60, 8))
    return 0.8 * (hr if paired else others) + 0.3 * rng.normal(size=(60, 8)) + 0.3, hr


def coverage(paired: bool, rng: np.random.Generator, trials: int = 100) -> Coverage:
    """How often the bootstrap's 95% interval catches the mean at N = 60, and the truth."""
    mean = float(np.mean([distance(*predicted(paired, rng)) for _ in range(500)]))
    caught = np.zeros(2, int)
    for trial in range(trials):
        sr, hr = predicted(paired, rng)
        value, draws = distance(sr, hr), uncertainty.bootstrap(sr, hr, paired, 100, seed=trial)
        low, high = uncertainty.interval(value, draws)
        caught += [low <= mean <= high, low <= TRUTH <= high]
    return Coverage(value, draws, (low, high), mean, (int(caught[0]), int(caught[1])))
