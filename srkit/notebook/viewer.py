"""Every method on one photograph, to look at: a square under the loupe, a divider between any two,
the reader's own photograph, and the networks between SRResNet and SRGAN.

The page has every picture whole, so that it follows a drag by itself; a kernel is asked for a new
photograph, and for weights in between that were not made before.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from itertools import count
from typing import Any

from PIL import Image
from torch import nn

from srkit.data.images import bicubic_lr_pil, crop_to_multiple, to_tensor
from srkit.fid.features import patch_features
from srkit.fid.frechet import Statistics, frechet_distance
from srkit.metrics import psnr
from srkit.models import interpolated
from srkit.notebook.embed import Page, png
from srkit.notebook.figures import colour, detail_box
from srkit.upscale import super_resolve
from srkit.weights import LABELS

SIDE = 64  # of the square, in HR pixels
MOST = 640  # the longer side of a reader's photograph, so that every method takes seconds
MADE = (0.0, 0.25, 0.5, 0.75, 1.0)  # weights in between that play without a kernel

Predict = Callable[[Image.Image, str], Image.Image]


def patch_distance(sr: Image.Image, hr: Image.Image) -> float:
    """The Frechet distance of two pictures' own 8x8 patches, in squared levels: how unlike the
    texture is, wherever it lies."""
    parts = (Statistics.of(patch_features(to_tensor(one)[None])) for one in (sr, hr))
    return frechet_distance(*parts)


class Superseded(Exception):
    """A newer photograph has come."""


class Viewer(Page):
    """`Viewer(photo, ["bicubic", "srgan"], predict)` as a cell's last expression shows it.

    `predict(lr, method)` enlarges `scale` times. `blend` names the two networks to go between, by
    their methods: `{"srresnet": network, "srgan": network}`.
    """

    def __init__(
        self,
        photo: Image.Image,
        methods: Sequence[str],
        predict: Predict,
        scale: int = 2,
        labels: Mapping[str, str] = LABELS,
        blend: Mapping[str, nn.Module] | None = None,
    ):
        self.methods, self.predict, self.scale = list(methods), predict, scale
        self.labels, self.blend = labels, dict(blend or {})
        self.ids, self.newest = count(), 0
        self.pair: dict[int, tuple[Image.Image, Image.Image | None]] = {}  # LR and HR by scene
        scene = self.scene(photo.convert("RGB"))
        about = {"title": "Compare methods on a photograph", "scale": scale, "side": SIDE}
        super().__init__("viewer", about | {"most": MOST} | scene, self.answer)

    def scene(
        self, photo: Image.Image, enlarge: bool = False, told: Callable[[str], None] | None = None
    ) -> dict[str, Any]:
        """All pictures of a photograph: as HR, or as LR where it is to be enlarged. `told` hears
        which method is at work."""
        number = next(self.ids)
        hr = None if enlarge else crop_to_multiple(photo, self.scale)
        lr = photo if hr is None else bicubic_lr_pil(hr, self.scale)
        entries = [self.entry("lr", "LR", "#777777", lr, None)]
        for method in self.methods:
            if told:
                told(self.labels[method])
            picture = self.predict(lr, method)
            entries.append(self.entry(method, self.labels[method], colour(method), picture, hr))
        scene: dict[str, Any] = {"id": number, "methods": entries}
        if hr is not None:
            entries.append(self.entry("hr", "HR", colour("hr"), hr, None))
            top, left = detail_box(hr, min(SIDE, min(hr.size) // 2))
            scene["at"] = (left, top)
        scene |= {"width": lr.width * self.scale, "height": lr.height * self.scale}
        self.pair[number] = (lr, hr)
        if self.blend and hr is not None:
            made = [self.between(number, share) for share in MADE]
            scene["blend"] = {"ends": list(self.blend), "made": made}
        return scene

    def entry(
        self, name: str, label: str, tint: str, picture: Image.Image, hr: Image.Image | None
    ) -> dict[str, Any]:
        """One picture as the page has it, measured where there is an HR to compare it with."""
        about = {"name": name, "label": label, "colour": tint, "src": png(picture)}
        about["file"] = f"{name.replace(' ', '-')}.png"
        return about | (self.measured(picture, hr) if hr else {"psnr": None, "distance": None})

    def measured(self, sr: Image.Image, hr: Image.Image) -> dict[str, float]:
        """PSNR (Y, border `scale`) and patch distance of a whole picture."""
        return {"psnr": psnr(sr, hr, "y", self.scale), "distance": patch_distance(sr, hr)}

    def between(self, scene: int, share: float) -> dict[str, Any]:
        """The picture that the networks make whose weights are `share` of the second's."""
        lr, hr = self.pair[scene]
        first, second = self.blend.values()
        sr = super_resolve(interpolated(first, second, share), lr)
        about = {"kind": "blend", "t": share, "scene": scene, "src": png(sr)}
        return about | (self.measured(sr, hr) if hr else {})

    def answer(self, message: dict[str, Any], files: Sequence[bytes]) -> None:
        """What the page asks: weights in between at once, a photograph in a thread of its own,
        which ends when a newer photograph comes."""
        if message["ask"] == "blend" and message["scene"] in self.pair:
            self.send(self.between(message["scene"], float(message["t"])))
        if message["ask"] == "photo":
            self.newest = message["request"]
            threading.Thread(target=self.take, args=(message, bytes(files[0])), daemon=True).start()

    def take(self, message: dict[str, Any], file: bytes) -> None:
        """A reader's photograph: said method by method, shown when all are done."""
        mine = {"request": message["request"]}

        def told(label: str) -> None:
            if message["request"] != self.newest:
                raise Superseded
            self.send(mine | {"kind": "working", "text": f"{message['name']}: {label}"})

        try:
            with Image.open(BytesIO(file)) as image:
                scene = self.scene(image.convert("RGB"), message["mode"] == "enlarge", told)
            for one in scene["methods"]:
                one["file"] = f"{message['name']}-{one['file']}"
            self.send(mine | {"kind": "photo", "data": scene})
        except Superseded:
            return
        except Exception as error:  # shown where it was asked for
            self.send(mine | {"kind": "failed", "text": f"{message['name']}: {error}"})
