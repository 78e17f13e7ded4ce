"""Count, mean and covariance of features: of a set, of a stream, merged, saved and loaded."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from srkit.files import replacing


class Space(NamedTuple):
    """What the features of a set are. Distances are taken within one space only."""

    protocol: str  # "pytorch", "tf" or "clean", see srkit.fid.features
    layer: int  # 64, 192, 768 or 2048
    weights: str  # the SHA-256 of the Inception file


def finite(name: str, array: np.ndarray, start: int = 0) -> np.ndarray:
    """The array. Raises ValueError naming the first row that is not finite, counted from `start`:
    LAPACK would hang on infinity and crash on NaN."""
    if not np.isfinite(array).all():
        row = start + int(np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(1))[0])
        raise ValueError(
            f"{name} hold NaN or infinity, first in row {row}; look at the image or file that it"
            " came from"
        )
    return array


def whole_number(n: float | np.ndarray) -> int:
    """N as an int. Raises ValueError where it is no whole number of 1 or more."""
    array = np.asarray(n)
    whole = array.size == 1 and array.dtype.kind in "iuf" and 1 <= array < 2**53
    if not whole or array != np.floor(array):
        raise ValueError(f"N must be a whole number of 1 or more, not {n}")
    return int(array.item())


def real(name: str, array: np.ndarray) -> np.ndarray:
    """The array in float64, a copy. Raises ValueError where it is complex."""
    if np.iscomplexobj(array):
        raise ValueError(f"{name} must be real, not complex")
    return np.array(array, dtype=np.float64)


def check_covariance(covariance: np.ndarray) -> None:
    """Raise ValueError where a matrix is not symmetric, to 1e-6 of its largest entry, or has a
    negative variance, on its diagonal or in any other direction (to 1e-6 of their sum)."""
    apart = np.abs(covariance - covariance.T).max()
    if apart > 1e-6 * np.abs(covariance).max():
        raise ValueError(f"a covariance is symmetric; this one differs by {apart:.3g}")
    if covariance.diagonal().min() < 0:
        place = int(covariance.diagonal().argmin())
        raise ValueError(f"dimension {place} has the variance {covariance[place, place]:.3g}")
    try:
        if covariance.any():
            shift = max(1e-6 * covariance.trace(), np.finfo(float).tiny)
            scipy.linalg.cholesky(covariance + shift * np.eye(len(covariance)))
    except scipy.linalg.LinAlgError as error:
        raise ValueError(
            "it is no covariance: its variance in some direction is negative"
        ) from error


def check_held(features: np.ndarray, mean: np.ndarray, n: int | None) -> None:
    """Raise ValueError where a file's mean or N is not that of the features (N, d) beside them."""
    if n not in (None, len(features)):
        raise ValueError(f"N is {n}, but there are features of {len(features)}")
    own = features.mean(0, dtype=np.float64)
    if mean.shape != own.shape or not (
        np.abs(real("mean", mean) - own).max() <= 1e-6 * np.abs(features).max()
    ):
        raise ValueError("the mean is not that of the features")


@dataclass(frozen=True, eq=False)
class Statistics:
    """Count, mean and covariance of features, float64. While n <= d the features themselves stand
    for the covariance: they are smaller, and exact where it is singular.

    `n` is None where a file does not say it, as pytorch-fid's do not.
    """

    n: int | None
    mean: np.ndarray  # (d,)
    features: np.ndarray | None = None  # (n, d), where n <= d
    full: np.ndarray | None = None  # (d, d) covariance over n - 1, where the features are not kept
    space: Space | None = None  # None: not Inception's, or not known

    @classmethod
    def of(cls, features: np.ndarray, space: Space | None = None, start: int = 0) -> "Statistics":
        """Shape: (N, d). Raises ValueError for another shape, no rows, or rows not finite, which
        are counted from `start`."""
        if np.iscomplexobj(features):
            raise ValueError("features must be real, not complex")
        features = np.asarray(features, dtype=np.float64)
        if features.ndim != 2:
            raise ValueError(f"features must be (N, d), not {features.shape}")
        if not len(features):
            raise ValueError("no features: the set is empty")
        mean = finite("features", features, start).mean(0)
        n, d = features.shape
        if n <= d:
            return cls(n, mean, features=features.copy(), space=space)  # a caller may reuse its own
        centred = features - mean
        return cls(n, mean, full=centred.T @ centred / (n - 1), space=space)

    @classmethod
    def gaussian(
        cls,
        mean: np.ndarray,
        covariance: np.ndarray,
        n: int | None = None,
        space: Space | None = None,
    ) -> "Statistics":
        """A set of which mean (d,) and covariance (d, d) are known; n where that is known too.

        Raises ValueError where the shapes do not fit, a number is not finite or complex, the matrix
        is no covariance (see `check_covariance`) or n is no whole number of 1 or more.
        """
        mean, covariance = real("mean", mean), real("covariance", covariance)
        if mean.ndim != 1 or not mean.size or covariance.shape != (mean.size, mean.size):
            raise ValueError(
                f"a mean of (d,) and a covariance of (d, d) are needed, not {mean.shape} and"
                f" {covariance.shape}"
            )
        finite("mean", mean)
        check_covariance(finite("covariance", covariance))
        n = None if n is None else whole_number(n)
        return cls(n, mean, full=covariance, space=space)

    def merged(self, other: "Statistics") -> "Statistics":
        """The statistics of both sets together, by Chan's formula: differences to means, never sums
        of squares, so that a large offset costs no digits.

        Raises ValueError where the two do not compare, or an N is unknown.
        """
        check_comparable(self, other)
        if self.n is None or other.n is None:
            raise ValueError("statistics of unknown N cannot be merged")
        n, space = self.n + other.n, self.space or other.space
        if self.features is not None and other.features is not None and n <= self.mean.size:
            return Statistics.of(np.concatenate([self.features, other.features]), space)
        step = other.mean - self.mean
        mean = self.mean + step * other.n / n
        scatter = self._scatter + other._scatter + np.outer(step, step) * self.n * other.n / n
        return Statistics(n, mean, full=scatter / (n - 1), space=space)

    @property
    def _scatter(self) -> np.ndarray:
        """The sum of outer products of x - mean."""
        if self.features is None:
            return self.covariance * self._degrees
        centred = self.features - self.mean
        return centred.T @ centred

    @cached_property
    def covariance(self) -> np.ndarray:
        """(d, d), over n - 1. Raises ValueError for fewer than two samples."""
        return self._scatter / self._degrees if self.full is None else self.full

    @property
    def _degrees(self) -> int:
        if self.n is None or self.n < 2:
            raise ValueError(f"a covariance needs two samples or more, there is {self.n}")
        return self.n - 1

    @cached_property
    def factor(self) -> np.ndarray | None:
        """(n, d) F with F'F = covariance, while the features are kept."""
        if self.features is None:
            return None
        return (self.features - self.mean) / np.sqrt(self._degrees)

    @property
    def variance(self) -> float:
        """The trace of the covariance."""
        if self.factor is not None:
            return float((self.factor**2).sum())
        return float(np.trace(self.covariance))

    def save(self, path: str | Path) -> Path:
        """Write an .npz that pytorch-fid reads too: `mu` and `sigma`, and beside them n, protocol,
        layer, weights and, while n <= d, the features."""
        sigma = None if self.n == 1 else self.covariance
        held: dict[str, Any] = {"mu": self.mean, "sigma": sigma}
        held |= {"n": self.n, "features": self.features}
        held |= self.space._asdict() if self.space else {}
        with replacing(path) as file:
            np.savez(file, **{name: part for name, part in held.items() if part is not None})
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> "Statistics":
        """What `save`, or pytorch-fid, wrote. Raises ValueError naming what is wrong with it."""
        if not Path(path).is_file():
            raise FileNotFoundError(f"no statistics file at {path}")
        try:
            with np.load(path, allow_pickle=False) as file:
                held = {key: file[key] for key in file.files}
            space = None
            if "protocol" in held:
                space = Space(str(held["protocol"]), int(held["layer"]), str(held["weights"]))
            n = whole_number(held["n"]) if "n" in held else None
            if "features" not in held:
                return cls.gaussian(held["mu"], held["sigma"], n, space)
            found = cls.of(held["features"], space)
            check_held(held["features"], held["mu"], n)
            return found
        except Exception as error:  # of zip, zlib, NumPy or ours: the file is damaged or another
            raise ValueError(
                f"{path} holds no usable statistics ({error}); expected an .npz with mu and sigma,"
                " as srkit and pytorch-fid write them"
            ) from error


class Accumulator:
    """Statistics of features that come in bit by bit; some `at_once` rows wait in memory.

    Several processes can each take a part, save it, and have the parts `merged`.
    """

    def __init__(self, at_once: int = 1024, space: Space | None = None):
        self.at_once = at_once
        self.space = space
        self.waiting: list[np.ndarray] = []
        self.whole: Statistics | None = None

    def add(self, features: np.ndarray) -> None:
        """Take in (N_i, d) features: a copy, so that the caller may fill the same array anew."""
        if len(features):
            self.waiting.append(np.array(features))
        if sum(map(len, self.waiting)) >= self.at_once:
            self._take_in()

    def _take_in(self) -> None:
        before = self.whole.n if self.whole and self.whole.n else 0
        part = Statistics.of(np.concatenate(self.waiting), self.space, before)
        self.whole = part if self.whole is None else self.whole.merged(part)
        self.waiting.clear()

    def statistics(self) -> Statistics:
        """Of all that was added. Raises ValueError where that is nothing, or not finite."""
        if self.waiting:
            self._take_in()
        if self.whole is None:
            raise ValueError("no features: nothing was added")
        return self.whole


def statistics(
    batches: Iterable[np.ndarray], at_once: int = 1024, space: Space | None = None
) -> Statistics:
    """The statistics of a stream of (N_i, d) batches, however they are cut.

    Raises ValueError where there is nothing, or something not finite.
    """
    accumulator = Accumulator(at_once, space)
    for batch in batches:
        accumulator.add(batch)
    return accumulator.statistics()


def check_comparable(a: Statistics, b: Statistics) -> None:
    """Raise ValueError where two sets of features are not of one space, naming the difference."""
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"features of {a.mean.size} and {b.mean.size} dimensions do not compare")
    check_one_space(a.space, b.space)


def check_one_space(a: Space | None, b: Space | None) -> None:
    """Raise ValueError where two spaces differ and both are known, naming the difference."""
    for name, own, other in zip(Space._fields, a or (), b or (), strict=False):
        if own != other:
            raise ValueError(
                f"the two sets differ in their {name}: {own} and {other}; compute both with the"
                " same protocol, layer and weights"
            )
