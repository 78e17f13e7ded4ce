"""LPIPS by torchmetrics, with random weights in AlexNet's place: what it is, not what it says."""

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from srkit.cli.entry import main
from srkit.data import Photos
from srkit.evaluation import lpips
from srkit.evaluation.measure import measure
from srkit.evaluation.results import Run, only
from srkit.files import sha256
from srkit.weights import THIRD_PARTY, cached

KNOWN = THIRD_PARTY["alexnet"]


@pytest.fixture
def alexnet(tmp_path, monkeypatch):
    """An AlexNet of random weights where torchvision looks for its own."""
    pytest.importorskip("torchmetrics")
    torch.manual_seed(0)
    path = tmp_path / "checkpoints" / cached("alexnet").name
    path.parent.mkdir()
    torch.save(torchvision.models.alexnet().state_dict(), path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    return path


def test_equal_pictures_are_at_0_and_more_noise_is_further_away(alexnet, monkeypatch):
    monkeypatch.setitem(THIRD_PARTY, "alexnet", KNOWN._replace(sha256=sha256(alexnet)))
    distance, note = lpips.available_lpips()
    assert alexnet.name in note
    grey = Image.new("RGB", (80, 72), (120, 130, 140))
    noise = [Image.effect_noise(grey.size, sigma).convert("RGB") for sigma in (5, 60)]
    near, far = (distance(Image.blend(grey, picture, 0.5), grey) for picture in noise)
    assert distance(grey, grey) == 0 < near < far


def test_measuring_with_it_adds_its_mean(rng):
    pixels = rng.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    photos = Photos("noise", list(pixels), [0, 1], ["a", "b"])
    values = iter([0.25, 0.5])
    rows = measure(["bicubic"], photos, 2, Run(), lpips=lambda sr, hr: next(values))
    row = only(rows, metric="LPIPS")
    assert (row["method"], row["value"]) == ("bicubic", 0.375) and "AlexNet" in row["protocol"]


def test_the_command_measures_it_where_it_can(alexnet, tmp_path, monkeypatch, capsys, rng):
    pixels = rng.integers(0, 256, (80, 72, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    command = ["evaluate", "--data", str(tmp_path), "--methods", "bicubic", "--device", "cpu"]
    assert main(command) == 0
    assert "LPIPS: not measured" in capsys.readouterr().out
    monkeypatch.setitem(THIRD_PARTY, "alexnet", KNOWN._replace(sha256=sha256(alexnet)))
    assert main(command) == 0
    assert "| LPIPS |" in capsys.readouterr().out


def test_without_alexnet_or_with_another_it_says_what_to_do(alexnet):
    assert lpips.available_lpips()[0] is None and "damaged" in lpips.available_lpips()[1]
    alexnet.unlink()
    assert KNOWN.url in lpips.available_lpips()[1]
