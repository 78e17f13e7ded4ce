"""The FID Inception against torch's blocks, and the files that its weights come from."""

import hashlib

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models.inception import BasicConv2d, InceptionA

from srkit.fid import inception
from srkit.fid.inception import (
    STANDARD_FILE,
    FIDInception,
    FoldedConv,
    fetch_inception,
    find_inception,
    fold_batchnorm,
    load_inception,
)
from srkit.weights import THIRD_PARTY, WeightsError, cached

STANDARD = THIRD_PARTY["inception"]


@pytest.fixture
def small_file(tmp_path):
    """A folded file that is complete up to 192 features, untrained."""
    path = tmp_path / "small.pth"
    torch.save(FIDInception(192).state_dict(), path)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Where the standard file would lie, in a cache of the test's own."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints" / STANDARD_FILE


# --- The network ---------------------------------------------------------------------------------


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


@pytest.mark.parametrize("collect", [(64, 192), (192, 64), (64,), (192,)])
def test_collected_layers_are_those_of_the_single_networks(collect):
    network, x = FIDInception(192, collect).eval(), torch.rand(2, 3, 75, 75) * 2 - 1
    state = network.state_dict()
    single = {}
    for dims in (64, 192):
        alone = FIDInception(dims).eval()
        alone.load_state_dict({key: state[key] for key in alone.state_dict()})
        with torch.no_grad():
            single[dims] = alone(x)
    with torch.no_grad():
        found = network(x)
    assert network.width == sum(collect) == found.shape[1]
    assert torch.equal(found, torch.cat([single[dims] for dims in collect], 1))


def test_all_four_layers_are_collected_at_once():
    network = FIDInception(2048, collect=(64, 192, 768, 2048)).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 75, 75)).shape == (1, 64 + 192 + 768 + 2048)


def test_features_are_averages_over_the_last_map():
    network, x = FIDInception(64).eval(), torch.rand(1, 3, 40, 50)
    with torch.no_grad():
        by_hand = x
        for name in ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"):
            layer = network.get_submodule(name)
            by_hand = F.conv2d(by_hand, layer.weight, layer.bias, layer.stride, layer.padding)
            by_hand = by_hand.clamp(min=0)
        by_hand = F.max_pool2d(by_hand, 3, 2)
        expected = by_hand.flatten(2).double().mean(2)
        assert torch.allclose(network(x).double(), expected, atol=1e-6)  # float32


@pytest.mark.parametrize(
    ("dims", "collect"), [(64, (192,)), (192, (64, 768)), (768, (2048,)), (192, (100,))]
)
def test_layers_beyond_the_network_are_not_collected(dims, collect):
    with pytest.raises(ValueError, match=rf"cannot collect .*{collect[-1]}.* layer of {dims}"):
        FIDInception(dims, collect)


# --- Weights that are loaded ---------------------------------------------------------------------


@pytest.mark.parametrize("dims", [64, 192, 768])
def test_the_partial_file_loads_as_far_as_it_is_complete(inception_file, dims):
    network = load_inception(inception_file, dims)
    assert network.dims == dims and "sha256" in network.name and "UNTRAINED" not in network.name
    assert not network.training and not any(p.requires_grad for p in network.parameters())


def test_the_partial_file_refuses_what_it_lacks(inception_file):
    with pytest.raises(WeightsError, match=r"cannot give 2048 .* complete up to 768 features"):
        load_inception(inception_file, 2048)


@pytest.mark.parametrize(
    "state",
    [
        {"features.0.weight": torch.zeros(2)},
        {"Conv2d_1a_3x3.conv.weight": torch.zeros(32, 3, 3, 3)},  # without its BatchNorm
        {0: torch.zeros(2)},
    ],
)
def test_another_file_is_no_fid_inception(tmp_path, state):
    torch.save(state, tmp_path / "other.pth")
    said = r"other\.pth (cannot give .*it )?(is no FID Inception|holds no network's weights)"
    with pytest.raises(WeightsError, match=said):
        load_inception(tmp_path / "other.pth", 64)


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


@pytest.mark.parametrize("collect", [(), (64, 192)])
def test_a_loaded_network_says_what_it_is_and_is_ready(small_file, collect):
    assert FIDInception(64).weights == "untrained" and "UNTRAINED" in FIDInception(64).name
    network = load_inception(small_file, 192, collect)
    digest = hashlib.sha256(small_file.read_bytes()).hexdigest()
    assert network.weights == digest
    assert network.name == f"FID Inception (small.pth, sha256 {digest[:8]})"
    assert network.width == sum(collect or (192,))
    assert not network.training
    for name, value in network.named_parameters():
        assert not value.requires_grad
        if value.ndim == 4:
            assert value.is_contiguous(memory_format=torch.channels_last), name
    state = torch.load(small_file, weights_only=True)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"no weights file at .*absent\.pth"):
        load_inception(tmp_path / "absent.pth", 64)


@pytest.mark.parametrize("content", [b"", b"no weights", "half"])
def test_a_damaged_file_is_named(small_file, content):
    whole = small_file.read_bytes()
    small_file.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(WeightsError, match=r"small\.pth is no readable PyTorch state dict"):
        load_inception(small_file, 64)


@pytest.mark.parametrize("shape", [(1, 3, 3, 3), (32, 3, 3), (32, 3, 5, 5), ()])
def test_weights_of_another_shape_are_named(small_file, shape):
    state = torch.load(small_file, weights_only=True)
    torch.save(state | {"Conv2d_1a_3x3.weight": torch.zeros(shape)}, small_file)
    with pytest.raises(WeightsError, match=r"is no FID Inception: .*Conv2d_1a_3x3\.weight"):
        load_inception(small_file, 64)


def test_a_folded_file_that_ends_early_says_how_far_it_goes(small_file):
    with pytest.raises(WeightsError, match=r"cannot give 768 features: no Mixed_5b\..* up to 192"):
        load_inception(small_file, 768)


def standard_state(dims=64):
    """What the standard file holds up to there, untrained."""
    state = {"fc.weight": torch.zeros(1008, 2048)}
    for name, module in FIDInception(dims).named_modules():
        if isinstance(module, FoldedConv):
            state |= fake_bn_state(module, nn.BatchNorm2d(module.out_channels), name)
    return state


@pytest.mark.parametrize("aux_logits", [True, False])
def test_torchvision_s_inception_is_not_taken_for_the_fid_one(tmp_path, aux_logits):
    network = torchvision.models.inception_v3(
        weights=None, aux_logits=aux_logits, init_weights=False
    )
    torch.save(network.state_dict(), tmp_path / "torchvision.pth")
    with pytest.raises(
        WeightsError, match=r"torchvision\.pth is no FID Inception.*SRKIT_INCEPTION"
    ):
        load_inception(tmp_path / "torchvision.pth", 64)


@pytest.mark.parametrize("classes", [{"AuxLogits.fc.bias": (3,)}, {"fc.weight": ()}])
def test_one_key_is_enough_to_tell_another_inception(tmp_path, classes):
    other = {key: torch.zeros(shape) for key, shape in classes.items()}
    torch.save(standard_state() | other, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="not 1008 classes"):
        load_inception(tmp_path / "other.pth", 64)


@pytest.mark.parametrize("part", ["weight", "bias", "running_mean", "running_var"])
@pytest.mark.parametrize("shape", [(1,), (32, 1)])  # such as would broadcast
def test_a_batchnorm_of_another_shape_is_named(tmp_path, part, shape):
    key = f"Conv2d_1a_3x3.bn.{part}"
    torch.save(standard_state() | {key: torch.ones(shape)}, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match=rf"bad\.pth is no FID Inception: .*{part} does not fit"):
        load_inception(tmp_path / "bad.pth", 64)


def test_another_file_under_the_standard_name_is_damaged(small_file, tmp_path):
    path = small_file.rename(tmp_path / STANDARD_FILE)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    told = rf"is damaged: .* {digest[:8]}\.\.\., not 6726825d\.\.\.; delete it and get"
    with pytest.raises(WeightsError, match=told):
        load_inception(path, 64)


def test_the_file_of_the_right_hash_loads_under_the_standard_name(
    small_file, tmp_path, monkeypatch
):
    path = small_file.rename(tmp_path / STANDARD_FILE)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(THIRD_PARTY, "inception", STANDARD._replace(sha256=digest))
    assert load_inception(path, 64).weights == digest


# --- Weights that are found or fetched -----------------------------------------------------------


def test_weights_are_found_where_they_are_said_to_be(tmp_path, monkeypatch):
    assert find_inception() is None  # an empty cache
    monkeypatch.setenv("SRKIT_INCEPTION", str(tmp_path / "nowhere.pth"))
    with pytest.raises(WeightsError, match=r"nowhere\.pth; get pt_inception"):
        find_inception()
    (tmp_path / "there.pth").touch()
    assert find_inception(str(tmp_path / "there.pth")) == tmp_path / "there.pth"


def test_weights_are_found_in_a_folder_under_the_standard_name(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match=rf"no Inception weights at .*{STANDARD_FILE}; get"):
        find_inception(tmp_path)
    (tmp_path / STANDARD_FILE).touch()
    assert find_inception(tmp_path) == tmp_path / STANDARD_FILE
    monkeypatch.setenv("SRKIT_INCEPTION", str(tmp_path))
    assert find_inception() == tmp_path / STANDARD_FILE


def test_what_is_given_goes_before_the_variable_and_that_before_the_cache(
    tmp_path, monkeypatch, cache
):
    assert cached("inception") == cache and find_inception() is None
    cache.parent.mkdir(parents=True)
    cache.touch()
    assert find_inception() == cache
    named, given = tmp_path / "named.pth", tmp_path / "given.pth"
    named.touch()
    given.touch()
    monkeypatch.setenv("SRKIT_INCEPTION", str(named))
    assert find_inception() == named
    assert find_inception(given) == given
    with pytest.raises(WeightsError, match="absent"):  # nothing else is taken in its place
        find_inception(tmp_path / "absent.pth")


def test_the_standard_file_is_fetched_by_its_hash_into_torch_s_cache(cache, monkeypatch):
    asked = []

    def download(url, path, digest):
        asked.append((url, digest))
        path.parent.mkdir(parents=True)
        path.write_bytes(b"weights")

    monkeypatch.setattr("srkit.weights.third_party.download", download)
    known = STANDARD._replace(sha256=hashlib.sha256(b"weights").hexdigest())
    monkeypatch.setitem(THIRD_PARTY, "inception", known)
    assert fetch_inception() == cache
    release = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights"
    url = f"{release}/pt_inception-2015-12-05-6726825d.pth"
    assert asked == [(url, known.sha256)]
    assert fetch_inception() == cache and len(asked) == 1  # it is there by now
    assert find_inception() == cache
    cache.write_bytes(b"other")
    with pytest.raises(WeightsError, match="is damaged"):  # cached files are checked as fresh ones
        fetch_inception()


def test_weights_that_cannot_be_fetched_say_how_to_get_them(cache, monkeypatch):
    nowhere = STANDARD._replace(url=f"http://127.0.0.1:1/{STANDARD_FILE}")
    monkeypatch.setitem(THIRD_PARTY, "inception", nowhere)
    with pytest.raises(WeightsError, match=r"put it at .*SRKIT_INCEPTION to its path") as caught:
        fetch_inception()
    assert "refused" in str(caught.value) and "\n" not in str(caught.value)
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_says_how_to_get_the_weights(cache):
    cache.parents[2].write_text("a file where torch's folder would be")
    with pytest.raises(WeightsError, match="SRKIT_INCEPTION to its path"):
        fetch_inception()


def test_weights_that_hold_nan_are_named_not_the_image(small_file):
    state = torch.load(small_file, weights_only=True)
    state["Conv2d_1a_3x3.bias"][0] = float("nan")
    torch.save(state, small_file)
    with pytest.raises(WeightsError, match=r"small\.pth holds NaN .* first in Conv2d_1a_3x3\.bias"):
        load_inception(small_file, 64)
