"""Two sets of photographs, or their saved statistics, in one FID: what `srkit fid` does."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from srkit.data import photo_folder
from srkit.features import PROTOCOLS, inception_features, inception_statistics, space
from srkit.fid import Statistics, frechet_distance
from srkit.inception import LAYERS, FIDInception, fetch_inception, find_inception, load_inception
from srkit.sampling import bootstrap, interval, kid
from srkit.updates import pick_device


@dataclass(frozen=True)
class Comparison:
    """A Frechet distance with all that it depends on. None: not known, or not asked for."""

    value: float | None
    protocol: str | None
    layer: int
    n: tuple[int | None, ...]
    weights: str | None  # SHA-256
    kid: float | None = None
    interval: tuple[float, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """value, protocol, layer, n and weights; kid and interval where they were asked for."""
        wanted = {"kid": self.kid, "interval": self.interval}
        return {
            "value": self.value, "protocol": self.protocol, "layer": self.layer,
            "n": list(self.n), "weights": self.weights,
            **{name: value for name, value in wanted.items() if value is not None},
        }  # fmt: skip

    def __str__(self) -> str:
        known = [
            "" if self.value is None else f"FID-{self.layer}  {self.value:.6g}",
            f"protocol   {self.protocol or 'not known (the files do not say)'}",
            f"layer      {self.layer}",
            f"N          {' and '.join(str(n or 'not known') for n in self.n)}",
            f"weights    {'sha256 ' + self.weights if self.weights else 'not known'}",
            ""
            if self.interval is None
            else "interval   {:.6g} to {:.6g} (95%)".format(*self.interval),
            "" if self.kid is None else f"KID        {self.kid:.6g} (unbiased, cubic kernel)",
        ]
        return "\n".join(line for line in known if line)


def compare(
    a: str | Path, b: str | Path | None = None, protocol: str | None = None,
    layer: int | None = None, weights: str | Path | None = None, save: str | Path | None = None,
    with_kid: bool = False, rounds: int | None = None, paired: bool = False, batch: int = 32,
    device: str = "auto",
) -> Comparison:  # fmt: skip
    """The FID between two folders of photographs, or saved statistics (.npz) in place of either.

    Protocol and layer are those of the saved statistics where they are not given, else "pytorch"
    and 2048. Inception weights are looked for as `find_inception` does, and downloaded where there
    are none. `save` keeps A's statistics. `with_kid` and `rounds` of bootstrap need the features,
    which saved statistics hold only up to N = layer.
    Raises ValueError, naming it, where anything does not fit.
    """
    if protocol is not None and protocol not in PROTOCOLS:
        raise ValueError(f"unknown protocol {protocol!r}; accepted: {', '.join(PROTOCOLS)}")
    if layer is not None and layer not in LAYERS:
        raise ValueError(f"no layer of {layer} features; accepted: {sorted(LAYERS)}")
    sides = [Path(side) for side in (a, b) if side is not None]
    saved = {side: Statistics.load(side) for side in sides if _is_file(side)}
    spaces = [found.space for found in saved.values() if found.space is not None]
    sizes = [found.mean.size for found in saved.values()]
    for option, wanted, own in [
        ("--protocol", protocol, spaces[0].protocol if spaces else None),
        ("--layer", layer, sizes[0] if sizes else None),
    ]:
        if wanted is not None and own is not None and wanted != own:
            raise ValueError(f"{option} {wanted}, but {next(iter(saved))} was made with {own}")
    protocol = protocol or (spaces[0].protocol if spaces else "pytorch")
    layer = layer or (sizes[0] if sizes else 2048)
    network = None if len(saved) == len(sides) else _network(weights, layer, device)
    rows: list[np.ndarray | None] = []
    found: list[Statistics] = []
    for side in sides:
        if network is None or side in saved:
            statistics = saved[side]
            features = statistics.features
            if statistics.space is None:
                warnings.warn(
                    f"{side} does not say its protocol and weights (pytorch-fid's format); they"
                    " are taken to be the other side's",
                    stacklevel=2,
                )
        elif with_kid or rounds:
            features = inception_features(photo_folder(side), network, protocol, batch, side.name)
            statistics = Statistics.of(features, space(network, protocol))
        else:
            features = None  # a stream of them, so that any number of photographs fits in memory
            photos = photo_folder(side)
            statistics = inception_statistics(photos, network, protocol, batch, side.name)
        rows.append(features)
        found.append(statistics)
    if save is not None:
        found[0].save(save)
    known = next((s.space for s in found if s.space is not None), None)
    about = (known.protocol if known else None, layer, tuple(s.n for s in found))
    digest = known.weights if known else None
    if len(found) == 1:
        return Comparison(None, *about, digest)
    value = frechet_distance(*found)
    more: dict[str, Any] = {}
    if with_kid or rounds:
        x, y = (_features(side, own) for side, own in zip(sides, rows, strict=True))
        if with_kid:
            more["kid"] = kid(x, y, paired)
        if rounds:
            more["interval"] = interval(value, bootstrap(x, y, paired, rounds))
    return Comparison(value, *about, digest, **more)


def _is_file(side: Path) -> bool:
    if side.is_dir():
        return False
    if not side.is_file():
        raise FileNotFoundError(f"no folder of photographs or saved statistics at {side}")
    return True


def _features(side: Path, features: np.ndarray | None) -> np.ndarray:
    if features is None:
        raise ValueError(
            f"{side} holds a mean and a covariance only; KID and bootstrap need the features: give"
            " the folder of photographs instead"
        )
    return features


def _network(weights: str | Path | None, layer: int, device: str) -> FIDInception:
    path = find_inception(weights) or fetch_inception()
    return load_inception(path, layer).to(pick_device(device))
