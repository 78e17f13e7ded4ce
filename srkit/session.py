"""What every notebook begins with: its settings checked, its photographs, where its work goes."""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from srkit import figures, paths, results
from srkit.data import Photos, open_photos
from srkit.inception import (
    HOW_TO_GET,
    LAYERS,
    FIDInception,
    fetch_inception,
    find_inception,
    load_inception,
)
from srkit.recipes import Recipe, check_preset
from srkit.train import run_key, train
from srkit.updates import content_loss, pick_device
from srkit.weights import WeightsError, load_generator

# How many held-out photographs a preset measures; None is all of them.
MEASURED = {"smoke": 3, "demo": None, "laptop": 100, "gpu": 1_000, "paper": None}

SMALLEST = 128  # pixels; the figures need something to show


@dataclass(frozen=True)
class Session:
    """A notebook's settings, checked. Made by `begin`."""

    preset: str
    data: str
    seed: int
    device: str
    folder: Path  # figures and results.json go here

    @property
    def results_file(self) -> Path:
        """The results file of this preset and data."""
        return self.folder / "results.json"

    def photos(self, split: str = "val") -> Photos:
        """The photographs of a split; of "val" as many as the preset measures, without those that
        are too small to be shown, which are counted aloud."""
        photos = open_photos(self.data, split)
        if split == "train":
            return photos
        chosen = photos.spread(MEASURED[self.preset])
        large = chosen.without_small(SMALLEST)
        if len(large) < len(chosen):
            left_out = len(chosen) - len(large)
            print(f"{left_out} of {len(chosen)} photographs left out: a side under {SMALLEST}")
        return large

    def training_photos(self, plan: Recipe) -> Photos:
        """The photographs that a recipe trains on; those smaller than its crop are left out.

        Raises DataError where all of them are.
        """
        photos = open_photos(self.data, "train", plan.per_class, plan.short_side)
        small = len(photos.smaller_than(plan.crop))
        if 0 < small < len(photos):
            print(f"left out {small} of {len(photos)} photographs: smaller than {plan.crop} pixels")
            photos = photos.without_small(plan.crop)
        return photos.require_size(plan.crop)

    def vgg19(self, content: str = "auto") -> str:
        """The VGG19 to train with: as named; "auto" in the presets gpu and paper is torchvision's,
        downloaded, since no long run is to be spent on an untrained one."""
        long = self.preset in ("gpu", "paper") and "SRKIT_VGG19" not in os.environ
        return "torchvision" if long and content == "auto" else content

    def inception(self) -> tuple[list[FIDInception], str]:
        """`available_inception`; the presets gpu and paper download it where it is missing."""
        return available_inception(self.device, fetch=self.preset in ("gpu", "paper"))

    def train(
        self, plan: Recipe, content: str = "auto", part: str = "", **options: Any
    ) -> tuple[Path, bool]:
        """`train_or_load` into this preset's folder of the model, where `find_checkpoint` looks.

        `part` is added to the folder's name, for a run that is not to be found there.
        """
        content = self.vgg19(content)
        photos, held_out = self.training_photos(plan), open_photos(self.data, "val")
        out = paths.runs(self.preset) / (plan.folder + part)
        options["metadata"] = {"preset": self.preset, "commit": results.commit()}
        return train_or_load(plan, photos, held_out, out, content, self.device, **options)

    def save(self, figure: Figure, name: str) -> Path:
        """Write a figure under its name, such as "fig4.png", and say where."""
        path = figures.save(figure, self.folder / name)
        print(f"saved {shown(path)}")
        return path

    def write(self, text: str, name: str) -> Path:
        """Write a text under its name, such as "table.md", and say where."""
        path = self.folder / name
        aside = path.with_name(path.name + ".part")
        aside.write_text(text, encoding="utf-8", newline="\n")
        os.replace(aside, path)
        print(f"saved {shown(path)}")
        return path

    def record(self, rows: Sequence[results.Row]) -> list[results.Row]:
        """Add rows to the results file; returns all that it holds now."""
        everything = results.record(self.results_file, [*results.quoted_rows(), *rows])
        print(f"{len(rows)} rows in {shown(self.results_file)}")
        return everything


def begin(preset: str, data: str = "embedded", seed: int = 0, device: str = "auto") -> Session:
    """Check a notebook's parameters, fix the seeds, and say what it runs on.

    Raises ValueError on an unknown preset, DataError on a missing photo folder.
    """
    check_preset(preset)
    where = str(pick_device(device))
    np.random.seed(seed)
    torch.manual_seed(seed)
    folder = paths.figures(preset, data)
    name = torch.cuda.get_device_name() if where.startswith("cuda") else "CPU"
    print(f"preset {preset}, photographs {data}, seed {seed}, on {name}, torch {torch.__version__}")
    print(f"python {sys.executable}\nfigures and results go to {shown(folder)}")
    return Session(preset, data, seed, where, folder)


def train_or_load(
    plan: Recipe,
    photos: Photos,
    held_out: Photos,
    out: str | Path,
    content: str = "auto",
    device: str = "auto",
    **options: Any,
) -> tuple[Path, bool]:
    """Run a recipe, unless `out` holds the finished run of the same recipe, content network and
    photographs. Returns the generator's checkpoint, and whether it was computed, and prints which.

    A run of anything else in `out` is moved to `out`-KEY, and comes back when it is asked for.
    `options` are `train`'s: on_sample, workers, metadata.
    """
    out = Path(out)
    key = run_key(plan, content_loss(plan, content), photos)
    there, aside = finished(out), out.with_name(f"{out.name}-{key}")
    if there and there["key"] != key:
        out.rename(out.with_name(f"{out.name}-{there['key']}"))
        there = None
    if there is None and aside.is_dir():
        shutil.rmtree(out, ignore_errors=True)
        there = finished(aside.rename(out))
    computed = there is None or there["iterations"] < plan.iterations
    if computed:
        print(f"computing {plan.iterations} updates into {shown(out)}")
        train(plan, photos, held_out, out, content, device, **options)
    print(f"{'computed' if computed else 'loaded'} {shown(out)}, key {key}")
    return out / "generator.safetensors", computed


def finished(out: Path) -> dict[str, Any] | None:
    """What the generator in a run's folder says of its training so far; None without one."""
    path = out / "generator.safetensors"
    return {"key": "unknown", **load_generator(path)[1]["training"]} if path.is_file() else None


def shown(path: Path) -> str:
    """A path as one would type it in the clone."""
    root = paths.root()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def available_inception(
    device: str = "cpu", fetch: bool = False, every_layer: bool = False
) -> tuple[list[FIDInception], str]:
    """The FID Inception at the deepest layer that the weights at hand allow, and a line about it.

    `fetch` downloads the weights where there are none; `every_layer` collects the layers before it
    too. The list is empty where there are no weights; the line then says how to get them.
    """
    path = find_inception()
    if path is None and fetch:
        try:
            path = fetch_inception()
        except WeightsError as error:
            return [], f"FID: not measured; {error}"
    if path is None:
        return [], f"FID: not measured, there are no Inception weights here; {HOW_TO_GET}"
    layers = {dims: [d for d in LAYERS if d <= dims] if every_layer else [] for dims in LAYERS}
    try:
        network = load_inception(path, 2048, layers[2048])
    except WeightsError as error:
        network = load_inception(path, 768, layers[768])
        complaint = str(error).replace(str(path), path.name)  # tables name no machine's folders
        return [network.to(device)], f"{complaint}; so FID-768 is measured, and no 2048-d FID"
    return [network.to(device)], f"FID with {network.name}"
