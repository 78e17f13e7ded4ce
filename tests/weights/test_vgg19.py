"""VGG19's file: damaged or poisoned, it is never run; and the small network in its place."""

import shutil

import pytest
import torch

from srkit import paths, weights
from srkit.data import centre_crops, embedded, held_out_crops, norm, photo_folder
from srkit.evaluation.agreement import agreement
from srkit.files import sha256
from srkit.losses import ContentLoss
from srkit.metrics import equally_wrong
from srkit.weights import WeightsError, load_vgg19


def poisoned(path, ran):
    """A pickle that makes the file `ran` where it is executed."""

    class Payload:
        def __reduce__(self):
            return (open, (str(ran), "w"))

    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"features.0.weight": Payload()}, path)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("name", ["auto", "torchvision", "path"])
def test_a_poisoned_vgg19_in_the_cache_is_never_run(tmp_path, monkeypatch, name, known):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    path = weights.cached("vgg19")
    poisoned(path, tmp_path / "ran")
    if known:  # even the right hash runs nothing
        vgg19 = weights.THIRD_PARTY["vgg19"]._replace(sha256=sha256(path))
        monkeypatch.setitem(weights.THIRD_PARTY, "vgg19", vgg19)
    said = (
        "never loads" if known else r"is damaged: .*, not dcbb9e9d\.\.\.; delete it and try again"
    )
    with pytest.raises(WeightsError, match=said):
        load_vgg19(str(path) if name == "path" else name)
    assert not (tmp_path / "ran").exists()


# --- The small content network -------------------------------------------------------------------


def losses_of(weights_name: str, layer: str, hr: torch.Tensor) -> dict[str, float]:
    """What a content loss makes of a photograph spoiled in four ways that are equally wrong."""
    loss = ContentLoss(load_vgg19(weights_name, layer))
    spoiled = equally_wrong(hr)
    with torch.no_grad():
        return {name: float(loss(norm(sr)[None], norm(hr)[None])) for name, sr in spoiled.items()}


@pytest.mark.parametrize("layer", ["relu2_2", "relu3_1"])
def test_the_small_network_sees_as_vgg19_does_and_an_untrained_one_does_not(layer):
    for hr in held_out_crops(embedded("val"), 3, 96):
        small, untrained = losses_of("small", layer, hr), losses_of("untrained", layer, hr)
        # VGG19's own ratios are 100 and more, those of random weights about one.
        assert small["brighter"] < small["blurred"] / 20
        assert untrained["brighter"] > untrained["blurred"] / 5
        assert max(small, key=small.get) == "blurred"


def test_the_small_network_agrees_with_vgg19_as_it_says(vgg19_file, val_folder):
    said = weights.read_checkpoint(weights.small_path())[1]["agreement"]
    hr = centre_crops(photo_folder(val_folder), 96, 4)
    for layer, networks in agreement("small", str(vgg19_file), hr).items():
        for name, numbers in networks.items():
            for what, value in numbers.items():  # of other and fewer photographs
                assert value == pytest.approx(said[layer][name][what], abs=0.1)
        mine = networks["small"]
        for other in ("untrained VGG19", "pixels"):
            assert mine["gradient cosine"] > networks[other]["gradient cosine"] + 0.1
            assert mine["correlation of losses"] > networks[other]["correlation of losses"]


def test_the_shipped_small_network_is_small_and_a_changed_one_refused(tmp_path, monkeypatch):
    path = weights.small_path()
    assert path.stat().st_size < 3_000_000
    folder = tmp_path / "checkpoints"
    shutil.copytree(path.parent, folder)
    monkeypatch.setattr(paths, "CHECKPOINTS", folder)
    whole = path.read_bytes()
    weights.small_path().write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(WeightsError, match="not the checkpoint that srkit ships"):
        load_vgg19("small")


def test_a_small_network_that_is_none_is_refused_and_named(tmp_path):
    path = tmp_path / "other.safetensors"
    with pytest.raises(WeightsError, match=r"no small content network at .*other"):
        load_vgg19(str(path))
    weights.save_small(path, torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), 1.0, {})
    with pytest.raises(WeightsError, match=r"other\.safetensors holds no small content network"):
        load_vgg19(str(path))
