"""`srkit fid`: folders and saved statistics, as text and as JSON, and every way to misuse it."""

import json

import numpy as np
import pytest
import torch

from srkit.cli import main
from srkit.data import open_photos
from srkit.fid import folders as comparing
from srkit.fid.features import inception_features
from srkit.fid.folders import Comparison, Settings, compare
from srkit.fid.frechet import frechet_distance
from srkit.fid.inception import FIDInception, load_inception
from srkit.fid.statistics import Space, Statistics
from srkit.fid.uncertainty import kid
from srkit.files import sha256
from srkit.weights import WeightsError


@pytest.fixture
def weights(tmp_path):
    """A folded Inception file of random weights, up to 64 features."""
    path = tmp_path / "inception.pth"
    torch.save(FIDInception(64).state_dict(), path)
    return path


@pytest.fixture
def folders(make_folder):
    a = make_folder({f"{n}.png": (40, 30) for n in range(5)}, "a")
    b = make_folder({f"x/{n}.png": (30, 40) for n in range(6)}, "b")
    return a, b


pytestmark = pytest.mark.filterwarnings("ignore::srkit.fid.frechet.FewImagesWarning")


def fid(*arguments) -> int:
    return main(["fid", *map(str, arguments), "--device", "cpu"])


def compared(a, b=None, save=None, **settings) -> Comparison:
    return compare(a, b, save, Settings(**settings))


def test_json_is_one_object_with_the_five_keys(folders, weights, capsys):
    assert fid(*folders, "--layer", 64, "--weights", weights, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    network = load_inception(weights, 64)
    x, y = (inception_features(folder, network) for folder in folders)
    assert found == {
        "value": pytest.approx(frechet_distance(Statistics.of(x), Statistics.of(y)), rel=1e-9),
        "protocol": "pytorch",
        "layer": 64,
        "n": [5, 6],
        "weights": sha256(weights),
    }


@pytest.mark.parametrize("protocol", ["pytorch", "tf", "clean"])
def test_text_names_value_protocol_layer_both_n_and_the_weights(folders, weights, protocol, capsys):
    assert fid(*folders, "--layer", 64, "--weights", weights, "--protocol", protocol) == 0
    out = capsys.readouterr()
    network = load_inception(weights, 64)
    x, y = (Statistics.of(inception_features(f, network, protocol)) for f in folders)
    assert f"FID-64  {frechet_distance(x, y):.6g}\n" in out.out
    assert f"protocol   {protocol}\n" in out.out and "5 and 6" in out.out
    assert sha256(weights) in out.out
    assert "N = 5 is below the 64 dimensions" in out.err


def test_saved_statistics_stand_for_the_folder_they_are_of(folders, weights, tmp_path):
    a, b = folders
    options = {"protocol": "clean", "layer": 64, "weights": weights, "device": "cpu"}
    direct = compared(a, b, **options)
    file = tmp_path / "a.npz"
    alone = compared(a, save=file, **options)
    assert alone.value is None and alone.n == (5,)
    mixed = compared(file, b, weights=weights, device="cpu")  # protocol and layer from the file
    assert mixed == direct
    compared(b, save=tmp_path / "b.npz", **options)
    assert compared(file, tmp_path / "b.npz") == direct  # no weights needed any more


def test_kid_and_interval_come_when_asked_for(folders, weights, tmp_path, capsys):
    options = ["--layer", 64, "--weights", weights, "--json", "--kid", "--bootstrap", 10]
    assert fid(*folders, *options) == 0
    found = json.loads(capsys.readouterr().out)
    network = load_inception(weights, 64)
    x, y = (inception_features(folder, network) for folder in folders)
    assert found["kid"] == pytest.approx(kid(x, y))
    low, high = found["interval"]
    assert low < found["value"] < high
    assert fid(*folders, *options, "--paired") == 2
    assert "5 and 6" in capsys.readouterr().err


def test_a_file_of_pytorch_fid_s_is_taken_with_a_warning(folders, weights, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 64))
    np.savez(tmp_path / "theirs.npz", mu=x.mean(0), sigma=np.cov(x, rowvar=False))
    with pytest.warns(UserWarning, match=r"theirs\.npz does not say its protocol"):
        found = compared(tmp_path / "theirs.npz", folders[0], weights=weights, device="cpu")
    assert found.layer == 64 and found.n == (None, 5) and found.value > 0
    assert "not known and 5" in str(found)


def test_other_protocols_and_layers_do_not_compare(folders, weights, tmp_path):
    options = {"layer": 64, "weights": weights, "device": "cpu"}
    for protocol in ("pytorch", "tf"):
        compared(folders[0], save=tmp_path / f"{protocol}.npz", protocol=protocol, **options)
    with pytest.raises(ValueError, match="differ in their protocol: pytorch and tf"):
        compared(tmp_path / "pytorch.npz", tmp_path / "tf.npz")
    with pytest.raises(ValueError, match=r"--protocol clean, but .*tf\.npz was made with tf"):
        compared(tmp_path / "tf.npz", folders[1], protocol="clean", **options)
    with pytest.raises(ValueError, match=r"--layer 192, but .*tf\.npz was made with 64"):
        compared(tmp_path / "tf.npz", folders[1], layer=192, device="cpu")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "A"], "no folder of photographs or saved statistics at nowhere"),
        (["A"], "only with --save"),
        (["A", "--save", "a.npz", "--kid"], "there is no B"),
        (["A", "--save", "a.npz", "--bootstrap", "20"], "there is no B"),
        (["A", "--save", "empty"], "--save empty is a folder"),
        (["A", "--save", "bad.npz/a.npz"], "bad.npz is no folder to write it in"),
        (["A", "B", "--paired"], "--paired is for --kid or --bootstrap"),
        (["A", "B", "--bootstrap", "0"], "--bootstrap must be a number of 10 or more, not 0"),
        (["A", "B", "--bootstrap", "9"], "--bootstrap must be a number of 10 or more, not 9"),
        (["A", "B", "--batch", "0"], "--batch must be a number of 1 or more, not 0"),
        (["A", "B", "--weights", "absent.pth"], "nothing at absent.pth (--weights)"),
        (["A", "B", "--layer", "192", "--weights", "W"], "complete up to 64 features"),
        (["A", "bad.npz", "--weights", "W"], "bad.npz holds no usable statistics"),
        (["empty", "B", "--layer", "64", "--weights", "W"], "no photographs under"),
    ],
)
def test_bad_input_ends_with_one_line(
    folders, weights, tmp_path, monkeypatch, arguments, message, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.npz").write_bytes(b"PK nonsense")
    (tmp_path / "empty").mkdir()
    names = {"A": folders[0], "B": folders[1], "W": weights}
    assert fid(*[names.get(a, a) for a in arguments]) == 2
    err = capsys.readouterr().err
    assert message in err and err.startswith("srkit: ") and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "accepted"),
    [({"protocol": "torch"}, "pytorch, tf, clean"), ({"layer": 100}, "64, 192, 768, 2048")],
)
def test_unknown_protocols_and_layers_are_refused_with_those_there_are(settings, accepted):
    with pytest.raises(ValueError, match=accepted):
        Settings(**settings)


def test_without_weights_the_standard_file_is_fetched_and_its_failure_explained(
    folders, monkeypatch, capsys
):
    def offline(url, *_):
        raise OSError("no route to host")

    monkeypatch.setattr("srkit.weights.third_party.download", offline)
    assert fid(*folders) == 2
    err = capsys.readouterr().err
    assert "no route to host" in err and "set SRKIT_INCEPTION" in err


def test_the_real_partial_file_compares_real_photographs(inception_file, val_folder, tmp_path):
    photos = open_photos(str(val_folder), "all").evenly_spaced(6)
    for number, folder in enumerate(["a"] * 3 + ["b"] * 3):
        (tmp_path / folder).mkdir(exist_ok=True)
        name = photos.items[number].name
        (tmp_path / folder / name).write_bytes(photos.items[number].read_bytes())
    sides = (tmp_path / "a", tmp_path / "b")
    with pytest.raises(WeightsError, match="complete up to 768 features"):
        compared(*sides, weights=inception_file, device="cpu")
    found = compared(*sides, layer=192, weights=inception_file, device="cpu")
    assert found.value > 0 and found.weights == sha256(inception_file)
    assert compared(sides[0], sides[0], layer=192, weights=inception_file).value == 0


def test_a_stream_and_kept_features_give_the_same_distance(folders, weights, monkeypatch):
    options = {"layer": 64, "weights": weights, "device": "cpu"}
    streamed = compared(*folders, **options)
    assert compared(*folders, bootstrap=10, **options).value == pytest.approx(
        streamed.value, rel=1e-9
    )
    monkeypatch.setattr(comparing, "inception_features", None)
    assert compared(*folders, **options) == streamed


# --- What is refused before the long work, and what is kept of it --------------------------------


@pytest.fixture
def no_features(monkeypatch):
    """A test fails where a photograph's features are begun."""

    def begun(*_):
        raise AssertionError("features were begun before the error")

    monkeypatch.setattr(comparing, "inception_features", begun)
    monkeypatch.setattr(comparing, "inception_statistics", begun)


def saved_file(path, n=70, protocol="pytorch", layer=64, size=64, weights="5" * 64):
    """Statistics of noise, as saved: features are kept for n <= size only."""
    features = np.random.default_rng(0).normal(size=(n, size))
    return Statistics.of(features, Space(protocol, layer, weights)).save(path)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_set_against_itself_needs_no_more_than_one(folders, weights, tmp_path, kind):
    if kind == "file":  # nor any weights
        file = saved_file(tmp_path / "a.npz")
        found = compared(file, file)
    else:
        found = compared(folders[0], folders[0], layer=64, weights=weights, device="cpu")
    assert found.value == 0 and found.n[0] == found.n[1]


def test_other_weights_than_the_saved_ones_are_refused_at_once(
    folders, weights, tmp_path, no_features
):
    file = saved_file(tmp_path / "a.npz")
    for sides in ((file, folders[0]), (folders[0], file)):
        with pytest.raises(
            ValueError, match=f"differ in their weights: 5{{64}} and {sha256(weights)}"
        ):
            compared(*sides, weights=weights, device="cpu")


@pytest.mark.parametrize("place", [0, 1])
def test_a_side_of_one_photograph_is_named_at_once(
    folders, weights, make_folder, tmp_path, no_features, place
):
    alone = make_folder({"only.png": (30, 30)}, "alone")
    Statistics.of(np.zeros((1, 64))).save(tmp_path / "one.npz")
    for side in (alone, tmp_path / "one.npz"):
        sides = [folders[0], side][:: 1 - 2 * place]
        with pytest.raises(ValueError, match=rf"{side.name}: .*two samples or more, there is 1"):
            compared(*sides, layer=64, weights=weights, device="cpu")


def test_saved_statistics_of_one_photograph_are_no_error_alone(make_folder, weights, tmp_path):
    one = make_folder({"only.png": (30, 30)}, "one")
    found = compared(one, layer=64, weights=weights, save=tmp_path / "a.npz", device="cpu")
    assert found.n == (1,) and Statistics.load(tmp_path / "a.npz").n == 1


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"layer": 192}, r"bad\.npz is of layer 192, but its mean has 64 entries"),
        ({"protocol": "torch"}, r"bad\.npz is of the protocol 'torch'; known: pytorch, tf, clean"),
    ],
)
def test_a_saved_space_that_cannot_be_is_refused(folders, weights, tmp_path, about, message):
    bad = saved_file(tmp_path / "bad.npz", **about)
    good = saved_file(tmp_path / "good.npz")
    for sides in ((bad, folders[0]), (folders[0], bad), (bad, bad), (good, bad)):
        with pytest.raises(ValueError, match=message):
            compared(*sides, weights=weights, device="cpu")


def test_kid_without_features_is_refused_at_once(folders, weights, tmp_path, no_features):
    file = saved_file(tmp_path / "many.npz")
    with pytest.raises(ValueError, match=r"many\.npz holds a mean and a covariance only"):
        compared(folders[0], file, weights=weights, kid=True, device="cpu")


def test_kid_of_kept_features_needs_no_folder(tmp_path):
    file = saved_file(tmp_path / "few.npz", n=20)
    assert compared(file, file, kid=True, paired=True, bootstrap=10).kid == 0


def test_paired_folders_have_the_same_names(make_folder, weights, no_features):
    a = make_folder({f"{name}.png": (30, 30) for name in ("1", "2", "3")}, "a")
    b = make_folder({f"{name}.png": (30, 30) for name in ("1", "2b", "3")}, "b")
    options = {"layer": 64, "weights": weights, "device": "cpu", "paired": True}
    for more in ({"kid": True}, {"bootstrap": 10}):
        with pytest.raises(ValueError, match=r"2\.png and .*2b\.png"):
            compared(a, b, **options, **more)


def test_paired_folders_may_differ_in_folder_and_suffix(make_folder, weights):
    a = make_folder({f"x/{number}.jpg": (30, 30) for number in range(3)}, "a")
    b = make_folder({f"{number}.png": (30, 30) for number in range(3)}, "b")
    found = compared(a, b, layer=64, weights=weights, kid=True, paired=True, device="cpu")
    assert found.n == (3, 3) and found.kid is not None


def test_a_s_statistics_are_written_before_b_is_begun(folders, weights, tmp_path):
    bad = bytearray((folders[1] / "x" / "3.png").read_bytes())
    bad[60:100] = bytes(40)  # its header is whole, and its end
    (folders[1] / "x" / "3.png").write_bytes(bad)
    options = {"layer": 64, "weights": weights, "device": "cpu"}
    with pytest.raises(ValueError, match=r"3\.png is no readable image"):
        compared(*folders, save=tmp_path / "new" / "a.npz", **options)
    assert Statistics.load(tmp_path / "new" / "a.npz").n == 5


def test_a_bad_photograph_is_left_out_or_with_strict_an_error(folders, weights, capsys):
    (folders[1] / "x" / "3.png").write_bytes(b"no picture")
    options = {"layer": 64, "weights": weights, "device": "cpu"}
    assert compared(*folders, **options).n == (5, 5)
    assert "left out 1 of 6" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"3\.png: no readable image.*--strict"):
        compared(*folders, **options, strict=True)


def test_a_target_that_cannot_be_written_is_refused_at_once(
    folders, weights, tmp_path, no_features
):
    (tmp_path / "file").touch()
    for target in (tmp_path, tmp_path / "file" / "a.npz", tmp_path / "file" / "b" / "a.npz"):
        with pytest.raises(ValueError, match=r"--save .* folder"):
            compared(folders[0], layer=64, weights=weights, save=target, device="cpu")
