"""The Frechet distance against closed forms and scipy, its statistics in parts and in files."""

import re
import warnings

import numpy as np
import pytest
import scipy.linalg

from srkit.fid.frechet import FewImagesWarning, frechet_distance, trace_of_root
from srkit.fid.statistics import Space, Statistics, statistics

pytestmark = pytest.mark.filterwarnings("ignore::srkit.fid.frechet.FewImagesWarning")

SPACE = Space("pytorch", 64, "5" * 64)

# How `trace_of_root` goes: rows of the two sets, dimensions, and the accuracy to expect. Float64
# leaves 1e-9; where a product of covariances is singular, zeros come out at 1e-16 and their roots
# at 1e-8 each, save among singular values.
ROUTES = {
    "n <= d in both": (9, 11, 16, 1e-9),
    "n <= d in the first": (9, 40, 16, 1e-6),
    "n <= d in the second": (40, 9, 16, 1e-6),
    "n > d in both": (40, 50, None, 1e-9),
    "n > d in both, singular": (40, 50, 16, 1e-6),
}
each_route = pytest.mark.parametrize("route", ROUTES)


def random_covariance(rng, d, rank=None):
    root = rng.normal(size=(d, rank or d))
    return root @ root.T


def rows_of(rng, n, mean, covariance):
    """n > d rows of which mean and covariance are exactly these."""
    noise = rng.normal(size=(n, len(mean)))
    white = np.linalg.qr(noise - noise.mean(0))[0] * np.sqrt(n - 1)
    values, vectors = np.linalg.eigh(covariance)
    return white @ (vectors * np.sqrt(values.clip(min=0))) @ vectors.T + mean


def sets(rng, route, a, b):
    """Features of two Gaussians (mean, covariance), in more dimensions where the route needs it:
    turned into them, or beside dimensions that are always 0."""
    n, m, d, _ = ROUTES[route]
    x, y = rows_of(rng, n, *a), rows_of(rng, m, *b)
    if d is None:
        return x, y
    turn = np.eye(d) if "singular" in route else np.linalg.qr(rng.normal(size=(d, d)))[0]
    return x @ turn[: x.shape[1]], y @ turn[: x.shape[1]]


def close(route, expected, *scale):
    """To the route's accuracy, relative to the largest number that went into the difference."""
    return pytest.approx(expected, rel=0, abs=ROUTES[route][3] * max(map(abs, (expected, *scale))))


def distance(x, y):
    return frechet_distance(Statistics.of(x), Statistics.of(y))


# --- Closed forms, by each route -----------------------------------------------------------------


@each_route
def test_the_routes_are_what_they_are_called(rng, route):
    x, y = sets(rng, route, *[(rng.normal(size=5), random_covariance(rng, 5))] * 2)
    kept = [Statistics.of(z).features is not None for z in (x, y)]
    where = route.split(",")[0].removeprefix("n <= d in ")
    assert kept == [where in ("both", "the first"), where in ("both", "the second")]
    if "singular" in route:
        with pytest.raises(np.linalg.LinAlgError):
            np.linalg.cholesky(np.cov(y.T))


@pytest.mark.parametrize("route", list(ROUTES)[:3])
def test_few_images_make_a_small_problem(rng, monkeypatch, route):
    x, y = sets(rng, route, *[(rng.normal(size=5), random_covariance(rng, 5))] * 2)
    solved = []
    for solver in ("svdvals", "eigvalsh", "eigh"):
        made = getattr(scipy.linalg, solver)
        monkeypatch.setattr(scipy.linalg, solver, lambda m, f=made: solved.append(m.shape) or f(m))
    distance(x, y)
    assert solved == [(9, 11) if "both" in route else (9, 9)]  # not 16 x 16


@each_route
def test_distance_of_shifted_gaussians_is_the_shift_squared(rng, route):
    covariance, mean, shift = random_covariance(rng, 6), rng.normal(size=6), rng.normal(size=6)
    x, y = sets(rng, route, (mean, covariance), (mean + shift, covariance))
    assert distance(x, y) == close(route, shift @ shift, np.trace(covariance))


@each_route
def test_distance_of_commuting_covariances(rng, route):
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    s, t = rng.uniform(0.1, 5, (2, 5))
    a, b = (turn * s**2 @ turn.T, turn * t**2 @ turn.T)
    x, y = sets(rng, route, (np.zeros(5), a), (np.zeros(5), b))
    assert distance(x, y) == close(route, ((s - t) ** 2).sum(), s @ s, t @ t)


@each_route
def test_distance_of_two_by_two_covariances(rng, route):
    # tr sqrt(M) = sqrt(tr M + 2 sqrt(det M)) for the 2x2 product M, which is not symmetric here.
    a, b, shift = random_covariance(rng, 2), random_covariance(rng, 2), rng.normal(size=2)
    product = a @ b
    assert np.abs(product - product.T).max() > 0.1
    root = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    x, y = sets(rng, route, (np.zeros(2), a), (shift, b))
    expected = shift @ shift + np.trace(a) + np.trace(b) - 2 * root
    assert distance(x, y) == close(route, expected, np.trace(a), np.trace(b))


@each_route
def test_distance_of_rank_one_covariances(rng, route):
    # For u u' and v v' the root of the product has the trace |u.v|.
    u, v = rng.normal(size=(2, 8))
    x, y = sets(rng, route, (np.zeros(8), np.outer(u, u)), (np.zeros(8), np.outer(v, v)))
    expected = u @ u + v @ v - 2 * abs(u @ v)
    # u u' of 8 dimensions is singular by every route: zeros at 1e-16, whose roots are 1e-8
    assert distance(x, y) == pytest.approx(expected, abs=1e-6)


@each_route
def test_distance_to_a_scaled_set_is_in_closed_form(rng, route):
    mean, covariance, c = rng.normal(size=6), random_covariance(rng, 6), 3.0
    x, y = sets(rng, route, (mean, covariance), (c * mean, c**2 * covariance))
    expected = (c - 1) ** 2 * (mean @ mean + np.trace(covariance))
    assert distance(x, y) == close(route, expected, c**2 * np.trace(covariance))


@each_route
@pytest.mark.parametrize("c", [0.5, 7.0])
def test_scaling_both_sets_scales_the_distance_by_its_square(rng, route, c):
    gaussians = [(rng.normal(size=6), random_covariance(rng, 6)) for _ in range(2)]
    x, y = sets(rng, route, *gaussians)
    scale = c**2 * max(np.trace(covariance) for _, covariance in gaussians)
    assert distance(c * x, c * y) == close(route, c**2 * distance(x, y), scale)


@each_route
def test_distance_is_invariant_to_rotation_and_to_an_offset(rng, route):
    x, y = sets(rng, route, *[(rng.normal(size=6), random_covariance(rng, 6)) for _ in range(2)])
    d = x.shape[1]
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    before, scale = distance(x, y), np.trace(np.cov(x.T)) + np.trace(np.cov(y.T))
    assert distance(x @ turn, y @ turn) == close(route, before, scale)
    # float64 holds 1e4 to 2e-12, which is the rounding of zeros then, and 1e-6 that of their roots
    assert distance(x + 1e4, y + 1e4) == pytest.approx(before, abs=1e-5 * scale)


@each_route
def test_distance_is_symmetric(rng, route):
    x, y = sets(rng, route, *[(rng.normal(size=6), random_covariance(rng, 6)) for _ in range(2)])
    scale = np.trace(np.cov(x.T)) + np.trace(np.cov(y.T))
    assert distance(x, y) > 0.01 * scale
    assert distance(x, y) == close(route, distance(y, x), scale)


@pytest.mark.parametrize("n", [2, 3, 40, 41, 300])
def test_distance_to_itself_is_exactly_zero(rng, n):
    x = rng.normal(size=(n, 40)) + 5
    a = Statistics.of(x)
    assert frechet_distance(a, a) == 0
    assert frechet_distance(a, Statistics.of(x.copy())) == 0
    cut = (statistics([x[: n // 2], x[n // 2 :]], 1) for _ in range(2))
    assert frechet_distance(*cut) == 0
    of_no_n = (Statistics.gaussian(a.mean, a.covariance) for _ in range(2))
    assert frechet_distance(*of_no_n) == 0


@pytest.mark.parametrize("n", [3, 8, 50])
def test_distance_is_never_negative(rng, n):
    x = rng.normal(size=(n, 8))
    for _ in range(20):
        # a sum of numbers near 8 that cancel, and roots of zeros at 1e-16
        assert 0 <= distance(x, x + rng.normal(size=x.shape) * 1e-12) < 1e-5


@pytest.mark.parametrize("least", [-1.0, -1e-3])
def test_an_indefinite_covariance_in_a_file_is_refused(rng, tmp_path, least):
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    sigma = turn * np.array([least, 1, 2, 3, 4]) @ turn.T
    assert sigma.diagonal().min() > -1
    sigma = (sigma + sigma.T) / 2 + np.diag(np.zeros(5))
    np.savez(tmp_path / "odd.npz", mu=np.zeros(5), sigma=sigma)
    with pytest.raises(ValueError, match=r"odd\.npz holds no usable statistics .*varia"):
        Statistics.load(tmp_path / "odd.npz")


def test_covariances_that_rounding_made_slightly_indefinite_load(rng, tmp_path):
    x = rng.normal(size=(30, 64)) @ rng.normal(size=(64, 64))  # of rank 29
    for kind in (np.float32, np.float64):
        sigma = np.cov(x.T).astype(kind)
        np.savez(tmp_path / "a.npz", mu=x.mean(0), sigma=sigma)
        assert Statistics.load(tmp_path / "a.npz").n is None
    np.savez(tmp_path / "a.npz", mu=np.zeros(3), sigma=np.zeros((3, 3)))
    assert Statistics.load(tmp_path / "a.npz").variance == 0


def test_another_mean_or_covariance_is_not_itself(rng):
    a = Statistics.gaussian(np.zeros(3), np.eye(3), 50)
    moved = Statistics.gaussian(np.full(3, 1e-3), np.eye(3), 50)
    wider = Statistics.gaussian(np.zeros(3), np.eye(3) * 1.01**2, 50)
    assert frechet_distance(a, moved) == pytest.approx(3e-6, rel=1e-6)  # 6 less 1e-15
    assert frechet_distance(a, wider) == pytest.approx(3e-4, rel=1e-6)


# --- Against scipy's matrix root -----------------------------------------------------------------


@pytest.mark.parametrize("d", [4, 30])
def test_distance_is_scipy_s(rng, d):
    x, y = rng.normal(size=(3 * d, d)), rng.gamma(2, size=(4 * d, d)) @ rng.normal(size=(d, d))
    s_x, s_y = np.cov(x.T), np.cov(y.T)
    step = x.mean(0) - y.mean(0)
    expected = step @ step + np.trace(s_x + s_y - 2 * scipy.linalg.sqrtm(s_x @ s_y).real)
    assert distance(x, y) == pytest.approx(expected, rel=1e-9)  # both in float64


@pytest.mark.parametrize(("n", "m"), [(12, 90), (90, 12), (12, 20), (20, 12), (30, 31)])
def test_trace_of_the_root_is_scipy_s_where_covariances_are_singular(rng, n, m):
    # sqrtm fails on the singular product. With x = n - 1 centred rows on an orthonormal basis of
    # what is not their mean, S_x S_y has the eigenvalues of x S_y x', which is not singular.
    x, y = rng.normal(size=(n, 30)), rng.gamma(2, size=(m, 30)) @ rng.normal(size=(30, 30))
    ours = trace_of_root(Statistics.of(x), Statistics.of(y))
    few, many = (x, y) if n <= m else (y, x)
    basis = scipy.linalg.null_space(np.ones((1, len(few))))
    factor = basis.T @ few / np.sqrt(len(few) - 1)
    expected = np.trace(scipy.linalg.sqrtm(factor @ np.cov(many.T) @ factor.T)).real
    # singular values are as exact as scipy; of n eigenvalues one is 0, at 1e-16, its root 1e-8
    assert ours == pytest.approx(expected, rel=1e-9 if max(n, m) <= 30 else 1e-7)


def test_all_routes_agree_on_the_same_two_sets(rng):
    d = 24
    x, y = rng.normal(size=(20, d)), rng.normal(1, 2, size=(22, d)) @ rng.normal(size=(d, d))
    kept = [Statistics.of(z) for z in (x, y)]
    dense = [Statistics.gaussian(z.mean(0), np.cov(z.T), len(z)) for z in (x, y)]
    first = trace_of_root(*kept)
    for a in (kept[0], dense[0]):
        for b in (kept[1], dense[1]):
            # the covariances have 5 and 3 zeros, at 1e-16 of some 100, and their roots count
            assert trace_of_root(a, b) == pytest.approx(first, rel=1e-6)
            assert trace_of_root(b, a) == pytest.approx(first, rel=1e-6)


@pytest.mark.parametrize("spoilt", ["dead in both", "dead in one", "doubled", "all alike"])
@pytest.mark.parametrize("swap", [False, True])
def test_features_that_say_nothing_new_change_nothing(rng, spoilt, swap):
    x, y = rng.normal(size=(60, 5)), rng.normal(1, 2, size=(70, 5)) @ rng.normal(size=(5, 5))
    if spoilt == "dead in both":
        a, b = (np.insert(z, 2, 3.0, axis=1) for z in (x, y))
        expected = distance(x, y)
    elif spoilt == "dead in one":  # it adds its variance and the square of the shift
        extra = rng.normal(size=60)
        a, b = np.column_stack([x, extra]), np.column_stack([y, np.full(70, 3.0)])
        expected = distance(x, y) + np.var(extra, ddof=1) + (extra.mean() - 3) ** 2
    elif spoilt == "doubled":  # a turn makes it sqrt(2) times the column, and a dead one
        a, b = (np.column_stack([z, z[:, 0]]) for z in (x, y))
        expected = distance(*(z * np.sqrt([2, 1, 1, 1, 1]) for z in (x, y)))
    else:
        a, b = x, np.tile(y[0], (70, 1))
        expected = ((x.mean(0) - y[0]) ** 2).sum() + np.trace(np.cov(x.T))
    a, b = (b, a) if swap else (a, b)
    # the root of one zero, at 1e-16 of the largest eigenvalues of some 10
    assert distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_distance_between_samples_of_one_gaussian_has_its_known_bias(rng):
    # For equal Gaussians E = (1/n + 1/m)(5/4 tr S + 1/2 sum_ij li lj / (li + lj)), here S = I.
    d, n, m = 5, 400, 300
    expected = (1 / n + 1 / m) * (5 / 4 * d + d * d / 4)
    draws = [distance(rng.normal(size=(n, d)), rng.normal(size=(m, d))) for _ in range(100)]
    # a standard error of some 3% over 100 draws, and terms of higher order in 1/n
    assert np.mean(draws) == pytest.approx(expected, rel=0.15)


# --- What is refused, and what is warned of ------------------------------------------------------


def test_other_dimensions_do_not_compare(rng):
    with pytest.raises(ValueError, match="4 and 5 dimensions"):
        frechet_distance(*(Statistics.of(rng.normal(size=(9, d))) for d in (4, 5)))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (SPACE._replace(protocol="clean"), "differ in their protocol: pytorch and clean"),
        (SPACE._replace(layer=192), "differ in their layer: 64 and 192"),
        (SPACE._replace(weights="6" * 64), "differ in their weights: 5{64} and 6{64}"),
    ],
)
def test_other_protocols_layers_and_weights_do_not_compare(rng, other, message):
    x = rng.normal(size=(9, 4))
    a, b = Statistics.of(x, SPACE), Statistics.of(x, other)
    with pytest.raises(ValueError, match=message):
        frechet_distance(a, b)
    with pytest.raises(ValueError, match=message):
        a.merged(b)


def test_a_set_of_unknown_space_compares_with_any(rng):
    x, y = rng.normal(size=(2, 9, 4))
    expected = distance(x, y)
    for spaces in ((SPACE, None), (None, SPACE), (SPACE, SPACE)):
        a, b = (Statistics.of(z, space) for z, space in zip((x, y), spaces, strict=True))
        assert frechet_distance(a, b) == expected
        assert a.merged(b).space == SPACE


@pytest.mark.parametrize(("n", "m"), [(1, 9), (9, 1), (1, 1)])
def test_one_sample_has_no_distance(rng, n, m):
    with pytest.raises(ValueError, match="two samples or more, there is 1"):
        distance(rng.normal(size=(n, 3)), rng.normal(size=(m, 3)))
    with pytest.raises(ValueError, match="two samples or more, there is 1"):
        _ = statistics([np.zeros((1, 3))]).covariance


@pytest.mark.parametrize(("n", "m", "few"), [(6, 100, 6), (100, 3, 3), (5, 4, 4)])
def test_fewer_samples_than_dimensions_are_warned_of_with_both_numbers(rng, n, m, few):
    a, b = Statistics.of(rng.normal(size=(n, 7))), Statistics.of(rng.normal(size=(m, 7)))
    with pytest.warns(FewImagesWarning, match=rf"N = {few} is below the 7 dimensions") as caught:
        frechet_distance(a, b)
    assert [warning.filename for warning in caught] == [__file__]  # the caller's line


@pytest.mark.parametrize(("n", "m"), [(7, 7), (7, 100), (100, 100), (None, None), (None, 7)])
def test_enough_samples_and_unknown_ones_are_not_warned_of(rng, n, m):
    a, b = (Statistics.gaussian(np.zeros(7), random_covariance(rng, 7), k) for k in (n, m))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert frechet_distance(a, b) > 0


@pytest.mark.parametrize("features", [np.zeros(3), np.zeros((2, 3, 4)), np.float64(1)])
def test_features_must_be_a_table(features):
    with pytest.raises(ValueError, match=rf"\(N, d\), not {re.escape(str(np.shape(features)))}"):
        Statistics.of(features)


@pytest.mark.parametrize(
    ("mean", "covariance"), [((3,), (3, 4)), ((3,), (4, 4)), ((3,), (3,)), ((1, 3), (3, 3))]
)
def test_a_mean_and_a_covariance_must_fit(mean, covariance):
    shapes = re.escape(f"{mean} and {covariance}")
    with pytest.raises(ValueError, match=shapes):
        Statistics.gaussian(np.zeros(mean), np.zeros(covariance))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_by_its_row(rng, bad):
    x = rng.normal(size=(10, 3))
    x[7, 1] = x[8, 0] = bad
    with pytest.raises(ValueError, match="features hold NaN or infinity, first in row 7;"):
        Statistics.of(x)
    with pytest.raises(ValueError, match="features hold NaN or infinity, first in row 7;"):
        statistics([x[:5], x[5:]])
    with pytest.raises(ValueError, match="row 7;"):
        statistics([x[:5], x[5:]], at_once=5)
    mean, covariance = np.zeros(3), np.eye(3)
    covariance[2, 0] = bad
    with pytest.raises(ValueError, match="covariance hold NaN or infinity, first in row 2;"):
        Statistics.gaussian(mean, covariance)
    mean[1] = bad
    with pytest.raises(ValueError, match="mean hold NaN or infinity, first in row 1;"):
        Statistics.gaussian(mean, np.eye(3))


@pytest.mark.parametrize(
    ("mean", "covariance", "n", "message"),
    [
        (np.zeros(2), [[1, 0.5], [0.4, 1]], 9, "symmetric; this one differs by 0.1"),
        (np.zeros(2), [[1, 0], [0, -2]], 9, "dimension 1 has the variance -2"),
        (np.zeros(2), np.eye(2) + 0j, 9, "covariance must be real"),
        (np.zeros(2) + 1j, np.eye(2), 9, "mean must be real"),
        (np.zeros(0), np.zeros((0, 0)), 9, r"not \(0,\) and \(0, 0\)"),
        (np.zeros(2), np.eye(2), 0, "a whole number of 1 or more, not 0"),
        (np.zeros(2), np.eye(2), 2.5, "a whole number of 1 or more, not 2.5"),
        (np.zeros(2), np.eye(2), np.nan, "a whole number of 1 or more, not nan"),
        (np.zeros(2), np.eye(2), np.inf, "a whole number of 1 or more, not inf"),
    ],
)
def test_what_is_no_gaussian_is_refused(mean, covariance, n, message):
    with pytest.raises(ValueError, match=message):
        Statistics.gaussian(mean, np.array(covariance), n)


def test_a_covariance_may_be_symmetric_up_to_rounding():
    covariance = np.array([[4.0, 1 + 1e-9], [1, 1]])
    assert Statistics.gaussian(np.zeros(2), covariance, 9.0).n == 9


def test_complex_features_are_refused():
    with pytest.raises(ValueError, match="features must be real"):
        Statistics.of(np.zeros((3, 2)) + 1j)


def test_statistics_are_one_object_each(rng):
    # arrays have no one truth of equality: a set is itself only, and can be a key
    x = rng.normal(size=(9, 3))
    a, b = Statistics.of(x), Statistics.of(x)
    assert a == a and a != b and len({a, b}) == 2


@pytest.mark.parametrize("n", [3, 30])
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_features_whose_squares_overflow_are_refused(rng, n):
    # LAPACK would not come back from the infinities.
    with pytest.raises(ValueError, match=r"inf"):
        distance(rng.normal(size=(n, 4)) * 1e200, rng.normal(size=(n, 4)) * 1e200)
