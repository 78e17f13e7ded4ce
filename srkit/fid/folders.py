"""Two sets of photographs, or their saved statistics, in one FID: what `srkit fid` does."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from srkit.data.photos import Photos
from srkit.data.readable import readable
from srkit.data.sources import photo_folder
from srkit.devices import pick_device
from srkit.fid.features import PROTOCOLS, inception_features, inception_statistics, space
from srkit.fid.frechet import frechet_distance
from srkit.fid.inception import (
    LAYERS,
    FIDInception,
    fetch_inception,
    find_inception,
    load_inception,
)
from srkit.fid.statistics import Space, Statistics, check_comparable, check_one_space
from srkit.fid.uncertainty import bootstrap, interval, kid
from srkit.files import check_writable


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
            "value": self.value,
            "protocol": self.protocol,
            "layer": self.layer,
            "n": list(self.n),
            "weights": self.weights,
            **{name: value for name, value in wanted.items() if value is not None},
        }

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


@dataclass(frozen=True)
class Side:
    """One of the two sets: a folder of photographs, or the statistics that were saved of one."""

    path: Path
    photos: Photos | None
    saved: Statistics | None

    @classmethod
    def open(cls, path: str | Path, strict: bool = False) -> "Side":
        """Raises FileNotFoundError, DataError or ValueError where it is neither. Photographs that
        cannot be read are left out and listed, unless it is `strict`."""
        path = Path(path)
        if path.is_dir():
            return cls(path, readable(photo_folder(path), strict), None)
        if not path.is_file():
            raise FileNotFoundError(f"no folder of photographs or saved statistics at {path}")
        return cls(path, None, Statistics.load(path))

    @property
    def n(self) -> int | None:
        return self.saved.n if self.saved else len(self.photos or ())

    @property
    def space(self) -> Space | None:
        return self.saved.space if self.saved else None

    def measure(
        self, network: FIDInception | None, protocol: str, batch: int, keep: bool
    ) -> tuple[Statistics, np.ndarray | None]:
        """Statistics and, where they are at hand or to `keep`, features (N, d). Without `keep` they
        are a stream, so that any number of photographs fits in memory."""
        if self.photos is None or network is None:
            assert self.saved is not None
            return self.saved, self.saved.features
        source = (self.photos, network, protocol, batch, self.path.name)
        if not keep:
            return inception_statistics(*source), None
        features = inception_features(*source)
        return Statistics.of(features, space(network, protocol)), features


def compare(
    a: str | Path,
    b: str | Path | None = None,
    protocol: str | None = None,
    layer: int | None = None,
    weights: str | Path | None = None,
    save: str | Path | None = None,
    with_kid: bool = False,
    rounds: int | None = None,
    paired: bool = False,
    batch: int = 32,
    device: str = "auto",
    strict: bool = False,
) -> Comparison:
    """The FID between two folders of photographs, or saved statistics (.npz) in place of either.

    Protocol and layer are those of the saved statistics where they are not given, else "pytorch"
    and 2048. Inception weights are looked for as `find_inception` does, and downloaded where there
    are none. `save` keeps A's statistics, which are written before B is begun. `with_kid` and
    `rounds` of bootstrap need the features, which saved statistics hold only up to N = layer.
    `paired`: the folders hold files of the same names, but for the suffix. `strict`: a photograph
    that cannot be read is an error, where it is else left out and listed.
    Raises ValueError, naming it, where anything does not fit, before the long work.
    """
    keep = with_kid or rounds is not None
    check_options(protocol, layer, batch, rounds, paired, keep, alone=b is None)
    if save is not None:
        check_writable(Path(save), "--save")
    sides = [Side.open(side, strict) for side in (a, b) if side is not None]
    protocol, layer = agreed_space(sides, protocol, layer)
    if b is not None:
        check_sides(sides[0], sides[1], keep, paired)
    network = None
    if any(side.photos is not None for side in sides):
        network = _network(weights, layer, device)
        for side in sides:
            check_one_space(side.space, space(network, protocol))
    found: list[Statistics] = []
    rows: list[Any] = []  # features, where they are kept
    for side in sides:
        statistics, features = side.measure(network, protocol, batch, keep)
        if save is not None and not found:
            statistics.save(save)
        found.append(statistics)
        rows.append(features)
    known = next((s.space for s in found if s.space is not None), None)
    about = (known.protocol if known else None, layer, tuple(s.n for s in found))
    digest = known.weights if known else None
    value = frechet_distance(*found) if b is not None else None
    more: dict[str, Any] = {}
    if keep and value is not None:
        x, y = rows
        more |= {"kid": kid(x, y, paired)} if with_kid else {}
        more |= {"interval": interval(value, bootstrap(x, y, paired, rounds))} if rounds else {}
    return Comparison(value, *about, digest, **more)


# --- What is refused before the long work --------------------------------------------------------


def check_options(
    protocol: str | None,
    layer: int | None,
    batch: int,
    rounds: int | None,
    paired: bool,
    keep: bool,
    alone: bool,
) -> None:
    """Raise ValueError for options that are unknown or do nothing beside the others."""
    for wrong, message in [
        (
            protocol not in (None, *PROTOCOLS),
            f"unknown protocol {protocol!r}; accepted: {', '.join(PROTOCOLS)}",
        ),
        (layer not in (None, *LAYERS), f"no layer of {layer} features; accepted: {sorted(LAYERS)}"),
        (batch < 1, f"--batch is 1 or more, not {batch}"),
        (
            rounds is not None and rounds < 10,
            f"--bootstrap takes 10 rounds or more, not {rounds}: fewer say nothing of 95%",
        ),
        (alone and keep, "--kid and --bootstrap compare A with B, and there is no B"),
        (paired and not keep, "--paired is for --kid or --bootstrap; an FID knows no pairs"),
    ]:
        if wrong:
            raise ValueError(message)


def agreed_space(sides: list[Side], protocol: str | None, layer: int | None) -> tuple[str, int]:
    """Protocol and layer as given, else those of the saved statistics, else "pytorch" and 2048.

    Raises ValueError where saved statistics are of others, or of what they cannot be.
    """
    protocols, layers = [protocol], [layer]
    for side in sides:
        if side.saved is None:
            continue
        own, size = side.space, side.saved.mean.size
        if own is not None and own.protocol not in PROTOCOLS:
            known = ", ".join(PROTOCOLS)
            raise ValueError(f"{side.path} is of the protocol {own.protocol!r}; known: {known}")
        if own is not None and own.layer != size:
            raise ValueError(
                f"{side.path} is of layer {own.layer}, but its mean has {size} entries"
            )
        for option, wanted, theirs in [
            ("--protocol", protocol, own.protocol if own else None),
            ("--layer", layer, size),
        ]:
            if wanted is not None and theirs is not None and wanted != theirs:
                raise ValueError(f"{option} {wanted}, but {side.path} was made with {theirs}")
        protocols.append(own.protocol if own else None)
        layers.append(size)
    return next(filter(None, protocols), "pytorch"), next(filter(None, layers), 2048)


def check_sides(a: Side, b: Side, keep: bool, paired: bool) -> None:
    """Raise ValueError where two sets do not compare, by what is known of them so far; warn where
    one does not say what it is."""
    for side in (a, b):
        if side.n is not None and side.n < 2:
            raise ValueError(
                f"{side.path}: a covariance needs two samples or more, there is {side.n}"
            )
        if keep and side.saved is not None and side.saved.features is None:
            raise ValueError(
                f"{side.path} holds a mean and a covariance only; KID and bootstrap need the"
                " features: give the folder of photographs instead"
            )
        if side.saved is not None and side.space is None:
            warnings.warn(
                f"{side.path} does not say its protocol and weights (pytorch-fid's format); they"
                " are taken to be the other side's",
                stacklevel=3,
            )
    if a.saved is not None and b.saved is not None:
        check_comparable(a.saved, b.saved)
    if paired and a.n != b.n:
        raise ValueError(f"--paired sets have equally many photographs, not {a.n} and {b.n}")
    if paired and a.photos is not None and b.photos is not None:
        for own, other in zip(a.photos.items, b.photos.items, strict=True):
            if Path(str(own)).stem != Path(str(other)).stem:
                raise ValueError(
                    f"--paired folders have the same file names, but for the suffix; {own} and"
                    f" {other} have the same place and differ"
                )


def _network(weights: str | Path | None, layer: int, device: str) -> FIDInception:
    path = find_inception(weights) or fetch_inception()
    return load_inception(path, layer).to(pick_device(device))
