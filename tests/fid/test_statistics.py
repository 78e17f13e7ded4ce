"""Statistics of features: a stream, parts merged, files of ours and of pytorch-fid."""

import re

import numpy as np
import pytest

from srkit.fid.frechet import frechet_distance
from srkit.fid.statistics import Accumulator, Space, Statistics, statistics

pytestmark = pytest.mark.filterwarnings("ignore::srkit.fid.frechet.FewImagesWarning")


SPACE = Space("pytorch", 64, "5" * 64)


def random_covariance(rng, d, rank=None):
    root = rng.normal(size=(d, rank or d))
    return root @ root.T


def distance(x, y):
    return frechet_distance(Statistics.of(x), Statistics.of(y))


# --- Streaming -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[1] * 30, [29, 1], [1, 29], [7, 11, 12], [30], [0, 30]])
@pytest.mark.parametrize("rows_at_once", [1, 8, 1024])
@pytest.mark.parametrize("d", [5, 40])
def test_a_stream_is_the_whole_however_it_is_cut(rng, sizes, rows_at_once, d):
    x = rng.normal(size=(30, d)) + 1e4  # an offset that sums of squares would not survive
    y = rng.normal(1, 2, size=(35, d)) + 1e4
    batches = np.split(x, np.cumsum(sizes)[:-1])
    stream = statistics((batch for batch in batches if len(batch)), rows_at_once)
    assert stream.n == 30
    assert np.allclose(stream.mean, x.mean(0), rtol=1e-14)
    # float64 keeps 1e4 to 2e-12, and deviations are of order one
    assert np.allclose(stream.covariance, np.cov(x.T), rtol=1e-9, atol=1e-10)
    assert stream.variance == pytest.approx(np.trace(np.cov(x.T)), rel=1e-9)
    # what is left of 1e4 is as exact; roots of zeros at d = 40 cost half the digits
    expected = distance(x, y)
    assert frechet_distance(stream, Statistics.of(y)) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("at_once", [8, 1024])  # at 8, as where `feature_stream` ends in none
def test_empty_parts_of_a_stream_add_nothing(rng, place, at_once):
    x, empty = rng.normal(size=(16, 3)), np.zeros((0, 3))
    parts = [x[:8], x[8:]]
    parts.insert(place, empty)
    found = statistics(parts, at_once)
    assert found.n == 16
    assert np.allclose(found.covariance, np.cov(x.T), rtol=1e-12)  # float64


def test_an_accumulator_can_be_read_on_the_way(rng):
    x = rng.normal(size=(30, 4))
    accumulator = Accumulator(at_once=8, space=SPACE)
    for end in (3, 10, 30):
        start = accumulator.whole.n if accumulator.whole else 0
        accumulator.add(x[start:end])
        found = accumulator.statistics()
        assert (found.n, found.space) == (end, SPACE)
        assert np.allclose(found.covariance, np.cov(x[:end].T), rtol=1e-10, atol=1e-14)  # float64


def test_few_rows_wait_in_memory(rng):
    accumulator = Accumulator(at_once=10)
    for batch in np.array_split(rng.normal(size=(100, 3)), 25):
        accumulator.add(batch)
        assert sum(map(len, accumulator.waiting)) < 10
    assert accumulator.statistics().features is None  # nor are they kept where n > d


def test_float32_features_are_summed_in_float64(rng):
    x = (rng.normal(size=(50, 3)) + 1e3).astype(np.float32)
    covariance = statistics([x[:20], x[20:]]).covariance
    assert covariance.dtype == np.float64
    assert np.allclose(covariance, np.cov(x.astype(np.float64).T), rtol=1e-9)  # float64


def test_a_batch_that_is_filled_anew_was_taken_in_before(rng):
    x, buffer = rng.normal(size=(30, 4)), np.empty((10, 4))
    accumulator = Accumulator()
    for part in np.split(x, 3):
        buffer[:] = part
        accumulator.add(buffer)
    assert np.allclose(accumulator.statistics().mean, x.mean(0), rtol=1e-12)  # float64


def test_statistics_keep_no_array_of_the_caller_s(rng):
    x, mean, covariance = rng.normal(size=(4, 6)), np.zeros(3), np.eye(3)
    kept, dense = Statistics.of(x), Statistics.gaussian(mean, covariance, 9)
    before = x.copy()
    x[:], mean[:], covariance[:] = 0, 1, 2
    assert np.array_equal(kept.features, before)
    assert np.array_equal(dense.mean, np.zeros(3)) and np.array_equal(dense.full, np.eye(3))


@pytest.mark.parametrize("batches", [[], [np.zeros((0, 3))]])
def test_an_empty_stream_is_refused(batches):
    with pytest.raises(ValueError, match="no features"):
        statistics(batches)


# --- Merging -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(4, 5), (8, 9), (9, 30), (30, 9), (30, 40), (1, 1), (1, 30)])
def test_merged_parts_are_the_whole_in_either_order(rng, n, m):
    # d = 10: the first pair keeps its features together, the next only apart, the others partly.
    x, y = rng.normal(size=(n, 10)) + 1e4, rng.normal(1, 2, size=(m, 10)) + 1e4
    a, b, whole = Statistics.of(x, SPACE), Statistics.of(y, SPACE), np.concatenate([x, y])
    for merged in (a.merged(b), b.merged(a)):
        assert (merged.n, merged.space) == (n + m, SPACE)
        assert (merged.features is not None) == (n + m <= 10)
        assert np.allclose(merged.mean, whole.mean(0), rtol=1e-14)
        # float64 keeps 1e4 to 2e-12
        assert np.allclose(merged.covariance, np.cov(whole.T), rtol=1e-9, atol=1e-10)


def test_the_order_of_many_parts_does_not_matter(rng):
    x = rng.normal(size=(60, 8)) * np.linspace(1, 3, 60)[:, None]
    parts = [Statistics.of(part) for part in np.split(x, [3, 8, 30, 33])]
    left = parts[0].merged(parts[1]).merged(parts[2]).merged(parts[3]).merged(parts[4])
    right = parts[4].merged(parts[2].merged(parts[0])).merged(parts[3].merged(parts[1]))
    for merged in (left, right):
        assert merged.n == 60
        assert np.allclose(merged.covariance, np.cov(x.T), rtol=1e-12, atol=1e-14)  # float64


def test_merging_leaves_the_parts_as_they_were(rng):
    x, y = rng.normal(size=(9, 4)), rng.normal(size=(3, 4))
    a, b = Statistics.of(x), Statistics.of(y)
    a.merged(b)
    assert (a.n, b.n) == (9, 3)
    assert np.array_equal(a.mean, x.mean(0)) and np.array_equal(b.features, y)
    assert np.allclose(a.covariance, np.cov(x.T), rtol=1e-12)  # float64


def test_statistics_of_unknown_n_cannot_be_merged(rng):
    known, unknown = Statistics.of(rng.normal(size=(9, 2))), Statistics.gaussian([0, 0], np.eye(2))
    for a, b in ((known, unknown), (unknown, known), (unknown, unknown)):
        with pytest.raises(ValueError, match="unknown N cannot be merged"):
            a.merged(b)


def test_parts_of_other_dimensions_cannot_be_merged(rng):
    a, b = (Statistics.of(rng.normal(size=(9, d))) for d in (4, 5))
    with pytest.raises(ValueError, match="4 and 5 dimensions"):
        a.merged(b)


@pytest.mark.parametrize("cut", [4, 15, 26])
def test_parts_of_two_files_are_merged_to_the_whole(rng, tmp_path, cut):
    x = rng.normal(size=(30, 6)) + 1e3
    files = [tmp_path / "first.npz", tmp_path / "second.npz"]
    for file, part in zip(files, (x[:cut], x[cut:]), strict=True):
        Statistics.of(part, SPACE).save(file)
    merged = Statistics.load(files[0]).merged(Statistics.load(files[1]))
    assert (merged.n, merged.space) == (30, SPACE)
    assert np.allclose(merged.mean, x.mean(0), rtol=1e-14)
    # float64 keeps 1e3 to 2e-13
    assert np.allclose(merged.covariance, np.cov(x.T), rtol=1e-10, atol=1e-11)


# --- Files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [5, 10, 11, 64])
def test_a_file_holds_what_pytorch_fid_reads(rng, tmp_path, n):
    x = rng.normal(size=(n, 10)) + 100
    path = Statistics.of(x, SPACE).save(tmp_path / "new" / "set.npz")
    assert [file.name for file in path.parent.iterdir()] == ["set.npz"]  # nothing left aside
    with np.load(path, allow_pickle=False) as file:
        # float64 keeps 100 to 2e-14
        assert np.allclose(file["mu"], np.mean(x, 0), rtol=1e-14)
        assert np.allclose(file["sigma"], np.cov(x, rowvar=False), rtol=1e-10, atol=1e-12)
        assert file["n"] == n
        assert Space(*(file[name].item() for name in Space._fields)) == SPACE
        assert ("features" in file) == (n <= 10)


@pytest.mark.parametrize("n", [5, 10, 11, 64])
@pytest.mark.parametrize("space", [None, SPACE])
def test_a_file_gives_the_same_distance_to_the_last_bit(rng, tmp_path, n, space):
    a, b = Statistics.of(rng.normal(size=(n, 10)), space), Statistics.of(rng.normal(size=(40, 10)))
    loaded = Statistics.load(a.save(tmp_path / "set.npz"))
    assert (loaded.n, loaded.space) == (n, space)
    assert (loaded.features is None) == (a.features is None)
    assert np.array_equal(loaded.covariance, a.covariance)
    assert frechet_distance(loaded, b) == frechet_distance(a, b)
    assert frechet_distance(b, loaded) == frechet_distance(b, a)


def test_a_set_is_at_zero_from_its_file(rng, tmp_path):
    # Up to 6 features are kept.
    sets = [Statistics.of(rng.normal(size=(n, 6))) for n in range(2, 40)]
    loaded = [Statistics.load(a.save(tmp_path / "set.npz")) for a in sets]
    assert [frechet_distance(a, b) for a, b in zip(sets, loaded, strict=True)] == [0] * len(sets)


@pytest.mark.parametrize("space", [None, SPACE])
def test_a_set_of_unknown_n_comes_back_from_its_file(rng, tmp_path, space):
    a = Statistics.gaussian(rng.normal(size=3), random_covariance(rng, 3), space=space)
    loaded = Statistics.load(a.save(tmp_path / "set.npz"))
    assert (loaded.n, loaded.space) == (None, space)
    assert frechet_distance(a, loaded) == 0


def test_a_part_of_one_row_can_be_saved_and_merged(rng, tmp_path):
    x = rng.normal(size=(5, 3))
    part = Statistics.load(Statistics.of(x[4:]).save(tmp_path / "part.npz"))
    merged = Statistics.of(x[:4]).merged(part)
    assert np.allclose(merged.covariance, np.cov(x.T), rtol=1e-12)  # float64


def test_saving_goes_aside_first_and_leaves_the_old_file_whole(rng, tmp_path, monkeypatch):
    x = rng.normal(size=(2, 9, 3))
    path = Statistics.of(x[0]).save(tmp_path / "set.npz")

    def fail(*_, **__):
        raise OSError("full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="full"):
        Statistics.of(x[1]).save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["set.npz"]
    assert np.array_equal(Statistics.load(path).mean, x[0].mean(0))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_file_of_pytorch_fid_s_is_read(rng, tmp_path, save):
    x, y = rng.normal(size=(60, 5)), rng.normal(1, 2, size=(50, 5))
    save(tmp_path / "set.npz", mu=x.mean(0), sigma=np.cov(x, rowvar=False))
    loaded = Statistics.load(tmp_path / "set.npz")
    assert loaded.n is None and loaded.space is None
    assert np.array_equal(loaded.covariance, np.cov(x, rowvar=False))
    # np.cov's rounding in float64
    expected = distance(x, y)
    assert frechet_distance(loaded, Statistics.of(y, SPACE)) == pytest.approx(expected, rel=1e-9)
    with pytest.raises(ValueError, match="unknown N"):
        loaded.merged(Statistics.of(y))


def test_an_absent_file_is_named(tmp_path):
    for path in (tmp_path / "absent.npz", tmp_path):
        with pytest.raises(FileNotFoundError, match=re.escape(str(path))):
            Statistics.load(path)


def truncated(content, part):
    return content[: int(len(content) * part)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"mu: 1\nsigma: 2\n",
        lambda content: truncated(content, 0.1),
        lambda content: truncated(content, 0.5),
        lambda content: truncated(content, 0.99),
        lambda content: content[:400] + bytes([content[400] ^ 255]) + content[401:],
    ],
    ids=["empty", "text", "a tenth", "half", "nearly whole", "a byte of mu"],
)
def test_a_damaged_file_is_named(rng, tmp_path, damage):
    path = Statistics.of(rng.normal(size=(99, 50))).save(tmp_path / "set.npz")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=re.escape(f"{path} holds no usable statistics")):
        Statistics.load(path)


@pytest.mark.parametrize(
    "held",
    [
        {"mu": np.zeros(3)},
        {"sigma": np.eye(3)},
        {"other": np.zeros(3)},
        {"mu": np.zeros(3), "sigma": np.eye(4)},
        {"mu": np.zeros(3), "sigma": np.full((3, 3), np.nan)},
        {"mu": np.array(["a", "b"]), "sigma": np.eye(2)},
        {"mu": np.array([{}], dtype=object), "sigma": np.eye(1)},  # a pickle is not opened
        {"mu": np.zeros(3), "sigma": np.eye(3), "protocol": np.array("tf"), "n": np.array(9)},
        {"mu": np.zeros(2), "sigma": np.eye(2), "features": np.zeros(2)},
        {"mu": np.zeros(2), "sigma": np.eye(2), "n": np.array(2.5)},
        {"mu": np.zeros(2), "sigma": np.eye(2), "n": np.array(0)},
        {"mu": np.zeros(2), "sigma": np.eye(2), "n": np.array([3, 4])},
        {"mu": np.zeros(2), "sigma": np.eye(2), "n": np.array("many")},
        {"mu": np.zeros(2), "sigma": -np.eye(2)},
        {"mu": np.zeros(2), "sigma": np.array([[1.0, 2], [0, 1]])},
        {"mu": np.zeros(2), "sigma": np.eye(2) * 1j},
        {"features": np.eye(3)},
        {"mu": np.ones(3), "features": np.eye(3)},
        {"mu": np.ones(2) / 3, "features": np.eye(3)},
        {"mu": np.ones(3) / 3, "features": np.eye(3), "n": np.array(4)},
        {"mu": np.ones(3) / 3, "features": np.eye(3) + 1j},
    ],
)
def test_a_file_of_something_else_is_named(tmp_path, held):
    np.savez(tmp_path / "set.npz", **held)
    with pytest.raises(ValueError, match=r"set\.npz holds no usable .* expected .* mu and sigma"):
        Statistics.load(tmp_path / "set.npz")


def test_a_single_array_is_no_statistics_file(tmp_path):
    np.save(tmp_path / "set.npy", np.zeros((9, 3)))
    with pytest.raises(ValueError, match=r"set\.npy holds no usable statistics"):
        Statistics.load(tmp_path / "set.npy")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])  # pytorch-fid compresses
def test_a_file_with_any_one_byte_damaged_is_whole_or_refused(rng, tmp_path, save):
    path, mean, covariance = tmp_path / "set.npz", rng.normal(size=3), random_covariance(rng, 3)
    save(path, mu=mean, sigma=covariance)
    content = path.read_bytes()
    refused = 0
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
        try:
            loaded = Statistics.load(path)
        except ValueError as error:
            assert "holds no usable statistics" in str(error)
            refused += 1
        else:  # the archive's dates, say
            assert np.array_equal(loaded.mean, mean)
            assert np.array_equal(loaded.covariance, covariance)
    assert refused > len(content) / 2
