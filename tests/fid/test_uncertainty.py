"""KID, bias, bootstrap and floor, against plain loops, closed forms and simulation."""

import re
import warnings

import numpy as np
import pytest

from srkit.fid import uncertainty
from srkit.fid.frechet import FewImagesWarning, frechet_distance
from srkit.fid.statistics import Statistics
from srkit.fid.uncertainty import bootstrap, bootstrap_all, expected_bias, halves, interval, kid

pytestmark = pytest.mark.filterwarnings("ignore::srkit.fid.frechet.FewImagesWarning")


def distance(x, y):
    return frechet_distance(Statistics.of(x), Statistics.of(y))


def standard_error(draws):
    return np.std(draws, ddof=1) / np.sqrt(len(draws))


# --- KID -----------------------------------------------------------------------------------------


def plain_kid(x, y, paired=False):
    """The unbiased estimate, a pair at a time."""

    def mean_kernel(a, b, leave_out_own):
        values = [
            (sum(a[i, k] * b[j, k] for k in range(a.shape[1])) / a.shape[1] + 1) ** 3
            for i in range(len(a))
            for j in range(len(b))
            if not (leave_out_own and i == j)
        ]
        return sum(values) / len(values)

    return mean_kernel(x, x, True) + mean_kernel(y, y, True) - 2 * mean_kernel(x, y, paired)


@pytest.mark.parametrize(("n", "m", "d"), [(7, 9, 3), (2, 2, 1), (12, 5, 20)])
def test_kid_is_that_of_a_plain_double_loop(rng, n, m, d):
    x, y = rng.normal(size=(n, d)), rng.normal(1, 2, size=(m, d))
    assert kid(x, y) == pytest.approx(plain_kid(x, y), rel=1e-10)  # float64
    assert kid(y, x) == pytest.approx(kid(x, y), rel=1e-10)


@pytest.mark.parametrize("d", [1, 6])
def test_paired_kid_leaves_the_pairs_out(rng, d):
    x = rng.normal(size=(8, d))
    y = x + 0.3 * rng.normal(size=(8, d))
    expected = plain_kid(x, y, paired=True)
    assert kid(x, y, paired=True) == pytest.approx(expected, rel=1e-9)  # float64, a difference
    assert abs(kid(x, y) - expected) > 1e-3


def test_paired_kid_of_a_set_and_itself_is_zero(rng):
    x = rng.normal(size=(50, 8))
    assert kid(x, x, paired=True) == kid(x, x.copy(), paired=True) == 0
    nearly = np.nextafter(x, np.inf)
    assert abs(kid(x, nearly, paired=True)) < 1e-12  # float64, numbers near 1
    assert kid(x, x) < -0.01  # unpaired, the 50 pairs of a row and itself count as alike


@pytest.mark.parametrize("rows", [1, 3, 7, 20, 1000])
@pytest.mark.parametrize("paired", [False, True])
def test_kid_does_not_depend_on_how_many_rows_are_taken_at_once(rng, rows, paired):
    x, y = rng.normal(size=(20, 4)), rng.normal(0.5, 1, size=(20, 4))
    assert kid(x, y, paired, rows) == pytest.approx(plain_kid(x, y, paired), rel=1e-10)  # float64


@pytest.mark.parametrize("n", [20, 200])
def test_kid_of_two_sets_of_one_gaussian_is_zero_on_average_and_fid_is_not(rng, n):
    draws = [rng.normal(size=(2, n, 8)) for _ in range(100)]
    kids, distances = ([f(x, y) for x, y in draws] for f in (kid, distance))
    # four standard errors: one seed in some 16,000 would fail
    assert abs(np.mean(kids)) < 4 * standard_error(kids)
    assert np.mean(distances) > 20 * standard_error(distances)


@pytest.mark.parametrize("n", [20, 200])
def test_kid_of_two_gaussians_is_the_distance_of_their_moments_on_average(rng, n):
    # In one dimension (xy + 1)^3 = 1 + 3xy + 3x^2 y^2 + x^3 y^3, so the squared MMD is the sum of
    # 3, 3 and 1 times the squared differences of the first three moments. N(0, 1) has 0, 1, 0 and
    # N(1, 1) has 1, 2, 4.
    expected = 3 * 1 + 3 * 1 + 16
    draws = [kid(rng.normal(size=(n, 1)), rng.normal(1, 1, size=(n, 1))) for _ in range(40000 // n)]
    assert np.mean(draws) == pytest.approx(expected, abs=4 * standard_error(draws))
    assert standard_error(draws) < 1  # so that the line above says something


def test_float32_features_give_the_kid_of_float64(rng):
    x, y = rng.normal(size=(2, 9, 4)).astype(np.float32)
    assert kid(x, y) == kid(x.astype(np.float64), y.astype(np.float64))


@pytest.mark.parametrize("shapes", [((9,), (9, 3)), ((9, 3), (9, 4)), ((9, 3), (2, 9, 3))])
def test_kid_of_other_shapes_is_refused(shapes):
    x, y = map(np.zeros, shapes)
    with pytest.raises(ValueError, match=re.escape(f"{shapes[0]} and {shapes[1]}")):
        kid(x, y)


@pytest.mark.parametrize(("n", "m"), [(1, 5), (5, 1), (0, 5)])
def test_kid_needs_two_samples(n, m):
    with pytest.raises(ValueError, match=f"two samples or more on both sides, .* {n} and {m}"):
        kid(np.zeros((n, 3)), np.zeros((m, 3)))


def test_paired_sets_have_equally_many_rows():
    x, y = np.zeros((5, 3)), np.zeros((6, 3))
    for paired in (kid, bootstrap):
        with pytest.raises(ValueError, match="not 5 and 6"):
            paired(x, y, paired=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("side", ["first", "second"])
def test_kid_names_the_row_that_is_not_finite(rng, bad, side):
    x, y = rng.normal(size=(2, 9, 3))
    (x if side == "first" else y)[4, 1] = bad
    with pytest.raises(ValueError, match=f"features of the {side} set .* row 4;"):
        kid(x, y)


# --- The bias of small N -------------------------------------------------------------------------


@pytest.mark.parametrize(("d", "n", "m"), [(1, 100, 100), (5, 400, 300), (64, 50_000, 1000)])
def test_the_bias_of_white_features_is_in_closed_form(d, n, m):
    # l = 1: tr S is d and each of the d^2 terms is 1/2.
    expected = d * (5 / 4 + d / 4) * (1 / n + 1 / m)
    assert expected_bias(np.eye(d), n, m) == pytest.approx(expected, rel=1e-10)  # float64


def test_the_bias_of_two_variances_is_in_closed_form():
    # l = 4 and 1: sum of l_i l_j / (l_i + l_j) = 2 + 1/2 + 2 * 4/5.
    expected = (1.25 * 5 + 0.5 * (2 + 0.5 + 1.6)) * (1 / 50 + 1 / 200)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    for covariance in (np.diag([4.0, 1.0]), turn @ np.diag([4.0, 1.0]) @ turn.T):
        assert expected_bias(covariance, 50, 200) == pytest.approx(expected, rel=1e-12)  # float64


def test_dead_features_add_no_bias():
    white = expected_bias(np.eye(3), 100, 100)
    dead = expected_bias(np.diag([1.0, 0, 1, 0, 1]), 100, 100)
    assert dead == pytest.approx(white, rel=1e-12)  # float64
    assert expected_bias(np.zeros((2, 2)), 100, 100) == 0


def test_a_distance_of_two_samples_of_one_gaussian_is_its_bias_on_average(rng):
    root = np.array([[2.0, 0, 0], [0.5, 1, 0], [-0.3, 0.4, 0.3]])
    n, m = 500, 300
    draws = [
        distance(rng.normal(size=(n, 3)) @ root.T, rng.normal(size=(m, 3)) @ root.T)
        for _ in range(500)
    ]
    expected = expected_bias(root @ root.T, n, m)
    # terms of second order in 1/n are some 1% here, and chance four standard errors
    tolerance = 0.01 * expected + 4 * standard_error(draws)
    assert np.mean(draws) == pytest.approx(expected, abs=tolerance)
    assert tolerance < 0.2 * expected


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_bias_of_what_is_not_finite_is_refused(bad):
    covariance = np.eye(3)
    covariance[1, 1] = bad
    with pytest.raises(ValueError, match="covariance hold NaN or infinity, first in row 1;"):
        expected_bias(covariance, 100, 100)


# --- Bootstrap and interval ----------------------------------------------------------------------


@pytest.mark.parametrize("paired", [False, True])
def test_a_bootstrap_is_repeated_by_its_seed(rng, paired):
    x, y = rng.normal(size=(2, 15, 4))
    first, again, other = (bootstrap(x, y, paired, 7, seed) for seed in (3, 3, 4))
    assert first.shape == (7,)
    assert np.array_equal(first, again)
    assert len(np.unique(first)) == 7
    assert not np.isclose(first, other).any()


def test_a_paired_bootstrap_draws_the_same_photographs_of_both_sets(rng):
    # Moved by a constant, every draw keeps its covariance: the distance is the shift alone.
    x, shift = rng.normal(size=(30, 4)), np.array([1.0, 2, 0, -1])
    draws = bootstrap(x, x + shift, paired=True, rounds=20)
    assert draws == pytest.approx(shift @ shift, rel=1e-9)  # float64
    apart = bootstrap(x, x + shift, rounds=20)
    assert np.abs(apart - shift @ shift).min() > 1e-4
    assert np.array_equal(bootstrap(x, x, paired=True, rounds=20), np.zeros(20))


def test_sets_of_one_photograph_set_are_drawn_alike(rng):
    # Ratios of two results on the same photographs are ratios on one draw.
    x, y = rng.normal(size=(30, 4)), rng.normal(1, 2, size=(30, 4))
    draws, tripled = bootstrap(x, y, True, 9), bootstrap(3 * x, 3 * y, True, 9)
    assert tripled / draws == pytest.approx(9, rel=1e-9)  # float64


def test_several_sets_are_drawn_at_once_and_the_other_side_is_counted_once(rng, monkeypatch):
    sets, y = {name: rng.normal(size=(12, 3)) for name in "abc"}, rng.normal(1, 2, size=(12, 3))
    expected, draws = {name: [] for name in sets}, np.random.default_rng(5)
    for _ in range(4):
        rows = draws.integers(12, size=12)
        for name, x in sets.items():
            expected[name].append(distance(x[rows], y[rows]))
    made = []
    original = Statistics.of
    monkeypatch.setattr(uncertainty.Statistics, "of", lambda x: made.append(1) or original(x))
    together = bootstrap_all(sets, y, rounds=4, seed=5)
    assert len(made) == 4 * (1 + len(sets))
    for name in sets:
        assert np.array_equal(together[name], expected[name])
    with pytest.raises(ValueError, match="equally many rows, not 11 and 12"):
        bootstrap_all({"a": y[:11]}, y)


def test_sets_of_any_two_sizes_are_drawn_with_replacement(rng):
    x, y = rng.normal(size=(2, 3)), rng.normal(size=(40, 3)) + 5
    draws = bootstrap(x, y, rounds=200, seed=0)
    # Of two rows, both are drawn, or one twice: then nothing of x varies.
    alone = [distance(np.stack([row, row]), y) for row in x]
    assert draws.shape == (200,) and np.isfinite(draws).all()
    assert draws.min() < max(alone) and draws.max() > min(alone)
    assert len(np.unique(draws)) == 200  # y is drawn as well


def test_a_bootstrap_of_no_rounds_is_refused(rng):
    with pytest.raises(ValueError, match="one round or more, not 0"):
        bootstrap(*rng.normal(size=(2, 5, 3)), rounds=0)


def test_a_bootstrap_of_few_photographs_does_not_warn_at_every_draw(rng):
    with warnings.catch_warnings():
        warnings.simplefilter("error", FewImagesWarning)
        assert bootstrap(*rng.normal(size=(2, 5, 9)), rounds=3).min() > 0


def test_an_interval_is_the_spread_of_the_draws_around_the_value():
    draws = np.arange(101.0) + 30  # mean 80; 2.5% and 97.5% lie 47.5 from it
    assert interval(50.0, draws) == pytest.approx((2.5, 97.5))
    assert interval(50.0, draws, confidence=0.5) == pytest.approx((25, 75))
    assert interval(10.0, draws) == pytest.approx((0, 57.5))  # no distance is below 0
    assert interval(50.0, np.full(9, 3.0)) == (50, 50)


def test_a_95_percent_interval_covers_the_distance_at_this_n(rng):
    root, n = np.array([1.5, 1, 0.5, 2]), 100

    def sets():
        return rng.normal(size=(n, 4)), 0.5 + rng.normal(size=(n, 4)) * root

    mean = np.mean([distance(*sets()) for _ in range(2000)])
    covered = 0
    for round_ in range(80):
        x, y = sets()
        low, high = interval(distance(x, y), bootstrap(x, y, rounds=100, seed=round_))
        covered += low <= mean <= high
    # some 90% over many seeds, as a bootstrap of a skewed number has at N = 100
    assert covered >= 0.85 * 80
    # an interval that covers whatever comes would be of no use
    assert high - low < mean


# --- Halves --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 9, 10, 101])
def test_halves_are_of_one_length_and_share_no_photograph(n):
    features = np.arange(3 * n).reshape(n, 3)
    first, second = halves(features)
    assert first.shape == second.shape == (n // 2, 3)
    rows = {tuple(row) for row in (*first.tolist(), *second.tolist())}
    assert len(rows) == 2 * (n // 2)
    assert rows <= {tuple(row) for row in features.tolist()}


def test_halves_are_at_random_and_repeated_by_their_seed():
    features = np.arange(100)[:, None]
    first = halves(features, seed=1)[0].ravel()
    assert np.array_equal(first, halves(features, seed=1)[0].ravel())
    assert not np.array_equal(first, halves(features, seed=2)[0].ravel())
    # the mean of 50 of 0 ... 99 is 49.5, with a deviation of 2.9
    assert abs(first.mean() - 49.5) < 4 * 2.9
    assert set(first) != set(range(50))
