"""Runs of the smoke preset on a few smooth pictures, for the tests of this folder."""

import os
import signal

import numpy as np
import torch
from PIL import Image

from srkit.data import Photos, bicubic_lr, norm, to_tensor
from srkit.training import checkpoints, loop
from srkit.training.recipe import Recipe
from srkit.training.recipes import recipe


def photos(count=3, side=40, seed=0) -> Photos:
    """Smooth random pictures, so that there is something to learn; one class each."""
    rng = np.random.default_rng(seed)
    items = []
    for _ in range(count):
        small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        items.append(np.asarray(small.resize((side, side), Image.Resampling.BICUBIC)))
    return Photos("smooth", items, list(range(count)), [str(n) for n in range(count)])


def smoke(model="srresnet", **changes) -> Recipe:
    return recipe(model, "smoke", **changes)


def run(plan, out, **options):
    return loop.train(plan, photos(), photos(2, seed=1), out, device="cpu", **options)


def saved(out) -> dict:
    return torch.load(checkpoints.found(out)[0], weights_only=True)


def interrupt_at(step):
    """An `on_sample` that does what Ctrl-C does."""

    def interrupt(state, row, sr):
        if state.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return interrupt


def equal(a, b) -> bool:
    """Whether two nested state dicts are the same, bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def batch(count=4):
    hr = torch.stack([to_tensor(photo) for photo in photos(count, 32).items])
    return bicubic_lr(hr, 2), norm(hr), torch.arange(count) % 3


def files(folder, names) -> Photos:
    """Photographs in files, of one class, made where they are absent."""
    folder.mkdir(exist_ok=True)
    for name in names:
        if not (folder / name).exists():
            Image.fromarray(photos(1, seed=len(name)).items[0]).save(folder / name)
    return Photos("files", [folder / name for name in names], [0] * len(names), ["a"])
