"""Samples of known truth."""

import numpy as np
import pytest

from srkit.notebook import sampling


def test_samples_of_a_pool_have_no_common_row(rng):
    one, other = sampling.from_pool(np.arange(20.0)[:, None], rng)(10)
    assert sorted([*one[:, 0], *other[:, 0]]) == list(range(20))


def test_gaussian_like_has_the_pool_s_mean_and_covariance(rng):
    pool = rng.normal(size=(500, 3)) @ np.diag([1.0, 2.0, 3.0]) + 5
    one, other = sampling.gaussian_like(pool, rng)(50_000)
    for sample in (one, other):
        assert sample.mean(0) == pytest.approx(pool.mean(0), abs=0.1)
        assert np.cov(sample.T) == pytest.approx(np.cov(pool.T), abs=0.25)


def test_the_truth_is_the_limit_of_many_samples():
    rng = np.random.default_rng(0)
    sets = [sampling.predicted(True, rng) for _ in range(2_000)]
    sr, hr = (np.concatenate(part) for part in zip(*sets, strict=True))
    assert sampling.distance(sr, hr) == pytest.approx(sampling.TRUTH, rel=0.02)


def test_intervals_catch_the_mean_at_n_more_often_than_the_truth():
    found = sampling.coverage(False, np.random.default_rng(0), trials=40)
    mean, truth = found.caught
    assert mean > 32 and truth < mean and found.mean_at_n > sampling.TRUTH
    assert found.ends[0] < found.value < found.ends[1]
