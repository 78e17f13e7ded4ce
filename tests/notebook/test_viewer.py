"""The viewer: what the page is given, and what the kernel answers."""

import base64
import io
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from srkit.metrics import psnr
from srkit.models import SRGANGenerator, interpolated
from srkit.notebook import viewer
from srkit.upscale import super_resolve, upscale


def noise(width: int = 96, height: int = 80) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def picture(entry) -> np.ndarray:
    data = base64.b64decode(entry["src"].removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)))


def predict(lr, method):
    return upscale(lr, method, 2)


@pytest.fixture
def view(monkeypatch):
    """A viewer of two methods, and what it sends."""
    torch.manual_seed(0)
    ends = {name: SRGANGenerator(blocks=1, width=4).eval() for name in ("srresnet", "srgan")}
    one = viewer.Viewer(noise(97, 80), ["nearest", "bicubic"], predict, blend=ends)
    one.sent = []
    monkeypatch.setattr(one, "send", one.sent.append)
    return one


def wait() -> None:
    for thread in threading.enumerate():
        if (
            thread is not threading.current_thread()
            and thread.daemon
            and thread.name.endswith("(take)")
        ):
            thread.join(60)


def ask_photo(view, request: int, mode: str = "compare", file: bytes | None = None) -> None:
    data = io.BytesIO()
    noise(64, 48).save(data, "PNG")
    message = {"ask": "photo", "mode": mode, "name": "mine", "request": request}
    view.answer(message, [data.getvalue() if file is None else file])
    wait()


def test_every_picture_is_there_whole_and_measured(view):
    entries = {entry["name"]: entry for entry in view.data["methods"]}
    assert list(entries) == ["lr", "nearest", "bicubic", "hr"]
    hr = noise(97, 80).crop((0, 0, 96, 80))
    assert np.array_equal(picture(entries["hr"]), np.asarray(hr))
    assert picture(entries["lr"]).shape == (40, 48, 3)
    sr = upscale(Image.fromarray(picture(entries["lr"])), "bicubic", 2)
    assert np.array_equal(picture(entries["bicubic"]), np.asarray(sr))
    assert entries["bicubic"]["psnr"] == psnr(sr, hr, "y", 2)
    assert (view.data["width"], view.data["height"]) == (96, 80)


def test_patch_distance_is_that_of_colours_and_texture():
    grey = Image.new("RGB", (64, 64), (100, 100, 100))
    brighter = Image.new("RGB", (64, 64), (110, 110, 110))
    assert viewer.patch_distance(grey, brighter) == pytest.approx(8 * 8 * 3 * 10**2, rel=1e-3)


def test_weights_in_between_begin_and_end_with_the_networks(view):
    made, lr = view.data["blend"]["made"], Image.fromarray(picture(view.data["methods"][0]))
    assert [one["t"] for one in made] == list(viewer.MADE)
    for one, network in zip((made[0], made[-1]), view.blend.values(), strict=True):
        assert np.array_equal(picture(one), np.asarray(super_resolve(network, lr)))


def test_other_weights_are_made_when_the_page_asks(view):
    view.answer({"ask": "blend", "t": 0.3, "scene": 0}, [])
    lr = Image.fromarray(picture(view.data["methods"][0]))
    mixed = interpolated(*view.blend.values(), 0.3)
    assert view.sent[0]["t"] == 0.3
    assert np.array_equal(picture(view.sent[0]), np.asarray(super_resolve(mixed, lr)))


def test_a_photograph_is_compared_or_enlarged(view):
    ask_photo(view, 1)
    *working, done = view.sent
    assert done["kind"] == "photo", done
    assert [one["text"] for one in working] == ["mine: Nearest-neighbor", "mine: Bicubic"]
    assert [one["name"] for one in done["data"]["methods"]] == ["lr", "nearest", "bicubic", "hr"]
    assert done["data"]["methods"][2]["file"] == "mine-bicubic.png"
    ask_photo(view, 2, "enlarge")
    scene = view.sent[-1]["data"]
    assert [one["name"] for one in scene["methods"]] == ["lr", "nearest", "bicubic"]
    assert picture(scene["methods"][2]).shape == (96, 128, 3) and "blend" not in scene


def test_the_newest_photograph_wins(view):
    def while_working(lr, method):
        view.newest = 2  # as if another had come
        return predict(lr, method)

    view.predict = while_working
    ask_photo(view, 1)
    assert [one["kind"] for one in view.sent] == ["working"]


def test_a_file_that_is_no_picture_is_named(view):
    ask_photo(view, 1, file=b"no picture")
    assert view.sent[-1]["kind"] == "failed" and view.sent[-1]["text"].startswith("mine: ")
