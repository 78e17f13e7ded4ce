"""Another project's generator: its weights in our blocks are its network, layer by layer."""

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from srkit import weights
from srkit.evaluation.measure import available_methods, weights_of
from srkit.files import sha256
from srkit.metrics import psnr
from srkit.upscale import upscale
from srkit.weights import WeightsError


def state_of(scale: int, width: int = 64) -> dict[str, torch.Tensor]:
    """Random weights under that project's names."""
    torch.manual_seed(scale)
    stages = scale // 2
    shapes = {"block1.0": (width, 3, 9, 9), "block7.0": (width, width, 3, 3)}
    for block in range(2, 7):
        shapes |= {f"block{block}.conv{n}": (width, width, 3, 3) for n in (1, 2)}
    shapes |= {f"block8.{n}.conv": (4 * width, width, 3, 3) for n in range(stages)}
    shapes[f"block8.{stages}"] = (3, width, 9, 9)
    state = {}
    for name, shape in shapes.items():
        state[f"{name}.weight"] = 0.02 * torch.randn(shape)
        state[f"{name}.bias"] = 0.02 * torch.randn(shape[0])
    slopes = ["block1.1", "block7.1", *(f"block{n}.prelu" for n in range(2, 7))]
    for name in [*slopes, *(f"block8.{n}.prelu" for n in range(stages))]:
        state[f"{name}.weight"] = torch.rand(1)
    for name in (f"block{block}.bn{n}" for block in range(2, 7) for n in (1, 2)):
        state |= {f"{name}.{part}": torch.randn(width) for part in ("weight", "bias")}
        state[f"{name}.running_mean"] = torch.randn(width)
        state[f"{name}.running_var"] = torch.rand(width) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(3)
    return state


def by_hand(state: dict[str, torch.Tensor], x: torch.Tensor, scale: int) -> torch.Tensor:
    """The network as FACTS and that project's README describe it: [0, 1] in, (tanh + 1) / 2 out."""

    def conv(name, x):
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def norm(name, x):
        parts = [state[f"{name}.{p}"] for p in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *parts)

    first = F.prelu(conv("block1.0", x), state["block1.1.weight"])
    y = first
    for n in range(2, 7):
        inner = norm(f"block{n}.bn1", conv(f"block{n}.conv1", y))
        inner = F.prelu(inner, state[f"block{n}.prelu.weight"])
        y = y + norm(f"block{n}.bn2", conv(f"block{n}.conv2", inner))
    y = first + F.prelu(conv("block7.0", y), state["block7.1.weight"])
    for n in range(scale // 2):
        y = F.pixel_shuffle(conv(f"block8.{n}.conv", y), 2)
        y = F.prelu(y, state[f"block8.{n}.prelu.weight"])
    return (torch.tanh(conv(f"block8.{scale // 2}", y)) + 1) / 2


@pytest.mark.parametrize("scale", [2, 4])
def test_it_is_that_project_s_network(tmp_path, scale):
    state = state_of(scale)
    torch.save(state, tmp_path / "netG.pth")
    generator = weights.load_peer(tmp_path / "netG.pth", scale)
    x = torch.rand(2, 3, 12, 9)
    with torch.no_grad():
        assert torch.allclose((generator(x) + 1) / 2, by_hand(state, x, scale), atol=1e-6)


def test_weights_are_named_by_a_variable_and_measured_only_then(tmp_path, monkeypatch):
    assert "leftthomas-srgan" not in available_methods(2)
    with pytest.raises(WeightsError, match="set SRKIT_LEFTTHOMAS"):
        upscale(Image.new("RGB", (8, 8)), "leftthomas-srgan", 2)
    path = tmp_path / "leftthomas_srgan_netG_x2.pth"
    torch.save(state_of(2), path)
    for named in (path, tmp_path):
        monkeypatch.setenv("SRKIT_LEFTTHOMAS", str(named))
        assert available_methods(2)[-1] == "leftthomas-srgan"
        assert weights_of("leftthomas-srgan", 2, "demo") == sha256(path)[:12]
    assert upscale(Image.new("RGB", (8, 9)), "leftthomas-srgan", 2).size == (16, 18)
    assert "leftthomas-srgan" not in available_methods(4)
    monkeypatch.setenv("SRKIT_LEFTTHOMAS", str(tmp_path / "none.pth"))
    with pytest.raises(WeightsError, match="nothing is there"):
        available_methods(2)


def test_another_file_is_refused(tmp_path):
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "vgg.pth")
    with pytest.raises(WeightsError, match=r"vgg\.pth is no 2x leftthomas generator"):
        weights.load_peer(tmp_path / "vgg.pth", 2)
    torch.save(state_of(4), tmp_path / "four.pth")
    with pytest.raises(WeightsError, match="no 2x leftthomas generator"):
        weights.load_peer(tmp_path / "four.pth", 2)


def test_the_real_one_beats_bicubic_on_set5(set5, leftthomas_file):
    gains = []
    for hr in set5:
        hr = hr.crop((0, 0, 128, 128))
        lr = hr.resize((64, 64), Image.Resampling.BICUBIC)
        made = [upscale(lr, "leftthomas-srgan", 2, leftthomas_file), upscale(lr, "bicubic", 2)]
        gains.append(psnr(made[0], hr, "y", 2) - psnr(made[1], hr, "y", 2))
    assert sum(gains) / len(gains) > 1
