"""What every notebook begins with: its settings checked, its photographs, where its work goes."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from srkit import paths
from srkit.data.photos import Photos
from srkit.data.sources import open_photos
from srkit.devices import machine, pick_device
from srkit.evaluation import results, tables
from srkit.evaluation.measure import available_inception
from srkit.fid.inception import FIDInception
from srkit.models import count_parameters
from srkit.notebook import figures
from srkit.paths import check_preset, shown
from srkit.training.loop import in_stages, train_or_load
from srkit.training.recipe import Recipe
from srkit.training.run import OnLog
from srkit.weights import METHODS, find_checkpoint, label, load_generator, trained_path

# How many held-out photographs a preset measures; None is all of them.
MEASURED = {"smoke": 3, "demo": None, "laptop": 100, "cpu": 1_000, "gpu": 1_000, "paper": None}
SMALLEST = 128  # pixels; the figures need something to show


@dataclass(frozen=True)
class Session:
    """A notebook's settings, checked. Made by `begin`."""

    preset: str
    data: str
    seed: int
    device: str
    folder: Path  # figures and results.json go here

    def photos(self, split: str = "val") -> Photos:
        """The photographs of a split; of "val" as many as the preset measures, without those that
        are too small to be shown, which are counted aloud."""
        photos = open_photos(self.data, split)
        if split == "train":
            return photos
        return large_enough(photos.evenly_spaced(MEASURED[self.preset]), SMALLEST)

    def training_photos(self, plan: Recipe) -> Photos:
        """The photographs that a recipe trains on; those smaller than its crop are left out.

        Raises DataError where all of them are.
        """
        photos = open_photos(self.data, "train", plan.per_class, plan.short_side)
        return large_enough(photos, plan.crop)

    def vgg19(self, content: str = "auto") -> str:
        """The VGG19 to train with: as named; "auto" in the long presets is torchvision's,
        downloaded, since no long run is to be spent on the small network in its place."""
        long = self.preset in paths.LONG_PRESETS and "SRKIT_VGG19" not in os.environ
        return "torchvision" if long and content == "auto" else content

    def inception(self) -> tuple[list[FIDInception], str]:
        """`available_inception`; the long presets download it where it is missing."""
        return available_inception(self.device, fetch=self.preset in paths.LONG_PRESETS)

    def train(
        self, plan: Recipe, content: str = "auto", part: str = "", **options: Any
    ) -> tuple[Path, bool]:
        """`train_or_load` into this preset's folder of the model, where `find_checkpoint` looks.

        `part` is added to the folder's name, for a run that is not to be found there.
        """
        photos, held_out = self.training_photos(plan), open_photos(self.data, "val")
        out = paths.runs(self.preset) / (plan.folder + part)
        options["metadata"] = {"preset": self.preset, "commit": paths.commit()}
        options |= {"content": self.vgg19(content), "device": self.device}
        return train_or_load(plan, photos, held_out, out, **options)

    def train_stages(
        self,
        plans: Sequence[Recipe],
        content: str = "auto",
        part: str = "",
        on_log: OnLog | None = None,
        **options: Any,
    ) -> Path:
        """`train` for what `recipes.stages` lists, each from the generator of the one before;
        returns the last one's checkpoint. `part` and `on_log` are of that one alone."""

        def train_one(plan: Recipe, number: int) -> Path:
            last = number == len(plans)
            own: dict[str, Any] = {"part": part, "on_log": on_log} if last else {}
            return self.train(plan, content, **own, **options)[0]

        return in_stages(plans, train_one)

    def generators(self, *names: str, scale: int = 2) -> dict[str, nn.Module]:
        """The generators that this preset shows, with a line about each."""
        networks = {}
        for name in names:
            path = find_checkpoint(name, scale, self.preset)
            networks[name], facts = load_generator(path, METHODS[name].source, scale)
            about, size = facts["training"], count_parameters(networks[name]) / 1e6
            seen = f"{about.get('images_seen', 0):,} crops of {about.get('data', 'unknown')}"
            print(f"{label(name, scale)}: {size:.2f} M parameters, trained on {seen}")
        return networks

    def yours(self) -> dict[str, Path]:
        """The file of the SR-UGAN that notebook 04 trained in this preset, by its method's name;
        empty before that, and in the long presets, which show it as SR-UGAN itself."""
        file = trained_path("sr-ugan", 2, self.preset)
        beside = file.is_file() and find_checkpoint("sr-ugan", 2, self.preset) != file
        return {"sr-ugan-yours": file} if beside else {}

    def save(self, figure: Figure, name: str) -> Path:
        """Write a figure under its name, such as "fig4.png", and say where.

        What differs from a committed one that another machine drew goes to the preset's own folder
        and leaves that one as it is: float32 sums, and so trainings, differ from machine to
        machine. It is replaced where it was deleted.
        """
        path, here = self.folder / name, machine(self.device)
        there = self.folder == paths.figures() and path.is_file()
        if there and (source := figures.source_of(path)) != here:
            own = figures.save(figure, paths.runs(self.preset) / "figures" / name, here)
            if not figures.same_picture(own, path):
                print(f"{shown(path)} is from {source}, and kept; this one: {shown(own)}")
                return own
        else:
            figures.save(figure, path, here)
        print(f"saved {shown(path)}")
        return path

    def record(self, rows: Sequence[results.Row]) -> list[results.Row]:
        """Add rows to the results file and to its tables; returns all that it holds now."""
        return tables.record(self.folder / "results.json", [*results.quoted_rows(), *rows])


def large_enough(photos: Photos, side: int) -> Photos:
    """The photographs without those with a side under `side` pixels, which are counted aloud.
    Raises DataError where none is left."""
    large = photos.without_small(side)
    if small := len(photos) - len(large):
        print(f"left out {small} of {len(photos)} photographs: a side under {side} pixels")
    return large


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
