"""The Frechet distance against closed forms and scipy, and the FID Inception against torch's."""

import numpy as np
import pytest
import scipy.linalg
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.inception import BasicConv2d, InceptionA

from srkit import fid, inception
from srkit.data import to_tensor
from srkit.fid import Statistics, frechet_distance, patch_features, statistics
from srkit.inception import FIDInception, FoldedConv, fold_batchnorm, load_inception
from srkit.weights import WeightsError


def gaussian(mean, covariance, n=1000) -> Statistics:
    """The statistics of a set with exactly this mean and covariance."""
    mean, covariance = np.asarray(mean, float), np.asarray(covariance, float)
    return Statistics(n, mean, covariance * (n - 1))


def random_covariance(rng, d, rank=None):
    root = rng.normal(size=(d, rank or d))
    return root @ root.T


# --- Closed forms --------------------------------------------------------------------------------


def test_distance_of_shifted_gaussians_is_the_shift_squared(rng):
    covariance, shift = random_covariance(rng, 6), rng.normal(size=6)
    a, b = gaussian(np.zeros(6), covariance), gaussian(shift, covariance)
    assert frechet_distance(a, b) == pytest.approx(shift @ shift, rel=1e-9)  # float64


def test_distance_of_diagonal_gaussians_is_that_of_their_deviations(rng):
    s, t = rng.uniform(0.1, 5, (2, 7))
    a, b = gaussian(np.zeros(7), np.diag(s**2)), gaussian(np.zeros(7), np.diag(t**2))
    assert frechet_distance(a, b) == pytest.approx(((s - t) ** 2).sum(), rel=1e-9)


def test_distance_of_commuting_covariances(rng):
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    s, t = rng.uniform(0.1, 5, (2, 5))
    a = gaussian(np.zeros(5), turn * s**2 @ turn.T)
    b = gaussian(np.zeros(5), turn * t**2 @ turn.T)
    assert frechet_distance(a, b) == pytest.approx(((s - t) ** 2).sum(), rel=1e-9)


def test_distance_to_a_scaled_set_is_in_closed_form(rng):
    x, c = rng.normal(size=(200, 6)), 3.0
    a, b = Statistics.of(x), Statistics.of(c * x)
    expected = (c - 1) ** 2 * (a.mean @ a.mean + np.trace(np.cov(x.T)))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("c", [0.5, 7.0])
def test_scaling_both_sets_scales_the_distance_by_its_square(rng, c):
    x, y = rng.normal(size=(200, 6)), rng.normal(1, 2, size=(150, 6))
    before = frechet_distance(Statistics.of(x), Statistics.of(y))
    after = frechet_distance(Statistics.of(c * x), Statistics.of(c * y))
    assert after == pytest.approx(c**2 * before, rel=1e-9)


def test_distance_of_rank_one_covariances(rng):
    # For u u' and v v' the root of the product has the trace |u.v|.
    u, v = rng.normal(size=(2, 8))
    a, b = gaussian(np.zeros(8), np.outer(u, u)), gaussian(np.zeros(8), np.outer(v, v))
    expected = u @ u + v @ v - 2 * abs(u @ v)
    # zero eigenvalues come out at some 1e-16, whose roots are 1e-8
    assert frechet_distance(a, b) == pytest.approx(expected, abs=1e-6)


def test_distance_is_symmetric(rng):
    a = gaussian(rng.normal(size=6), random_covariance(rng, 6))
    b = gaussian(rng.normal(size=6), random_covariance(rng, 6, rank=3))
    # roots of zero eigenvalues, as above
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-6)


def test_distance_is_invariant_to_rotation(rng):
    x, y = rng.normal(size=(100, 6)), rng.normal(1, 2, size=(100, 6))
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    before = frechet_distance(Statistics.of(x), Statistics.of(y))
    after = frechet_distance(Statistics.of(x @ turn), Statistics.of(y @ turn))
    assert after == pytest.approx(before, rel=1e-9)


@pytest.mark.parametrize("n", [3, 10, 300])
def test_distance_to_itself_is_zero_and_never_negative(rng, n):
    a = Statistics.of(rng.normal(size=(n, 40)))
    # 40 dimensions from few samples: roots of rounding errors
    assert 0 <= frechet_distance(a, a) < 1e-5


@pytest.mark.parametrize(("d", "n"), [(4, 100), (30, 100), (30, 12)])
def test_distance_is_scipy_s(rng, d, n):
    x, y = rng.normal(size=(n, d)), rng.gamma(2, size=(n + 5, d)) @ rng.normal(size=(d, d))
    s_x, s_y = np.cov(x.T), np.cov(y.T)
    jitter = 0 if n > d else 1e-9 * np.eye(d)  # scipy's root fails on singular products
    root = scipy.linalg.sqrtm((s_x + jitter) @ (s_y + jitter)).real
    step = x.mean(0) - y.mean(0)
    expected = step @ step + np.trace(s_x + s_y - 2 * root)
    ours = frechet_distance(Statistics.of(x), Statistics.of(y))
    assert ours == pytest.approx(expected, rel=1e-9 if n > d else 1e-4)  # the jitter's root


def test_distance_between_samples_of_one_gaussian_has_its_known_bias(rng):
    # For equal Gaussians E = (1/n + 1/m)(5/4 tr S + 1/2 sum_ij li lj / (li + lj)), here S = I.
    d, n, m = 5, 400, 300
    expected = (1 / n + 1 / m) * (5 / 4 * d + d * d / 4)
    draws = [
        frechet_distance(
            Statistics.of(rng.normal(size=(n, d))), Statistics.of(rng.normal(size=(m, d)))
        )
        for _ in range(100)
    ]
    # a standard error of some 3% over 100 draws, and terms of higher order in 1/n
    assert np.mean(draws) == pytest.approx(expected, rel=0.15)


def test_other_dimensions_do_not_compare(rng):
    with pytest.raises(ValueError, match="4 and 5 dimensions"):
        frechet_distance(*(Statistics.of(rng.normal(size=(9, d))) for d in (4, 5)))


# --- Streaming -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[1] * 30, [29, 1], [1, 29], [7, 11, 12], [30]])
@pytest.mark.parametrize("rows_at_once", [1, 8, 1024])
def test_a_stream_is_the_whole_however_it_is_cut(rng, sizes, rows_at_once):
    x = rng.normal(size=(30, 5)) + 1e4  # an offset that sums of squares would not survive
    batches = np.split(x, np.cumsum(sizes)[:-1])
    stream = statistics(iter(batches), rows_at_once)
    assert stream.n == 30
    assert np.allclose(stream.mean, x.mean(0), rtol=1e-14)
    # float64 keeps 1e4 to 2e-12, and deviations are of order one
    assert np.allclose(stream.covariance, np.cov(x.T), rtol=1e-9, atol=1e-10)


def test_float32_features_are_summed_in_float64(rng):
    x = (rng.normal(size=(50, 3)) + 1e3).astype(np.float32)
    covariance = statistics([x[:20], x[20:]]).covariance
    assert covariance.dtype == np.float64
    assert np.allclose(covariance, np.cov(x.astype(np.float64).T), rtol=1e-9)  # float64


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused(rng, bad):
    x = rng.normal(size=(10, 3))
    x[7, 1] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        statistics([x[:5], x[5:]])


@pytest.mark.parametrize("batches", [[], [np.zeros((0, 3))]])
def test_an_empty_stream_is_refused(batches):
    with pytest.raises(ValueError, match="no features"):
        statistics(batches)


def test_one_sample_has_no_covariance():
    with pytest.raises(ValueError, match="two samples"):
        _ = statistics([np.zeros((1, 3))]).covariance


def test_features_must_be_a_table():
    with pytest.raises(ValueError, match=r"\(N, d\)"):
        Statistics.of(np.zeros(3))


# --- Images and patches --------------------------------------------------------------------------


def test_patches_are_cut_from_the_grid_channel_first_in_levels():
    images = torch.rand(2, 3, 17, 25)  # a row and a column to spare
    features = patch_features(images)
    assert features.shape == (2 * 2 * 3, 3 * 8 * 8)
    numbered = [(b, top, left) for b in range(2) for top in (0, 8) for left in (0, 8, 16)]
    for row, (b, top, left) in zip(features, numbered, strict=True):
        by_hand = images[b, :, top : top + 8, left : left + 8].numpy().ravel() * 255
        assert np.allclose(row, by_hand, rtol=1e-6)  # float32 rounding


@pytest.mark.parametrize(
    "images",
    [
        torch.full((1, 3, 8, 8), 1.01),
        torch.full((1, 3, 8, 8), -0.01),
        torch.full((1, 3, 8, 8), float("nan")),
        torch.rand(1, 3, 8, 8) * 255,
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(3, 8, 8),
        torch.zeros(1, 1, 8, 8),
    ],
)
def test_images_of_another_range_or_shape_are_refused(images):
    with pytest.raises(ValueError, match="images must be"):
        patch_features(images)


def test_without_a_network_no_number_is_called_fid():
    assert "FID" not in fid.measure_name(None)
    assert "no network" in fid.measure_protocol(None)
    network = FIDInception(64)
    assert fid.measure_name(network) == "FID-64"
    assert "UNTRAINED" in fid.measure_protocol(network)
    assert "pytorch" in fid.measure_protocol(network)


# --- The FID Inception ---------------------------------------------------------------------------


def fake_bn_state(convolution, norm, name="X"):
    """A convolution and its BatchNorm under the standard file's names."""
    state = {f"{name}.conv.weight": convolution.weight.detach()}
    return state | {f"{name}.bn.{key}": value.detach() for key, value in norm.state_dict().items()}


def test_folding_batchnorm_changes_nothing():
    convolution, norm = nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6, eps=1e-3)
    for value in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(value)
    nn.init.uniform_(norm.running_var, 1e-4, 2)  # small enough for epsilon to count
    x = torch.randn(2, 4, 9, 9)
    folded = fold_batchnorm(fake_bn_state(convolution, norm))
    assert set(folded) == {"X.weight", "X.bias"}
    ours = F.conv2d(x, folded["X.weight"], folded["X.bias"])
    assert torch.allclose(ours, norm.eval()(convolution(x)), atol=1e-4)  # float32, divided by 0.03


def test_folded_files_come_back_as_they_are():
    state = {"X.weight": torch.zeros(2), "X.bias": torch.ones(1)}
    assert fold_batchnorm(state) == state


def test_a_folded_conv_is_torchvision_s_basic_conv():
    theirs = BasicConv2d(3, 5, kernel_size=3, padding=1).eval()
    for value in (theirs.bn.weight, theirs.bn.running_mean):
        nn.init.normal_(value)
    ours = FoldedConv(3, 5, 3, padding=1)
    folded = fold_batchnorm({f"X.{key}": value for key, value in theirs.state_dict().items()})
    ours.load_state_dict({key.removeprefix("X."): value for key, value in folded.items()})
    x = torch.randn(1, 3, 7, 7)
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)  # float32 rounding


def test_average_pooling_leaves_the_padding_out():
    ours = inception.FIDInceptionA(8, 4, FoldedConv)
    theirs = InceptionA(8, 4, FoldedConv)  # torchvision's counts the padding
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(1, 8, 6, 6)
    a, b = ours(x), theirs(x)
    assert torch.allclose(a[..., 1:-1, 1:-1], b[..., 1:-1, 1:-1], atol=1e-6)  # float32 rounding
    assert not torch.allclose(a[..., 0, :], b[..., 0, :], atol=1e-6)
    constant = torch.ones(1, 8, 6, 6)
    pooled = inception._average_pool(constant)
    assert torch.allclose(pooled, constant)  # at the border too


def test_the_last_block_pools_by_maximum_and_the_one_before_by_average():
    modules = inception._modules()
    x = torch.rand(1, 3, 5, 5)
    average, maximum = modules["Mixed_7b"].pool(x), modules["Mixed_7c"].pool(x)
    window = x[..., 1:4, 1:4].flatten(-2)
    assert torch.allclose(average[..., 2, 2], window.mean(-1))
    assert torch.equal(maximum[..., 2, 2], window.max(-1).values)


@pytest.mark.parametrize("dims", [64, 192, 768, 2048])
def test_the_network_gives_as_many_features_as_its_name_says(dims):
    network = FIDInception(dims).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 75, 75)).shape == (1, dims)


def test_pytorch_fid_s_blocks_are_where_the_features_are_taken():
    # Its blocks of 64 and 192 features end in a max pooling, those of 768 and 2048 in a mixed one.
    last = {dims: list(FIDInception(dims)._modules)[-1] for dims in (64, 192, 768, 2048)}
    assert last == {64: "maxpool1", 192: "maxpool2", 768: "Mixed_6e", 2048: "Mixed_7c"}


def test_module_names_are_torchvision_s_and_pytorch_fid_s():
    import torchvision

    with torch.device("meta"):
        reference = torchvision.models.inception_v3(
            weights=None, aux_logits=False, init_weights=False
        )
        ours = FIDInception(2048)
    theirs = {
        key.replace(".conv.weight", ".weight"): value.shape
        for key, value in reference.state_dict().items()
        if key.endswith(".conv.weight")
    }
    assert {k: v.shape for k, v in ours.state_dict().items() if k.endswith("weight")} == theirs


def test_another_number_of_features_is_refused():
    with pytest.raises(ValueError, match=r"64, 192, 768, 2048"):
        FIDInception(100)


def test_features_are_resized_and_mapped_as_pytorch_fid_s():
    class Echo(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return x.flatten(1)

    images = torch.rand(2, 3, 5, 7)
    ours = fid.inception_features(images, Echo()).reshape(2, 3, 299, 299)
    # Bilinear at half-pixel centres, without antialias: by hand at a few places.
    for y, x in ((0, 0), (150, 20), (298, 298), (77, 210)):
        v, u = (y + 0.5) * 5 / 299 - 0.5, (x + 0.5) * 7 / 299 - 0.5
        v, u = np.clip(v, 0, 4), np.clip(u, 0, 6)
        top, left = min(int(v), 3), min(int(u), 5)
        a, b = v - top, u - left
        corner = images[:, :, top : top + 2, left : left + 2].double()
        value = (
            corner[..., 0, 0] * (1 - a) * (1 - b) + corner[..., 0, 1] * (1 - a) * b
            + corner[..., 1, 0] * a * (1 - b) + corner[..., 1, 1] * a * b
        )  # fmt: skip
        assert np.allclose(ours[:, :, y, x], 2 * value.numpy() - 1, atol=1e-4)  # float32


# --- The real file -------------------------------------------------------------------------------


@pytest.mark.parametrize("dims", [64, 192, 768])
def test_the_partial_file_loads_as_far_as_it_is_complete(inception_file, dims):
    network = load_inception(inception_file, dims)
    assert network.dims == dims and "sha256" in network.name and "UNTRAINED" not in network.name
    assert not network.training and not any(p.requires_grad for p in network.parameters())


def test_the_partial_file_refuses_what_it_lacks(inception_file):
    with pytest.raises(WeightsError, match=r"cannot give 2048 .* complete up to 768 features"):
        load_inception(inception_file, 2048)


def test_real_features_tell_blur_from_sharp(inception_file, set5):
    network = load_inception(inception_file, 192)
    hr = to_tensor(set5[1])[None, :, :256, :256]
    blurred = F.avg_pool2d(F.pad(hr, (2, 2, 2, 2), mode="replicate"), 5, 1)
    sharp, again, blunt = (fid.inception_features(x, network) for x in (hr, hr, blurred))
    assert sharp.shape == (1, 192) and np.array_equal(sharp, again)
    assert np.abs(sharp - blunt).mean() > 0.01 * np.abs(sharp).mean()


def test_another_file_is_no_fid_inception(tmp_path):
    torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "vgg.pth")
    with pytest.raises(WeightsError, match="it is no FID Inception"):
        load_inception(tmp_path / "vgg.pth", 64)


def test_the_standard_file_s_names_load(tmp_path):
    state = {}
    for name, module in FIDInception(64).named_modules():
        if isinstance(module, FoldedConv):
            norm = nn.BatchNorm2d(module.out_channels, eps=1e-3)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            state |= fake_bn_state(module, norm, name)
    torch.save(state | {"fc.weight": torch.zeros(1008, 1)}, tmp_path / "standard.pth")
    network = load_inception(tmp_path / "standard.pth", 64)
    first = "Conv2d_1a_3x3"
    by_hand = state[f"{first}.conv.weight"] / (state[f"{first}.bn.running_var"] + 1e-3).sqrt().view(
        -1, 1, 1, 1
    )
    assert torch.allclose(network.get_submodule(first).weight, by_hand, rtol=1e-5)  # float32
    with pytest.raises(WeightsError, match="complete up to 64 features"):
        load_inception(tmp_path / "standard.pth", 192)


def test_weights_are_found_where_they_are_said_to_be(tmp_path, monkeypatch):
    assert inception.find_inception() is None  # an empty cache
    monkeypatch.setenv("SRKIT_INCEPTION", str(tmp_path / "nowhere.pth"))
    with pytest.raises(WeightsError, match=r"nowhere\.pth; get pt_inception"):
        inception.find_inception()
    (tmp_path / "there.pth").touch()
    assert inception.find_inception(str(tmp_path / "there.pth")) == tmp_path / "there.pth"
