"""Checkpoints: what goes in comes out, and what does not fit is refused with what would."""

import json
import os
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from srkit import paths, weights
from srkit.files import LockedError, lock, sha256
from srkit.models import build_generator
from srkit.paths import shipped
from srkit.weights import (
    WeightsError,
    checkpoint_path,
    find_checkpoint,
    load_generator,
    load_state,
    save_generator,
)

SETTINGS = {
    "srresnet": {"model": "srresnet", "scale": 2, "blocks": 1, "width": 4},
    "srgan": {"model": "srgan", "scale": 4, "blocks": 1, "width": 4},
    "sr-ugan": {"model": "sr-ugan", "scale": 2, "blocks": 1, "width": 4, "wide": 6, "unet": [4, 6]},
}


def written(folder, model="sr-ugan", **metadata):
    settings = SETTINGS[model]
    generator = build_generator(settings)
    generator(torch.rand(2, 3, 8, 8))  # BatchNorm's statistics leave their start
    return save_generator(folder / "made.safetensors", generator, settings, metadata), generator


# --- Saving and loading --------------------------------------------------------------------------


@pytest.mark.parametrize("model", SETTINGS)
def test_a_generator_comes_back_rounded_to_fp16(model, tmp_path):
    path, generator = written(tmp_path, model)
    loaded, _ = load_generator(path)
    assert type(loaded) is type(generator) and not loaded.training
    for name, value in generator.state_dict().items():
        back = loaded.state_dict()[name]
        assert back.dtype == value.dtype
        assert torch.equal(back, value.half().to(value.dtype)), name
    lr = torch.rand(1, 3, 9, 7)
    # fp16 keeps 11 bits of each weight
    assert torch.allclose(loaded(lr), generator.eval()(lr), atol=5e-3)


def test_metadata_comes_back_as_it_was(tmp_path):
    facts = {"recipe": {"crop": 256, "unet": [4, 6]}, "data": "photos", "seed": 0, "commit": None}
    path, _ = written(tmp_path, **facts)
    _, metadata = load_generator(path, "sr-ugan", 2)
    assert metadata["training"] == facts
    assert metadata["settings"] == SETTINGS["sr-ugan"]
    assert metadata["sha256"] == sha256(path)


def test_sha256_is_the_standard_one(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # the example of FIPS 180-2
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "abc") == digest


def test_saving_goes_aside_first_and_leaves_nothing_there(tmp_path, monkeypatch):
    path, generator = written(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    before = path.read_bytes()

    def fail(*_):
        raise OSError("full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="full"):
        save_generator(path, generator, SETTINGS["sr-ugan"], {"new": True})
    assert path.read_bytes() == before  # the old file is whole until the new one is


def test_saving_makes_the_folder(tmp_path):
    path, _ = written(tmp_path / "a" / "b")
    assert path.is_file()


# --- What is refused -----------------------------------------------------------------------------


def test_an_absent_checkpoint_is_named_with_what_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path)
    path = written(tmp_path)[0].rename(tmp_path / "made_x2.safetensors")
    with pytest.raises(WeightsError) as caught:
        load_generator(tmp_path / "nowhere.safetensors")
    assert "nowhere.safetensors" in str(caught.value)
    assert f"shipped: {path.stem}" in str(caught.value)


def damage(path, how):
    whole = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "text": b"version https://git-lfs.github.com/spec/v1\n",
            "cut header": whole[:100],
            "cut": whole[: len(whole) // 2],
            "longer": whole + b"more",
            "garbled": b"\xff" * 200 + whole[200:],
        }[how]
    )


@pytest.mark.parametrize("how", ["empty", "text", "cut header", "cut", "longer", "garbled"])
def test_a_damaged_checkpoint_is_named(tmp_path, how):
    path, _ = written(tmp_path)
    damage(path, how)
    with pytest.raises(WeightsError, match=r"made\.safetensors is no srkit checkpoint, or is dam"):
        load_generator(path)


@pytest.mark.parametrize(
    "text",
    [
        None,
        {"settings": "{}", "training": "{}"},
        {"settings": "[1]", "training": "{}"},
        {"settings": "not json", "training": "{}"},
        {"settings": json.dumps(SETTINGS["srgan"])},
        {"settings": json.dumps(SETTINGS["srgan"]), "training": "[]"},
        {"settings": json.dumps(SETTINGS["srgan"]), "training": '{"recipe": []}'},
        {"settings": json.dumps(SETTINGS["srgan"]), "training": '{"iterations": "7"}'},
        {"srkit": "[1, 2]"},
        {"srkit": "[" * 100_000},
    ],
)
def test_somebody_else_s_safetensors_are_refused(tmp_path, text):
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors", metadata=text)
    with pytest.raises(WeightsError, match=r"other\.safetensors"):
        load_generator(tmp_path / "other.safetensors")


@pytest.mark.parametrize("change", [{"width": 8}, {"blocks": 2}, {"depth": 3}, {"scale": 4}])
def test_weights_that_do_not_fit_their_settings_are_refused(tmp_path, change):
    settings = SETTINGS["sr-ugan"]
    path = save_generator(
        tmp_path / "odd.safetensors", build_generator(settings), settings | change, {}
    )
    with pytest.raises(WeightsError, match=r"odd\.safetensors does not fit") as caught:
        load_generator(path)
    assert "\n" not in str(caught.value)


def test_another_model_or_scale_is_refused(tmp_path):
    path, _ = written(tmp_path)
    with pytest.raises(WeightsError, match="holds sr-ugan at 2x, not model srgan"):
        load_generator(path, "srgan")
    with pytest.raises(WeightsError, match="holds sr-ugan at 2x, not scale 4"):
        load_generator(path, "sr-ugan", 4)


def test_an_unknown_model_is_refused_with_those_there_are():
    for function in (lambda: checkpoint_path("esrgan", 2), lambda: build_generator({"model": "x"})):
        with pytest.raises(ValueError, match="accepted: srresnet, srgan, sr-ugan"):
            function()


def test_a_pytorch_file_with_code_in_it_is_not_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"weight": Payload()}, tmp_path / "bad.pth")
    with pytest.raises(
        WeightsError, match=r"bad\.pth .* could run code, which srkit never"
    ) as caught:
        load_state(tmp_path / "bad.pth")
    assert "weights_only" not in str(caught.value)  # torch's own advice is to switch it off
    assert not (tmp_path / "ran").exists()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"blocks": 1_000_000},
        {"width": 10**6},
        {"unet": [10**6]},
        {"unet": 4},
        {"unet": [4] * 99},
        {"width": 4.0},
        {"attention": 1},
        {"blocks": True},
        {"blocks": -1},
        {"model": []},
        {"model": "x"},
        {"scale": None},
        {"blocks": 64, "width": 1024, "wide": 1024},
    ],
)
def test_settings_are_checked_before_anything_is_built(tmp_path, change):
    settings = SETTINGS["sr-ugan"]
    network = build_generator(settings)
    path = save_generator(tmp_path / "odd.safetensors", network, settings | change, {})
    began = time.monotonic()
    with pytest.raises(WeightsError, match=r"odd\.safetensors does not fit its own settings"):
        load_generator(path)
    assert time.monotonic() - began < 5


def test_a_checkpoint_that_holds_nan_is_refused(tmp_path):
    path, generator = written(tmp_path)
    next(generator.parameters()).data.view(-1)[0] = float("nan")
    save_generator(path, generator, SETTINGS["sr-ugan"], {})
    with pytest.raises(WeightsError, match=r"made\.safetensors holds NaN or infinity, first in"):
        load_generator(path)


# --- Which checkpoint is shown -------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["demo", "laptop", "cpu", "gpu", "paper"])
def test_a_reduced_preset_shows_the_shipped_checkpoint(tmp_path, monkeypatch, preset):
    monkeypatch.setattr(paths, "runs", lambda preset: tmp_path / preset)
    assert find_checkpoint("srgan", 2, preset) == checkpoint_path("srgan", 2)
    own = weights.trained_path("srgan", 2, preset)
    own.parent.mkdir(parents=True)
    own.touch()
    shown = own if preset in ("cpu", "gpu", "paper") else checkpoint_path("srgan", 2)
    assert find_checkpoint("srgan", 2, preset) == shown


# --- The shipped checkpoints ---------------------------------------------------------------------

SHIPPED = shipped() or [pytest.param("", marks=pytest.mark.skip(reason="none is shipped"))]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_checkpoint_is_small_fp16_and_named_for_what_it_holds(name):
    path = paths.CHECKPOINTS / f"{name}.safetensors"
    assert path.stat().st_size <= 32 * 2**20
    with safe_open(path, framework="pt") as file:
        kinds = {file.get_tensor(key).dtype for key in file.keys()}  # noqa: SIM118
    assert torch.float16 in kinds and kinds <= {torch.float16, torch.int64}
    trained, _, scale = name.rpartition("_x")
    load_generator(path, weights.METHODS[trained].source, int(scale))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_checkpoint_says_how_it_was_made(name):
    _, metadata = load_generator(paths.CHECKPOINTS / f"{name}.safetensors")
    training = metadata["training"]
    assert {"recipe", "data", "iterations", "commit"} <= training.keys()
    assert training["commit"] and training["iterations"] > 0
    recipe, settings = training["recipe"], metadata["settings"]
    assert {key: recipe[key] for key in settings} == settings
    assert "/" not in training["data"] + recipe["start_from"]  # nobody's own folders


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_checkpoint_enlarges_a_picture_sensibly(name):
    generator, metadata = load_generator(paths.CHECKPOINTS / f"{name}.safetensors")
    scale = metadata["settings"]["scale"]
    grey = torch.full((1, 3, 21, 14), 0.5)
    sr = generator(grey)
    assert sr.shape == (1, 3, 21 * scale, 14 * scale) and torch.isfinite(sr).all()
    # mid-grey is 0 in [-1, 1]; a trained network is off by a few levels, an untrained one by many
    assert sr[..., 8:-8, 8:-8].mean().abs() < 0.1


def test_the_same_generator_is_the_same_bytes(tmp_path):
    settings = {"model": "srgan", "scale": 2, "blocks": 1, "width": 4}
    network = build_generator(settings)
    files = [
        save_generator(tmp_path / f"{n}.safetensors", network, settings, {"note": "x" * n})
        for n in range(1, 9)
    ]
    contents = [file.read_bytes() for file in files]
    again = save_generator(tmp_path / "1.safetensors", network, settings, {"note": "x"})
    assert again.read_bytes() == contents[0]
    for file in files:  # every length of the header, which is padded to eights
        loaded, facts = load_generator(file)
        assert facts["training"]["note"] == "x" * int(file.stem)
        for name, value in network.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], value.half().to(value.dtype))


# --- Shipping ------------------------------------------------------------------------------------


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    """An empty folder in the place of the package's checkpoints."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    monkeypatch.setattr(paths, "CHECKPOINTS", folder)
    return folder


def small(folder, training=None):
    settings = {"model": "sr-ugan", "scale": 2, "blocks": 1, "width": 4, "wide": 4, "unet": [4, 4]}
    path = folder / "generator.safetensors"
    return save_generator(path, build_generator(settings), settings, training or {"iterations": 7})


def test_ship_puts_a_generator_under_its_name_with_its_hash(tmp_path, checkpoints):
    source = small(tmp_path)
    path = weights.ship(source, "sr-ugan-large-batch", {"minutes": 1.5})
    assert path == checkpoints / "sr-ugan-large-batch_x2.safetensors"
    network, facts = load_generator(path, "sr-ugan", 2)
    assert facts["training"] == {"iterations": 7, "minutes": 1.5}
    for name, value in load_generator(source)[0].state_dict().items():
        assert torch.equal(network.state_dict()[name], value)
    assert weights.read_sums() == {path.name: sha256(path)}
    weights.ship(source, "sr-ugan", {})
    assert len(weights.read_sums()) == 2


def test_one_process_ships_at_a_time(tmp_path, checkpoints):
    with lock(checkpoints / "lock"), pytest.raises(LockedError, match="wait until it has ended"):
        weights.ship(small(tmp_path), "sr-ugan", {})
    weights.ship(small(tmp_path), "sr-ugan", {})
    assert not (checkpoints / "lock").exists()


def test_a_shipped_checkpoint_that_was_changed_is_refused(tmp_path, checkpoints):
    path = weights.ship(small(tmp_path), "sr-ugan", {})
    other = small(tmp_path, {"iterations": 8})
    path.write_bytes(other.read_bytes())  # whole, and not what was shipped
    with pytest.raises(WeightsError, match=r"sr-ugan_x2\.safetensors is not the checkpoint that"):
        load_generator(path)
    load_generator(other)  # one's own, elsewhere, is


def test_only_what_fits_is_shipped(tmp_path, checkpoints, monkeypatch):
    source = small(tmp_path)
    with pytest.raises(WeightsError, match="holds sr-ugan at 2x, not model srgan"):
        weights.ship(source, "srgan", {})
    with pytest.raises(ValueError, match="unknown model 'esrgan'"):
        weights.ship(source, "esrgan", {})
    monkeypatch.setattr(weights.checkpoints, "MOST_BYTES", 100)
    with pytest.raises(WeightsError, match="too large to be shipped"):
        weights.ship(source, "sr-ugan", {})
    assert list(checkpoints.iterdir()) == []


@pytest.mark.parametrize(
    ("training", "why"),
    [
        ({"preset": "smoke", "iterations": 7}, "of the preset smoke"),
        ({"preset": "gpu", "iterations": 7, "recipe": {"iterations": 8}}, "of 7 updates, .* has 8"),
    ],
)
def test_toys_and_unfinished_generators_are_shipped_by_force_only(
    tmp_path, checkpoints, training, why
):
    source = small(tmp_path, training)
    with pytest.raises(WeightsError, match=f"{why}.*--force"):
        weights.ship(source, "sr-ugan", {})
    assert list(checkpoints.iterdir()) == []
    assert weights.ship(source, "sr-ugan", {}, force=True).is_file()


def test_every_shipped_checkpoint_has_its_hash():
    names = {*shipped(), weights.SMALL}
    assert set(weights.read_sums()) == {f"{name}.safetensors" for name in names}
