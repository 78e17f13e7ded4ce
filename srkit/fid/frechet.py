"""From features to the Frechet distance of Eq. (9).

Features come from `srkit.fid.features`, their mean and covariance from `srkit.fid.statistics`; KID
and intervals from `srkit.fid.uncertainty`. A Frechet distance is called FID here only where its
features come from the FID Inception with its real weights, and then with protocol, layer and N
beside the number.
"""

import warnings

import numpy as np
import scipy.linalg

from srkit.fid.statistics import Statistics, check_comparable


class FewImagesWarning(UserWarning):
    """Fewer samples than dimensions: a Frechet distance is then far above its true value."""


def frechet_distance(a: Statistics, b: Statistics, *, warn: bool = True) -> float:
    """The square of Eq. (9) for two Gaussians, which is what every FID in print is:

        |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2))

    Warns (FewImagesWarning) where a set has fewer samples than dimensions, unless `warn` is False.
    Raises ValueError where the sets do not compare or have fewer than two samples.
    """
    check_comparable(a, b)
    few = min((s.n for s in (a, b) if s.n is not None), default=a.mean.size)
    if few < 2:
        raise ValueError(f"a covariance needs two samples or more, there is {few}")
    if _identical(a, b):
        return 0.0
    if warn and few < a.mean.size:
        warnings.warn(
            f"N = {few} is below the {a.mean.size} dimensions of the features, so this distance is"
            " biased upwards: compare it only at the same N, or use KID",
            FewImagesWarning,
            stacklevel=2,
        )
    step = a.mean - b.mean
    distance = step @ step + a.variance + b.variance - 2 * trace_of_root(a, b)
    return float(max(distance, 0.0))


def _identical(a: Statistics, b: Statistics) -> bool:
    pairs = ((a.mean, b.mean), (a.features, b.features), (a.full, b.full))
    return a.n == b.n and all(
        own is other or (own is not None and other is not None and np.array_equal(own, other))
        for own, other in pairs
    )


def trace_of_root(a: Statistics, b: Statistics) -> float:
    """tr (S_a S_b)^(1/2), without any matrix root: a sum of square roots of eigenvalues.

    With S_a = F'F and S_b = G'G, the eigenvalues of S_a S_b other than 0 are the squares of the
    singular values of F G', and the eigenvalues of the symmetric F S_b F'. So

    - n <= d in both sets: singular values of the n x m matrix F G', F and G the centred features;
    - in one of them: eigenvalues of the n x n matrix F S_b F';
    - in neither: eigenvalues of S_a S_b by Cholesky (LAPACK's generalised symmetric problem), or,
      where S_b is singular, of S_b^(1/2) S_a S_b^(1/2).
    """
    if a.factor is not None and b.factor is not None:
        return float(scipy.linalg.svdvals(a.factor @ b.factor.T).sum())
    if b.factor is not None:
        a, b = b, a
    if a.factor is not None:
        squares = scipy.linalg.eigvalsh(a.factor @ b.covariance @ a.factor.T)
    else:
        try:
            squares = scipy.linalg.eigh(a.covariance, b.covariance, type=2, eigvals_only=True)
        except scipy.linalg.LinAlgError:
            values, vectors = scipy.linalg.eigh(b.covariance)
            root = vectors * np.sqrt(values.clip(min=0)) @ vectors.T
            squares = scipy.linalg.eigvalsh(root @ a.covariance @ root)
    return float(np.sqrt(squares.clip(min=0)).sum())
