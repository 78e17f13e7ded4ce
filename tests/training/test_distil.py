"""The small content network is trained on a teacher's features."""

import pytest
import torch

from srkit.cli import main
from srkit.data import centre_crops, embedded
from srkit.evaluation.agreement import agreement
from srkit.models.blocks import he_initialise
from srkit.models.vgg19 import (
    SMALL_LAYERS,
    VGG19,
    VGG19_LAYERS,
    Standardise,
    first_layers,
)
from srkit.training.distil import convolved, distil, relative, spoiled
from srkit.weights import load_vgg19, save_small


def teacher(seed: int = 1) -> VGG19:
    torch.manual_seed(seed)
    network = first_layers(Standardise())
    he_initialise(network)
    return VGG19(network, "relu3_1", "a random teacher", 2.0)


def test_the_layers_before_their_relu_are_those_of_the_cut_network():
    network, image = teacher().network, torch.rand(1, 3, 16, 16)
    for layer, made in zip(SMALL_LAYERS, convolved(network, image), strict=True):
        assert torch.equal(made.relu(), network[: VGG19_LAYERS[layer] + 2](image))


def test_spoiled_pictures_are_pictures_and_none_is_the_photograph():
    hr = centre_crops(embedded("val"), 32, 4)
    for scale in (2, 4):
        sr = spoiled(hr, scale)
        assert sr.shape == hr.shape and sr.min() >= 0 and sr.max() <= 1
        assert ((sr - hr).square().mean((1, 2, 3)) > 0).all()


def test_a_distilled_network_comes_nearer_to_its_teacher():
    one, hr = teacher(), centre_crops(embedded("val"), 32, 2)
    begun, trained = (distil(one, embedded("train"), n, 2, 16) for n in (1, 40))
    wanted = list(convolved(one.network, hr))
    for made, before, aim in zip(convolved(trained, hr), convolved(begun, hr), wanted, strict=True):
        assert relative(made, aim) < 0.8 * relative(before, aim)


def test_the_same_seed_is_the_same_network():
    networks = [distil(teacher(), embedded("train"), 2, 2, 16, seed=3) for _ in range(2)]
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(one, other)


def test_a_network_agrees_with_itself_and_less_with_another(tmp_path):
    files = [
        str(save_small(tmp_path / f"{n}.safetensors", teacher(n).network, 2.0, {})) for n in (1, 2)
    ]
    hr = centre_crops(embedded("val"), 32, 2)
    for layer in agreement(files[0], files[0], hr).values():
        assert list(layer["small"].values()) == pytest.approx([1, 1, 1], abs=1e-4)
        assert layer["untrained VGG19"]["gradient cosine"] < 0.95
    for layer in agreement(files[0], files[1], hr).values():
        numbers = layer["small"]
        assert numbers["explained variance"] < 0.5 and numbers["gradient cosine"] < 0.95


def test_the_command_writes_a_network_that_says_how_it_was_made(tmp_path, capsys):
    taught = save_small(tmp_path / "teacher.safetensors", teacher().network, 2.0, {})
    path = tmp_path / "own.safetensors"
    command = ["distil", "--content", str(taught), "--updates", "2", "--photographs", "2"]
    assert main([*command, "--out", str(path), "--device", "cpu"]) == 0
    assert "relu3_1, small: gradient cosine" in capsys.readouterr().out
    loaded = load_vgg19(str(path))
    assert loaded.layer == "relu3_1" and "distilled" in loaded.name and loaded.feature_scale == 2
