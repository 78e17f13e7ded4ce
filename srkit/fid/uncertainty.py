"""What the number and the choice of photographs do to a distance: KID, bias, bootstrap, floor."""

from collections.abc import Mapping

import numpy as np
import scipy.linalg

from srkit.fid.frechet import frechet_distance
from srkit.fid.statistics import Statistics, finite


def kid(x: np.ndarray, y: np.ndarray, paired: bool = False, rows: int = 2048) -> float:
    """Kernel Inception Distance (Binkowski et al. 2018, section 4): the unbiased estimate of the
    squared MMD with the kernel (x.y / d + 1)^3. Near 0, or below, for sets that are alike.

    All pairs are used; the mean over random subsets that others print estimates the same number.
    `paired`: y[i] is made of the same photograph as x[i], as in super-resolution. Such pairs are
    not independent and are left out; a set against itself then gives 0.

    Shape: (N, d), (M, d).  `rows` bounds the memory: rows x N kernel values at once.
    Raises ValueError for other shapes, fewer than two rows, or rows not finite.
    """
    x, y = (np.asarray(features, dtype=np.float64) for features in (x, y))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"features must be (N, d) and (M, d), not {x.shape} and {y.shape}")
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise ValueError(f"KID needs two samples or more on both sides, there are {n} and {m}")
    if paired and n != m:
        raise ValueError(f"paired sets have equally many rows, not {n} and {m}")
    for name, features in (("features of the first set", x), ("features of the second set", y)):
        finite(name, features)
    if paired and np.array_equal(x, y):
        return 0.0  # what the sums below give but for their last digits

    def total(a: np.ndarray, b: np.ndarray, diagonal: bool) -> float:
        d = a.shape[1]
        parts = ((a[i : i + rows] @ b.T / d + 1) ** 3 for i in range(0, len(a), rows))
        everything = sum(part.sum() for part in parts)
        own = 0.0 if diagonal else ((np.einsum("ij,ij->i", a, b) / d + 1) ** 3).sum()
        return float(everything - own)

    within = total(x, x, False) / (n * (n - 1)) + total(y, y, False) / (m * (m - 1))
    between = total(x, y, not paired) / (n * (m - 1) if paired else n * m)
    return within - 2 * between


def expected_bias(covariance: np.ndarray, n: int, m: int) -> float:
    """What the Frechet distance of two samples of one Gaussian is on average, to first order in 1/n
    and 1/m, where the true distance is 0:

        (1/n + 1/m) (5/4 tr S + 1/2 sum_ij l_i l_j / (l_i + l_j)),  l the eigenvalues of S

    It holds for n and m well above d; Chong and Forsyth (arXiv:1911.07023) show why it falls as 1/n
    for FID. Shape: (d, d).
    """
    values = scipy.linalg.eigvalsh(finite("covariance", np.asarray(covariance, np.float64)))
    values = values[values > values.max() * 1e-12]  # 0 / 0 for directions without variance
    mixed = np.outer(values, values) / np.add.outer(values, values)
    return float((1 / n + 1 / m) * (1.25 * values.sum() + 0.5 * mixed.sum()))


def bootstrap(
    x: np.ndarray, y: np.ndarray, paired: bool = False, rounds: int = 200, seed: int = 0
) -> np.ndarray:
    """Frechet distances between sets drawn with replacement from the rows of x and of y.

    `paired`: row i of both is of the same photograph, and photographs are drawn. Calls with the
    same seed and N draw the same ones, so that ratios of two such results are ratios on one draw.
    Shape: (N, d), (M, d) -> (rounds,).
    Raises ValueError for fewer rounds than one, and paired sets of other lengths.
    """
    return bootstrap_all({"x": x}, y, paired, rounds, seed)["x"]


def bootstrap_all(
    sets: Mapping[str, np.ndarray],
    y: np.ndarray,
    paired: bool = True,
    rounds: int = 200,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """`bootstrap` of several sets at once: the draw of photographs from y, and its statistics, are
    for all of them.

    Shape: (N, d) each, and (M, d) -> (rounds,) each. Raises ValueError as `bootstrap` does.
    """
    if rounds < 1:
        raise ValueError(f"a bootstrap needs one round or more, not {rounds}")
    for x in sets.values():
        if paired and len(x) != len(y):
            raise ValueError(f"paired sets have equally many rows, not {len(x)} and {len(y)}")
    rng = np.random.default_rng(seed)
    draws: dict[str, list[float]] = {name: [] for name in sets}
    for _ in range(rounds):
        own = {n: rng.integers(len(x), size=len(x)) for n, x in sets.items() if not paired}
        rows = rng.integers(len(y), size=len(y))
        truth = Statistics.of(y[rows])
        for name, x in sets.items():
            drawn = Statistics.of(x[own.get(name, rows)])
            draws[name].append(frechet_distance(drawn, truth, warn=False))
    return {name: np.array(distances) for name, distances in draws.items()}


def interval(value: float, draws: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """How far `value` moves with the choice of photographs: bootstrap quantiles, centred on it.

    A bootstrap adds the bias of small N a second time, so its draws lie above the value; only
    their spread is used. The interval is for the distance at this N, whose own bias stays in it.
    It is a little short: in simulations with N = 100 a 95% interval held 87 to 93%.
    """
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws - draws.mean(), [tail, 1 - tail])
    return max(value + float(low), 0.0), value + float(high)


def halves(features: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two halves at random, whose distance is the floor: what N / 2 photographs of one source
    measure against each other. Shape: (N, d) -> (N // 2, d) twice."""
    order = np.random.default_rng(seed).permutation(len(features))
    half = len(features) // 2
    return features[order[:half]], features[order[half : 2 * half]]
