"""How fast pictures are enlarged: ours, in tiles, against the same network run plainly.

`python -m srkit bench upscale` gives megapixels (of the picture that is enlarged) a second and peak
memory by network, precision and tile, and the rate against the plain run's; and the same of the
tiles of ccrestoration, where that is installed (`pip install ccrestoration`, in an environment of
its own: it brings another build of OpenCV).
"""

import ctypes
import gc
import importlib
import importlib.metadata
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image
from torch import nn

from srkit.data.images import denorm, to_image, to_tensor
from srkit.devices import has_fast_bf16, pick_device
from srkit.evaluation import results
from srkit.evaluation.bench_fid import alternate, digits, installed, timing_protocol
from srkit.models.build import build_generator
from srkit.models.inference import InBf16, with_early_tail
from srkit.upscale import super_resolve
from srkit.weights import checkpoint_path, load_generator

TOY: dict[str, dict[str, Any]] = {
    "srgan": {"blocks": 1, "width": 4},
    "sr-ugan": {"blocks": 1, "width": 4, "unet": (4, 4)},
}


@torch.no_grad()
def plain(generator: nn.Module, image: Image.Image) -> Image.Image:
    """As public code has it: the whole picture at once, in float32."""
    lr = to_tensor(image)[None].to(next(generator.parameters()).device)
    return to_image(denorm(generator(lr))[0])


PEER = "ccrestoration.model.tile"  # the module with its `tile_sr`, which takes any network


@torch.no_grad()
def in_tiles_of_peer(generator: nn.Module, image: Image.Image, tile: int) -> Image.Image:
    """In tiles by ccrestoration, with its own overlap, 8 pixels; all of its result is float32."""
    tile_sr = importlib.import_module(PEER).tile_sr
    lr = to_tensor(image)[None].to(next(generator.parameters()).device)
    return to_image(denorm(tile_sr(generator, generator.scale, lr, (tile, tile)))[0])


def bench_upscale(
    model: str,
    rounds: int = 5,
    quick: bool = False,
    device: str = "auto",
    tiles: tuple[int, ...] = (256, 512),
) -> list[results.Row]:
    """Rows of a shipped 2x network on a picture of noise, 1.2 megapixels, 0.3 on a CPU: in float32,
    and in bf16 where the device is faster in it. `quick` has a toy network and a small picture, and
    shows only that it runs, in both.

    Raises ValueError where `quick` has no toy of the network.
    """
    if quick and model not in TOY:
        raise ValueError(f"no toy network of {model} for quick; accepted: {', '.join(TOY)}")
    run = results.Run("bench", "smoke" if quick else None, device=str(pick_device(device)))
    width, height = (640, 480) if run.device == "cpu" else (1280, 960)
    if quick:
        width, height, tiles = 128, 96, (64, 96)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    work = ways(model, quick, image, tiles, run.device)
    peaks = {name: peak_memory(way, run.device) for name, way in work.items()}
    medians = alternate(work, rounds)
    size = "toy network" if quick else "shipped network"
    protocol = f"{size}, 2x; {timing_protocol(rounds, run)}"
    facts = {"dataset": "noise", "n": 1, "scale": 2, "side": width}
    rows = []
    for name, seconds in medians.items():
        values = {
            "megapixels/s": width * height / 1e6 / seconds,
            "rate / the plain run's": medians["plain"] / seconds,
            "peak memory (GiB)": peaks[name],
        }
        for metric, value in values.items():
            rows.append(run.row(model, metric, digits(value), protocol, variant=name, **facts))
    return rows


def ways(
    model: str, quick: bool, image: Image.Image, tiles: tuple[int, ...], device: str
) -> dict[str, Callable[[], object]]:
    """The plain run, ours in each precision and tile, and the other program where it is there."""

    def network() -> nn.Module:
        if quick:
            return build_generator({"model": model, "scale": 2} | TOY[model]).eval().to(device)
        return load_generator(checkpoint_path(model, 2))[0].to(device)

    work: dict[str, Callable[[], object]] = {"plain": partial(plain, network(), image)}
    fast = quick or has_fast_bf16(torch.device(device))
    for precision in ("fp32", "bf16") if fast else ("fp32",):
        ours = with_early_tail(network())
        ours = InBf16(ours) if precision == "bf16" else ours
        ours = ours.to(memory_format=torch.channels_last)
        for tile in tiles:
            name = f"srkit, {precision}, tile {tile}"
            work[name] = partial(super_resolve, ours, image, tile)
    if installed(PEER):
        name = f"ccrestoration {importlib.metadata.version('ccrestoration')}, fp32, tile {tiles[0]}"
        work[name] = partial(in_tiles_of_peer, network(), image, tiles[0])
    return work


def peak_memory(work: Callable[[], object], device: str) -> float:
    """GiB above what was in use before: on a GPU what is allocated there, else of the process, as
    seen every 5 ms."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        work()
        return torch.cuda.max_memory_allocated() / 2**30
    gc.collect()
    if sys.platform == "linux":  # what earlier work has freed is still the process's, and hides it
        with suppress(OSError, AttributeError):  # a C library without it
            ctypes.CDLL(None).malloc_trim(0)
    process, stop = psutil.Process(), threading.Event()
    before = peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.005):
            peak = max(peak, process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        work()
    finally:
        stop.set()
        thread.join()
    return (max(peak, process.memory_info().rss) - before) / 2**30
