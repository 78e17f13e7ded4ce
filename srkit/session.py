"""What every notebook begins with: its settings checked, its photographs, where its work goes."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from srkit import figures, paths, results
from srkit.data import Photos, open_photos
from srkit.inception import HOW_TO_GET, FIDInception, find_inception, load_inception
from srkit.recipes import check_preset
from srkit.train import pick_device
from srkit.weights import WeightsError

# How many held-out photographs a preset measures; None is all of them.
MEASURED = {"smoke": 3, "demo": None, "laptop": 100, "gpu": 1_000, "paper": None}


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
        """The photographs of a split; of "val" as many as the preset measures."""
        photos = open_photos(self.data, split)
        return photos if split == "train" else photos.spread(MEASURED[self.preset])

    def save(self, figure: Figure, name: str) -> Path:
        """Write a figure under its name, such as "fig4.png", and say where."""
        path = figures.save(figure, self.folder / name)
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


def shown(path: Path) -> str:
    """A path as one would type it in the clone."""
    root = paths.root()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def available_inception(device: str = "cpu") -> tuple[list[FIDInception], str]:
    """The FID Inception at the deepest layer that the weights at hand allow, and a line about it.

    The list is empty where there are no weights; the line then says how to get them.
    """
    path = find_inception()
    if path is None:
        return [], f"FID: not measured, there are no Inception weights here; {HOW_TO_GET}"
    try:
        network = load_inception(path, 2048)
    except WeightsError as complaint:
        network = load_inception(path, 768)
        return [network.to(device)], f"{complaint}; so FID-768 is measured, and no 2048-d FID"
    return [network.to(device)], f"FID with {network.name}"
