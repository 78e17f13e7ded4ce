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
        known = vars(self) | {"n": list(self.n)}
        left_out = [name for name in ("kid", "interval") if known[name] is None]
        return {name: value for name, value in known.items() if name not in left_out}

    def __str__(self) -> str:
        lines = [] if self.value is None else [f"FID-{self.layer}  {self.value:.6g}"]
        lines.append(f"protocol   {self.protocol or 'not known (the files do not say)'}")
        lines.append(f"layer      {self.layer}")
        lines.append(f"N          {' and '.join(str(n or 'not known') for n in self.n)}")
        lines.append(f"weights    {'sha256 ' + self.weights if self.weights else 'not known'}")
        if self.interval is not None:
            lines.append("interval   {:.6g} to {:.6g} (95%)".format(*self.interval))
        if self.kid is not None:
            lines.append(f"KID        {self.kid:.6g} (unbiased, cubic kernel)")
        return "\n".join(lines)


@dataclass(frozen=True)
class Settings:
    """How two sets are compared, by the names that `srkit fid` has for it.

    Protocol and layer are those of saved statistics where they are None, else "pytorch" and 2048.
    Inception weights are looked for as `find_inception` does, and downloaded where there are none.
    `kid` and so many rounds of `bootstrap` need the features, which saved statistics hold only up
    to N = layer. `paired`: the folders hold files of the same names, but for the suffix. `strict`:
    a photograph that cannot be read is an error, where it is else left out and listed.
    Raises ValueError for what is unknown or does nothing beside the others.
    """

    protocol: str | None = None
    layer: int | None = None
    weights: str | Path | None = None
    kid: bool = False
    bootstrap: int | None = None
    paired: bool = False
    strict: bool = False
    batch: int = 32
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.protocol not in (None, *PROTOCOLS):
            known = ", ".join(PROTOCOLS)
            raise ValueError(f"unknown protocol {self.protocol!r}; accepted: {known}")
        if self.layer not in (None, *LAYERS):
            raise ValueError(f"no layer of {self.layer} features; accepted: {sorted(LAYERS)}")
        if self.batch < 1:
            raise ValueError(f"--batch is 1 or more, not {self.batch}")
        if self.bootstrap is not None and self.bootstrap < 10:
            raise ValueError(
                f"--bootstrap takes 10 rounds or more, not {self.bootstrap}: fewer say nothing of"
                " 95%"
            )
        if self.paired and not self.keeps_features:
            raise ValueError("--paired is for --kid or --bootstrap; an FID knows no pairs")

    @property
    def keeps_features(self) -> bool:
        """Whether mean and covariance are not enough."""
        return self.kid or self.bootstrap is not None


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
        self, network: FIDInception | None, protocol: str, settings: Settings
    ) -> tuple[Statistics, np.ndarray | None]:
        """Statistics and, where they are at hand or wanted, features (N, d). Where they
        are not kept they are a stream, so that any number of photographs fits in memory."""
        if self.photos is None or network is None:
            assert self.saved is not None
            return self.saved, self.saved.features
        source = (self.photos, network, protocol, settings.batch, self.path.name)
        if not settings.keeps_features:
            return inception_statistics(*source), None
        features = inception_features(*source)
        return Statistics.of(features, space(network, protocol)), features


def compare(
    a: str | Path,
    b: str | Path | None = None,
    save: str | Path | None = None,
    settings: Settings | None = None,
) -> Comparison:
    """The FID between two folders of photographs, or saved statistics (.npz) in place of either.

    `save` keeps A's statistics, which are written before B is begun.
    Raises ValueError, naming it, where anything does not fit, before the long work.
    """
    settings = settings or Settings()
    if b is None and settings.keeps_features:
        raise ValueError("--kid and --bootstrap compare A with B, and there is no B")
    if save is not None:
        check_writable(Path(save), "--save")
    sides = [Side.open(side, settings.strict) for side in (a, b) if side is not None]
    protocol, layer = agreed_space(sides, settings.protocol, settings.layer)
    if b is not None:
        check_sides(sides[0], sides[1], settings)
    network = None
    if any(side.photos is not None for side in sides):
        path = find_inception(settings.weights) or fetch_inception()
        network = load_inception(path, layer).to(pick_device(settings.device))
        for side in sides:
            check_one_space(side.space, space(network, protocol))
    found: list[Statistics] = []
    rows: list[Any] = []  # features, where they are kept
    for side in sides:
        statistics, features = side.measure(network, protocol, settings)
        if save is not None and not found:
            statistics.save(save)
        found.append(statistics)
        rows.append(features)
    known = next((s.space for s in found if s.space is not None), None)
    about = (known.protocol if known else None, layer, tuple(s.n for s in found))
    value = None if b is None else frechet_distance(*found)
    x, y = rows[0], rows[-1]
    more: dict[str, Any] = {"kid": kid(x, y, settings.paired)} if settings.kid else {}
    if settings.bootstrap is not None and value is not None:
        values = bootstrap(x, y, settings.paired, settings.bootstrap)
        more["interval"] = interval(value, values)
    return Comparison(value, *about, known.weights if known else None, **more)


# --- What is refused before the long work --------------------------------------------------------


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


def check_sides(a: Side, b: Side, settings: Settings) -> None:
    """Raise ValueError where two sets do not compare, by what is known of them so far; warn where
    one does not say what it is."""
    for side in (a, b):
        if side.n is not None and side.n < 2:
            raise ValueError(
                f"{side.path}: a covariance needs two samples or more, there is {side.n}"
            )
        if settings.keeps_features and side.saved is not None and side.saved.features is None:
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
    if settings.paired and a.n != b.n:
        raise ValueError(f"--paired sets have equally many photographs, not {a.n} and {b.n}")
    if settings.paired and a.photos is not None and b.photos is not None:
        for own, other in zip(a.photos.items, b.photos.items, strict=True):
            if Path(str(own)).stem != Path(str(other)).stem:
                raise ValueError(
                    f"--paired folders have the same file names, but for the suffix; {own} and"
                    f" {other} have the same place and differ"
                )
