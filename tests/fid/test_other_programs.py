"""The same weights and photographs in other programs: pytorch-fid, torch-fidelity, torchmetrics and
clean-fid give the numbers that srkit gives, under the protocol of each."""

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from srkit.data import open_photos
from srkit.evaluation import bench_fid
from srkit.fid.features import inception_features, prepare
from srkit.fid.folders import Settings, compare
from srkit.fid.frechet import FewImagesWarning, frechet_distance
from srkit.fid.inception import FIDInception, FoldedConv, load_inception
from srkit.fid.statistics import Statistics

pytestmark = pytest.mark.filterwarnings("ignore::srkit.fid.frechet.FewImagesWarning", "ignore")

PEERS = ["pytorch-fid", "torch-fidelity", "torchmetrics"]
PROTOCOL = {"pytorch-fid": "pytorch", "torch-fidelity": "tf", "torchmetrics": "tf"}


def need(peer: str) -> None:
    pytest.importorskip(peer.replace("-", "_"), reason=f"{peer} is not installed")


@cache
def random_state() -> dict[str, torch.Tensor]:
    """The standard file's keys with He weights and a BatchNorm of its own in every convolution."""
    torch.manual_seed(0)
    state = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    for name, module in FIDInception(2048).named_modules():
        if isinstance(module, FoldedConv):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            n = module.out_channels
            state[f"{name}.conv.weight"] = module.weight.detach()
            state[f"{name}.bn.weight"] = torch.rand(n) + 0.5
            state[f"{name}.bn.bias"] = torch.randn(n) * 0.1
            state[f"{name}.bn.running_mean"] = torch.randn(n) * 0.1
            state[f"{name}.bn.running_var"] = torch.rand(n) + 0.5
    return state


@pytest.fixture(scope="module")
def random_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(random_state(), path)
    return path


def pictures(count: int, height: int = 90, width: int = 70, seed: int = 0) -> torch.Tensor:
    """Smooth random pictures, uint8 (count, 3, height, width), of different contrast."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        small = rng.integers(0, rng.integers(80, 256), (9, 7, 3), dtype=np.uint8)
        made.append(np.array(Image.fromarray(small).resize((width, height))))
    return torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).contiguous()


def by_sqrtm(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x.astype(np.float64), y.astype(np.float64)
    sets = [{"mu": f.mean(0), "sigma": np.cov(f, rowvar=False)} for f in (x, y)]
    return bench_fid.peer_distance("pytorch-fid")(*sets)


def ours(x: np.ndarray, y: np.ndarray) -> float:
    return frechet_distance(Statistics.of(x), Statistics.of(y))


# --- Distances on the same features --------------------------------------------------------------


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize(("n", "d"), [(600, 64), (1500, 256)])
def test_distance_on_well_conditioned_features_is_theirs(rng, peer, n, d):
    # n well above d, and variances from 1 down to 1 / d: condition numbers of some 1e3 to 1e4.
    need(peer)
    mixing = rng.normal(size=(d, d)) / np.sqrt(d * (1 + np.arange(d)))
    x, y = rng.normal(size=(n, d)) @ mixing.T, rng.gamma(2, size=(n + 100, d)) @ mixing
    sets = [{"mu": f.mean(0), "sigma": np.cov(f, rowvar=False)} for f in (x, y)]
    assert ours(x, y) == pytest.approx(bench_fid.peer_distance(peer)(*sets), rel=1e-6)


def test_distance_of_few_features_is_theirs_as_far_as_sqrtm_goes(rng):
    # Singular covariances, where it is sqrtm that is off (by 5e-7 at d = 2048, N = 500).
    need("pytorch-fid")
    x, y = rng.normal(size=(40, 128)), rng.normal(0.2, 1.5, size=(60, 128))
    assert ours(x, y) == pytest.approx(by_sqrtm(x, y), rel=1e-5)


def test_clean_fid_s_distance_is_ours(rng):
    clean = pytest.importorskip("cleanfid.fid", reason="clean-fid is not installed")
    x, y = rng.normal(size=(300, 32)), rng.normal(0.2, 1.5, size=(300, 32))
    with bench_fid.sqrtm_with_disp():
        theirs = clean.frechet_distance(
            x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False)
        )
    assert ours(x, y) == pytest.approx(theirs, rel=1e-6)


# --- The network, with random weights ------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("dims", [64, 192, 768, 2048])
def test_features_and_fid_are_theirs_with_the_same_random_weights(random_file, peer, dims):
    need(peer)
    sets = [pictures(5), pictures(5, seed=1) // 2 + 60]
    network = load_inception(random_file, dims)
    mine = [inception_features(x, network, PROTOCOL[peer]) for x in sets]
    theirs = [bench_fid.peer_features(peer, random_state(), dims)(x) for x in sets]
    for a, b in zip(mine, theirs, strict=True):
        assert np.abs(a - b).max() < 1e-4 * np.abs(b).max()  # float32 through up to 94 layers
    assert ours(*mine) == pytest.approx(ours(*theirs), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("dims", "n"), [(64, 250), (192, 250), (768, 40)])
def test_distance_on_features_of_random_weights_is_sqrtm_s(random_file, dims, n):
    # Singular, or nearly: some features are dead, and the pictures are alike (1e8 at 64).
    need("pytorch-fid")
    network = load_inception(random_file, dims)
    with torch.inference_mode():
        x, y = (
            torch.cat([network(part / 127.5 - 1) for part in images.split(50)]).numpy()
            for images in (pictures(n, 75, 75), pictures(n, 75, 75, seed=1) // 2 + 60)
        )
    assert ours(x, y) == pytest.approx(by_sqrtm(x, y), rel=1e-6)


# --- The real weights on real photographs --------------------------------------------------------


@pytest.fixture(scope="module")
def real_features() -> Callable[[Path, Path], dict[int, np.ndarray]]:
    """Features by layer, from the weights and photographs: 500, of which 80 have 768, too. Even
    rows are one set, odd ones the other."""

    @cache
    def features(weights: Path, folder: Path) -> dict[int, np.ndarray]:
        photos = open_photos(str(folder), "all").evenly_spaced(500)
        low = inception_features(photos, load_inception(weights, 192, (64, 192)))
        high = inception_features(photos.evenly_spaced(80), load_inception(weights, 768))
        return {64: low[:, :64], 192: low[:, 64:], 768: high}

    return features


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dims", "n", "condition"),
    [(64, 250, 1e6), (192, 250, 1e7), (768, 40, np.inf)],  # singular; there 3e-7 was measured
)
def test_distance_on_real_features_is_sqrtm_s(
    real_features, inception_file, val_folder, dims, n, condition
):
    need("pytorch-fid")
    found = real_features(inception_file, val_folder)[dims]
    x, y = found[: 2 * n : 2], found[1 : 2 * n : 2]
    assert len(x) == len(y) == n
    for side in (x, y):
        assert np.linalg.cond(np.cov(side.astype(np.float64), rowvar=False)) <= condition
    assert ours(x, y) == pytest.approx(by_sqrtm(x, y), rel=1e-6)


@pytest.fixture
def two_folders(val_folder, tmp_path) -> list[Path]:
    """80 and 80 real photographs, the second set shrunk and enlarged again."""
    photos = open_photos(str(val_folder), "all").evenly_spaced(160)
    folders = [tmp_path / "a", tmp_path / "b"]
    for number in range(160):
        picture = Image.fromarray(photos[number])
        folder = folders[number % 2]
        folder.mkdir(exist_ok=True)
        if number % 2:
            picture = picture.resize((112, 112)).resize((224, 224))
        picture.save(folder / f"{number:03}.png")
    return folders


@pytest.mark.slow
@pytest.mark.parametrize(("dims", "count"), [(64, 80), (192, 30), (768, 16)])
def test_the_whole_of_pytorch_fid_gives_our_number(two_folders, inception_file, dims, count):
    need("pytorch-fid")
    score = pytest.importorskip("pytorch_fid.fid_score")
    inception = pytest.importorskip("pytorch_fid.inception")
    for folder in two_folders:
        for file in sorted(folder.iterdir())[count:]:
            file.unlink()
    state = bench_fid.standard_state(inception_file)
    with (
        patch.object(inception, "load_state_dict_from_url", lambda *_, **__: dict(state)),
        bench_fid.sqrtm_with_disp(),
    ):
        theirs = score.calculate_fid_given_paths(
            [str(folder) for folder in two_folders], 16, "cpu", dims, num_workers=0
        )
    found = compare(*two_folders, settings=Settings("pytorch", dims, inception_file, device="cpu"))
    assert found.value == pytest.approx(theirs, rel=1e-4)
    assert found.n == (count, count)


@pytest.mark.slow
@pytest.mark.parametrize(("dims", "count"), [(64, 24), (192, 24), (768, 16)])
def test_torch_fidelity_gives_our_number_under_protocol_tf(
    two_folders, inception_file, dims, count
):
    need("torch-fidelity")
    extract = bench_fid.peer_features(
        "torch-fidelity", bench_fid.standard_state(inception_file), dims
    )
    theirs = []
    for folder in two_folders:
        files = sorted(folder.iterdir())[:count]
        stack = np.stack([np.array(Image.open(file)) for file in files])
        theirs.append(extract(torch.from_numpy(stack).permute(0, 3, 1, 2)))
        for file in sorted(folder.iterdir())[count:]:
            file.unlink()
    sets = [{"mu": x.mean(0), "sigma": np.cov(x, rowvar=False)} for x in theirs]
    expected = bench_fid.peer_distance("torch-fidelity")(*sets)
    found = compare(*two_folders, settings=Settings("tf", dims, inception_file, device="cpu"))
    assert found.value == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_the_whole_of_torchmetrics_gives_our_number(two_folders, inception_file, tmp_path):
    need("torchmetrics")
    need("torch-fidelity")
    metrics = pytest.importorskip("torchmetrics.image.fid")
    torch.save(bench_fid.standard_state(inception_file), tmp_path / "state.pth")
    metric = metrics.FrechetInceptionDistance(
        feature=64, antialias=False, feature_extractor_weights_path=str(tmp_path / "state.pth")
    ).set_dtype(torch.float64)
    for folder, real in zip(two_folders, (True, False), strict=True):
        for file in sorted(folder.iterdir())[40:]:
            file.unlink()
        stack = np.stack([np.array(Image.open(file)) for file in sorted(folder.iterdir())])
        metric.update(torch.from_numpy(stack).permute(0, 3, 1, 2), real=real)
    found = compare(*two_folders, settings=Settings("tf", 64, inception_file, device="cpu"))
    assert found.value == pytest.approx(float(metric.compute()), rel=1e-4)


# --- Resizes and files ---------------------------------------------------------------------------

SIZES = [(90, 70), (299, 299), (512, 340), (33, 700)]


@pytest.mark.parametrize("size", SIZES)
def test_protocol_tf_resizes_as_torch_fidelity_does(size):
    need("torch-fidelity")
    theirs = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow")
    images = pictures(2, *size)
    expected = theirs.interpolate_bilinear_2d_like_tensorflow1x(
        images.float(), size=(299, 299), align_corners=False
    )
    found = prepare(images / 255, "tf") * 128 + 128
    assert torch.allclose(found, expected, atol=1e-3)  # of 255 levels: float32 rounding


@pytest.mark.parametrize("size", SIZES)
def test_protocol_clean_resizes_as_clean_fid_does(size):
    resize = pytest.importorskip("cleanfid.resize", reason="clean-fid is not installed")
    images = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (2, 3, *size), dtype=np.uint8)
    )  # noise: the hardest picture to resize
    resizer = resize.build_resizer("clean")
    expected = np.stack([resizer(picture.permute(1, 2, 0).numpy()) for picture in images])
    found = prepare(images / 255, "clean") * 128 + 128
    # PIL rounds its kernel to 8 or so digits less than torch: 1e-2 of 255 levels
    assert np.abs(found.permute(0, 2, 3, 1).numpy() - expected).max() < 0.02


def test_pytorch_fid_reads_our_statistics_and_we_read_its_own(rng, tmp_path):
    need("pytorch-fid")
    score = pytest.importorskip("pytorch_fid.fid_score")
    x, y = rng.normal(size=(20, 64)), rng.normal(1, 2, size=(200, 64))
    for number, features in enumerate((x, y)):
        path = Statistics.of(features).save(tmp_path / f"{number}.npz")
        mean, covariance = score.compute_statistics_of_path(str(path), None, 1, 64, "cpu")
        assert np.allclose(mean, features.mean(0))
        assert np.allclose(covariance, np.cov(features, rowvar=False))
    np.savez(tmp_path / "theirs.npz", mu=y.mean(0), sigma=np.cov(y, rowvar=False))
    theirs = Statistics.load(tmp_path / "theirs.npz")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewImagesWarning)
        distance = frechet_distance(Statistics.load(tmp_path / "0.npz"), theirs)
    assert theirs.n is None and distance == pytest.approx(ours(x, y), rel=1e-9)
