"""Measure methods on photographs under one protocol: the rows behind Figure 3."""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from srkit import metrics, paths
from srkit.data.crops import middles
from srkit.data.images import bicubic_lr_pil, crop_to_multiple, resized
from srkit.data.photos import Photos
from srkit.evaluation import results
from srkit.fid.features import (
    PROTOCOLS,
    Extractor,
    measure_name,
    measure_protocol,
    patch_features,
    protocol_name,
)
from srkit.fid.frechet import Accumulator, FewImagesWarning, Statistics, frechet_distance
from srkit.fid.inception import (
    HOW_TO_GET,
    LAYERS,
    FIDInception,
    fetch_inception,
    find_inception,
    load_inception,
)
from srkit.fid.uncertainty import bootstrap, interval, kid
from srkit.files import sha256
from srkit.upscale import INTERPOLATIONS, upscale
from srkit.weights import PEERS, TRAINED, WeightsError, checkpoint_path, find_checkpoint, find_peer

SMALL_N = 5_000  # photographs, up to which (and from ten) intervals are worth their minutes

KID_PROTOCOL = "unbiased, cubic kernel, pairs of one photograph left out"

TWICE = " twice"  # "sr-ugan twice" is the 2x model applied to its own output


def hr_images(photos: Photos, scale: int, side: int | None = None) -> Iterator[Image.Image]:
    """The photographs as HR: cut to a multiple of the scale, otherwise at their own size, or first
    resized so that their short side is `side` pixels."""
    for number in range(len(photos)):
        photo = Image.fromarray(photos[number])
        if side is not None:
            photo = photo.resize(resized(photo.size, side), Image.Resampling.BICUBIC)
        yield crop_to_multiple(photo, scale)


def enlarge(
    lr: Image.Image,
    method: str,
    scale: int,
    preset: str = "demo",
    device: str = "cpu",
    checkpoint: Path | None = None,
) -> Image.Image:
    """`upscale` by a method's name in tables, which may end in " twice" (2x applied two times), or
    by a generator in a file of its own, whatever it is called."""
    if checkpoint is not None:
        return upscale(lr, "", scale, checkpoint, device)
    if method.endswith(TWICE):
        if scale != 4:
            raise ValueError(f"{method!r} enlarges 4 times, not {scale}")
        once = method.removesuffix(TWICE)
        return enlarge(enlarge(lr, once, 2, preset, device), once, 2, preset, device)
    checkpoint = find_checkpoint(method, scale, preset) if method in TRAINED else None
    return upscale(lr, method, scale, checkpoint, device)


def available_methods(scale: int) -> list[str]:
    """Every interpolation, and every network that there is a shipped checkpoint for; at 4x also
    the 2x networks applied twice; last the peers whose weights were named."""
    native = [name for name in TRAINED if checkpoint_path(name, scale).is_file()]
    twice = [name + TWICE for name in TRAINED if scale == 4 and checkpoint_path(name, 2).is_file()]
    peers = [name for name in PEERS if find_peer(name, scale)]
    return [*INTERPOLATIONS, *twice, *native, *peers]


def weights_of(method: str, scale: int, preset: str) -> str | None:
    """The first digits of the weights' SHA-256, or None for an interpolation."""
    name = method.removesuffix(TWICE)
    path = find_peer(name, scale) if name in PEERS else None
    if name in TRAINED:
        path = find_checkpoint(name, 2 if method.endswith(TWICE) else scale, preset)
    return sha256(path)[:12] if path is not None else None


def measure(
    methods: Sequence[str],
    photos: Photos,
    scale: int = 2,
    networks: Iterable[FIDInception] = (),
    preset: str = "demo",
    seed: int = 0,
    device: str = "cpu",
    checkpoints: Mapping[str, Path] | None = None,
) -> list[results.Row]:
    """PSNR, SSIM (Y, border `scale`) and Frechet distances of each method, as result rows.

    LR is the antialiased bicubic of each photograph at its own size, every prediction is rounded
    to 8 bits. The Frechet distances, between all predictions and all HR photographs, are taken on
    pixel patches and on each of `networks`, for these with KID and with 95% intervals of the value
    and of its ratio to bicubic (where bicubic is measured); HR against itself is added as "hr".
    A method in `checkpoints` is the generator in that file.
    """
    files = dict(checkpoints or {})
    paths.commit()  # the one that this process runs, whatever is committed while it does
    networks = list(networks) if len(photos) > 1 else []  # one photograph has no covariance
    rows: list[results.Row] = []

    def found(method: str, metric: str, protocol: str, value: float, **more: Any) -> None:
        own = files.get(method)
        more["weights"] = sha256(own)[:12] if own else weights_of(method, scale, preset)
        rows.append(
            results.measured(
                method, photos.name, len(photos), scale, metric, protocol, value, preset, seed,
                device, **more,
            )
        )  # fmt: skip

    features: dict[FIDInception, dict[str, np.ndarray]] = {network: {} for network in networks}
    truth: Statistics | None = None
    for method in ("hr", *methods):
        scores: dict[str, list[float]] = {"PSNR": [], "SSIM": []}
        patches, extractors = Accumulator(), {network: Extractor(network) for network in networks}
        for hr in tqdm(hr_images(photos, scale), method, len(photos), disable=None, leave=False):
            sr = hr
            if method != "hr":
                lr = bicubic_lr_pil(hr, scale)
                sr = enlarge(lr, method, scale, preset, device, files.get(method))
                scores["PSNR"].append(metrics.psnr(sr, hr, "y", scale))
                scores["SSIM"].append(metrics.ssim(sr, hr, "y", scale))
            patches.add(patch_features(sr))
            for extractor in extractors.values():
                extractor.add(sr)
        for metric, values in scores.items():
            if values:
                found(method, metric, metrics.protocol("y", scale), sum(values) / len(values))
        own = patches.statistics()
        truth = truth or own
        found(method, measure_name(None), measure_protocol(None), frechet_distance(own, truth))
        for network, extractor in extractors.items():
            features[network][method] = extractor.finish()
    for network, sets in features.items():
        protocol = measure_protocol(network)
        hr_features = Statistics.of(sets["hr"])
        fids = {m: frechet_distance(Statistics.of(x), hr_features) for m, x in sets.items()}
        intervals = bootstrap_intervals(sets, fids, seed) if 9 < len(photos) <= SMALL_N else {}
        for method, value in fids.items():
            found(method, measure_name(network), protocol, value, **intervals.get(method, {}))
            value = kid(sets[method], sets["hr"], paired=True)
            found(method, measure_name(network, "KID"), f"{protocol}; {KID_PROTOCOL}", value)
    return rows


def bootstrap_intervals(
    sets: Mapping[str, np.ndarray], fids: Mapping[str, float], seed: int = 0
) -> dict[str, dict[str, tuple[float, float]]]:
    """95% intervals of each method's FID against "hr", and of its ratio to bicubic's where that is
    there, by drawing photographs with replacement, the same for all methods."""
    methods = [method for method in fids if method != "hr"]
    draws = {m: bootstrap(sets[m], sets["hr"], paired=True, seed=seed) for m in methods}
    found = {m: {"interval": interval(fids[m], draws[m])} for m in methods}
    if "bicubic" in draws:
        for method in methods:
            ratio = fids[method] / fids["bicubic"]
            spread = draws[method] / draws["bicubic"]  # 1 for bicubic itself
            found[method]["ratio_interval"] = interval(ratio, spread)
    return found


def sensitivity(
    photos: Photos,
    network: FIDInception,
    methods: Sequence[str] = ("bilinear", "bicubic", "sr-ugan"),
    sides: Sequence[int] = (224, 112),
    sizes: Sequence[int] = (250, 500, 1000),
    seed: int = 0,
    device: str = "cpu",
    preset: str = "demo",
) -> list[results.Row]:
    """FID of the same methods on the same photographs under every protocol, at every layer that
    `network` collects, for several N, and with the photographs shrunk to several short sides.

    2x, with the checkpoints that a preset shows; smaller N are the first of one random order. Rows
    have the preset "sensitivity" and the side in their data set's name. Photographs are never
    enlarged.
    Raises ValueError where a side is larger than a photograph, or N than their number.
    """
    paths.commit()
    if max(sizes) > len(photos):
        raise ValueError(f"{max(sizes)} photographs wanted, there are {len(photos)}")
    photos.require_size(max(sides))
    order = np.random.default_rng(seed).permutation(len(photos))[: max(sizes)]
    chosen = photos.subset([int(i) for i in order])
    columns = np.cumsum([0, *network.collect])
    rows = []
    for side in sides:
        features: dict[tuple[str, str], np.ndarray] = {}  # of method and protocol
        for method in ("hr", *methods):
            extractors = {protocol: Extractor(network, protocol) for protocol in PROTOCOLS}
            for hr in tqdm(
                hr_images(chosen, 2, side), f"{method} {side}", len(chosen), leave=False
            ):
                sr = hr
                if method != "hr":
                    sr = enlarge(bicubic_lr_pil(hr, 2), method, 2, preset, device)
                for extractor in extractors.values():
                    extractor.add(sr)
            features |= {(method, p): extractor.finish() for p, extractor in extractors.items()}
        for (method, protocol), place, n in product(features, range(len(columns) - 1), sizes):
            own, truth = (
                Statistics.of(features[name, protocol][:n, columns[place] : columns[place + 1]])
                for name in (method, "hr")
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FewImagesWarning)  # small N are what is shown
                distance = frechet_distance(own, truth)
            layer = network.collect[place]
            about = f"{network.name}, {layer} features, {protocol_name(protocol)}"
            rows.append(
                results.measured(
                    method, f"{photos.name}, short side {side}", n, 2, f"FID-{layer}", about,
                    distance, "sensitivity", seed, device,
                    weights=weights_of(method, 2, preset),
                )
            )  # fmt: skip
    return rows


def held_out_crops(photos: Photos, count: int, size: int) -> Tensor:
    """The middles of `count` photographs, no two of one class where that can be. Squares of `size`
    pixels, or what the smallest of them allows in fours.

    Shape: (count, 3, size, size) in [0, 1].
    """
    seen: Counter[int] = Counter()
    turn = []  # how many of its class came before each photograph
    for label in photos.labels:
        turn.append(seen[label])
        seen[label] += 1
    order = sorted(range(len(photos)), key=turn.__getitem__)
    return middles(photos.subset(order[:count]), size)


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
