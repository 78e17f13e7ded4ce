"""Measure methods on photographs under one protocol: the rows behind Figure 3."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from srkit import metrics
from srkit.data.images import DataError, bicubic_lr_pil, crop_to_multiple, resized, to_image
from srkit.data.leakage import describe
from srkit.data.photos import Photos
from srkit.evaluation.lpips import LPIPS, LPIPS_PROTOCOL
from srkit.evaluation.results import Row, Run
from srkit.fid.features import (
    PROTOCOLS,
    Extractor,
    measure_name,
    measure_protocol,
    patch_features,
    protocol_name,
)
from srkit.fid.frechet import frechet_distance
from srkit.fid.inception import (
    HOW_TO_GET,
    FIDInception,
    deepest_inception,
    fetch_inception,
    find_inception,
)
from srkit.fid.statistics import Accumulator, Statistics
from srkit.fid.uncertainty import bootstrap_all, interval, kid
from srkit.files import sha256
from srkit.upscale import INTERPOLATIONS, Upscaler, checkpoint_scale, upscale
from srkit.weights import (
    METHODS,
    TWICE,
    WeightsError,
    checkpoint_path,
    find_checkpoint,
    find_peer,
    is_ours,
    load_generator,
    methods,
)

SMALL_N = 5_000  # photographs, up to which (and from ten) intervals are worth their minutes
WINDOW = 11  # pixels a side of SSIM's
KID_PROTOCOL = "unbiased, cubic kernel, pairs of one photograph left out"


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
    preset: str | None = None,
    device: str = "cpu",
    checkpoint: Path | None = None,
) -> Image.Image:
    """`upscale` by a method's name in tables, which may end in " twice" (2x applied two times), or
    by a generator in a file of its own, whatever it is called."""
    if checkpoint is not None:
        return upscale(lr, "", scale, checkpoint, device)
    once, file = method.removesuffix(TWICE), weights_file(method, scale, preset)
    return Upscaler(once, scale, file, device, twice=once != method)(lr)


def available_methods(scale: int) -> list[str]:
    """Every interpolation, and every network that there is a shipped checkpoint for; at 4x also
    the 2x networks applied twice; last the peers whose weights were named."""
    networks = methods("network")
    native = [name for name in networks if checkpoint_path(name, scale).is_file()]
    twice = [name + TWICE for name in networks if scale == 4 and checkpoint_path(name, 2).is_file()]
    peers = [name for name in methods("peer") if find_peer(name, scale)]
    return [*INTERPOLATIONS, *twice, *native, *peers]


def check_checkpoints(files: Mapping[str, Path], scale: int) -> None:
    """Raise WeightsError or ValueError, before any work, where one of these networks cannot be
    loaded, is of another scale, or is called as a method of ours."""
    for name, file in files.items():
        if name in METHODS:
            raise ValueError(f"{file} would be measured as {name!r}: rename the file")
        if (held := checkpoint_scale(file)) != scale:
            raise WeightsError(f"{file} enlarges {held} times, not {scale}: use --scale {held}")


def weights_file(method: str, scale: int, preset: str | None = None) -> Path | None:
    """The file of a method's weights; None for an interpolation."""
    name = method.removesuffix(TWICE)
    if name in methods("network"):
        return find_checkpoint(name, scale if name == method else 2, preset)
    return find_peer(name, scale) if name in methods("peer") else None


def weights_of(method: str, scale: int, preset: str | None = None) -> str | None:
    """The first digits of the weights' SHA-256, or None for an interpolation."""
    path = weights_file(method, scale, preset)
    return sha256(path)[:12] if path else None


def trained(file: Path | None) -> dict[str, Any]:
    """What a row says of a method's weights: `weights`, the first digits of their SHA-256, and for
    ours `recipe`, the name of the last stage's."""
    if file and is_ours(file):
        about = load_generator(file)[1]
        recipe = about["training"].get("recipe", {}).get("name")
        return {"weights": about["sha256"][:12], "recipe": recipe}
    return {"weights": sha256(file)[:12] if file else None}


def measure(
    names: Sequence[str],
    photos: Photos,
    scale: int,
    run: Run,
    networks: Iterable[FIDInception] = (),
    checkpoints: Mapping[str, Path] | None = None,
    lpips: LPIPS | None = None,
) -> list[Row]:
    """PSNR, SSIM (Y, border `scale`), LPIPS where there is one, and Frechet distances of the named
    methods, as result rows.

    LR is the antialiased bicubic of each photograph at its own size, every prediction is rounded
    to 8 bits. The Frechet distances, between all predictions and all HR photographs, are taken on
    pixel patches and on each of `networks`, for these with KID and with 95% intervals of the value
    and of its ratio to bicubic (where bicubic is measured); HR against itself is added as "hr".
    A method in `checkpoints` is the generator in that file.
    Raises ValueError for a method that is unknown or lacks its weights, before any is measured.
    """
    for name in set(names) - {"hr"}:
        file = (checkpoints or {}).get(name)
        enlarge(Image.new("RGB", (8, 8)), name, scale, run.preset, run.device, file)
    networks = list(networks) if len(photos) > 1 else []  # one photograph has no covariance
    features: list[dict[str, np.ndarray]] = [{} for _ in networks]
    facts: dict[str, dict[str, Any]] = {}
    rows: list[Row] = []
    truth: Statistics | None = None
    for name in ("hr", *names):
        file = (checkpoints or {}).get(name)
        about = trained(file or weights_file(name, scale, run.preset))
        about |= {"dataset": photos.name, "n": len(photos), "scale": scale}
        pairs = predictions(photos, name, scale, run, checkpoint=file)
        scores, patches, vectors = one_pass(pairs, scale, networks, lpips)
        truth = truth or patches
        for metric, value in scores.items():
            protocol = LPIPS_PROTOCOL if metric == "LPIPS" else metrics.protocol("y", scale)
            rows.append(run.row(name, metric, value, protocol, **about))
        distance = frechet_distance(patches, truth)
        rows.append(run.row(name, measure_name(None), distance, measure_protocol(None), **about))
        facts[name] = about
        for sets, of_method in zip(features, vectors, strict=True):
            sets[name] = of_method
    for network, sets in zip(networks, features, strict=True):
        rows += inception_rows(network, sets, facts, run)
    return rows


def bicubic_psnr(hr: Tensor, scale: int) -> float:
    """Bicubic's mean PSNR (Y, border `scale`) on crops.  Shape: hr (N, 3, H, W) in [0, 1]."""
    scores = []
    for one in hr:
        lr = bicubic_lr_pil(to_image(one), scale)
        scores.append(metrics.psnr(upscale(lr, "bicubic", scale), one, "y", scale))
    return sum(scores) / len(scores)


def predictions(
    photos: Photos,
    name: str,
    scale: int,
    run: Run,
    side: int | None = None,
    checkpoint: Path | None = None,
) -> Iterator[tuple[Image.Image, Image.Image]]:
    """Each photograph as a method predicts it, and as HR; for "hr" HR is its own prediction.
    Raises DataError naming one too small for SSIM, or of one colour, whose PSNR is infinite."""
    every = tqdm(hr_images(photos, scale, side), name, len(photos), disable=None, leave=False)
    for number, hr in enumerate(every):
        sr, least = hr, WINDOW + 2 * scale
        flat = all(low == high for low, high in hr.getextrema())
        if flat or min(hr.size) < least:
            what = "of one colour" if flat else f"of {hr.width}x{hr.height}, under {least} a side"
            raise DataError(
                f"{photos.name}: {describe(photos, number)} is {what}, which cannot be measured:"
                " leave it out"
            )
        if name != "hr":
            lr = bicubic_lr_pil(hr, scale)
            sr = enlarge(lr, name, scale, run.preset, run.device, checkpoint)
            if metrics.psnr(sr, hr, "y", scale) == math.inf:
                raise DataError(
                    f"{photos.name}: {name} predicts {describe(photos, number)} without any error,"
                    " so that its PSNR, and the mean over all, is infinite: leave it out"
                )
        yield sr, hr


def one_pass(
    pairs: Iterable[tuple[Image.Image, Image.Image]],
    scale: int,
    networks: Sequence[FIDInception],
    lpips: LPIPS | None = None,
) -> tuple[dict[str, float], Statistics, list[np.ndarray]]:
    """Mean PSNR, SSIM and LPIPS of predictions against HR (none of HR itself), the statistics of
    their pixel patches, and their features (N, d) on each network."""
    scores: dict[str, list[float]] = {"PSNR": [], "SSIM": [], "LPIPS": []}
    patches, extractors = Accumulator(), [Extractor(network) for network in networks]
    for sr, hr in pairs:
        if sr is not hr:
            scores["PSNR"].append(metrics.psnr(sr, hr, "y", scale))
            scores["SSIM"].append(metrics.ssim(sr, hr, "y", scale))
            scores["LPIPS"] += [lpips(sr, hr)] if lpips else []
        patches.add(patch_features(sr))
        for extractor in extractors:
            extractor.add(sr)
    means = {metric: sum(values) / len(values) for metric, values in scores.items() if values}
    return means, patches.statistics(), [extractor.finish() for extractor in extractors]


def inception_rows(
    network: FIDInception,
    sets: Mapping[str, np.ndarray],
    facts: Mapping[str, dict[str, Any]],
    run: Run,
) -> list[Row]:
    """FID, with intervals where they can be had, and KID of each method's features (N, d) against
    those of "hr". `facts` are what else each method's rows say."""
    truth, n = Statistics.of(sets["hr"]), len(sets["hr"])
    fids = {name: frechet_distance(Statistics.of(x), truth) for name, x in sets.items()}
    intervals = bootstrap_intervals(sets, fids, run.seed) if 9 < n <= SMALL_N else {}
    protocol, rows = measure_protocol(network), []
    for name, value in fids.items():
        about = facts[name] | {"layer": network.layer, "resize": "pytorch", "network": network.name}
        more = about | intervals.get(name, {})
        rows.append(run.row(name, measure_name(network), value, protocol, **more))
        value = kid(sets[name], sets["hr"], paired=True)
        unbiased = f"{protocol}; {KID_PROTOCOL}"
        rows.append(run.row(name, measure_name(network, "KID"), value, unbiased, **about))
    return rows


def bootstrap_intervals(
    sets: Mapping[str, np.ndarray], fids: Mapping[str, float], seed: int = 0
) -> dict[str, dict[str, tuple[float, float]]]:
    """95% intervals of each method's FID against "hr", and of its ratio to bicubic's where that is
    there, by drawing photographs with replacement, the same for all methods."""
    draws = bootstrap_all({m: x for m, x in sets.items() if m != "hr"}, sets["hr"], seed=seed)
    intervals = {m: {"interval": interval(fids[m], draws[m])} for m in draws}
    if "bicubic" in draws:
        for method in draws:
            ratio = fids[method] / fids["bicubic"]
            ratios = draws[method] / draws["bicubic"]  # 1 for bicubic itself
            intervals[method]["ratio_interval"] = interval(ratio, ratios)
    return intervals


def sensitivity(
    photos: Photos,
    network: FIDInception,
    run: Run,
    names: Sequence[str] = ("bilinear", "bicubic", "sr-ugan"),
    sides: Sequence[int] = (224, 112),
    sizes: Sequence[int] = (250, 500, 1000),
) -> list[Row]:
    """FID of the same methods on the same photographs under every protocol, at every layer that
    `network` collects, for several N, and with the photographs shrunk to several short sides.

    2x; smaller N are the first of one random order. Photographs are never enlarged.
    Raises ValueError where a side is larger than a photograph, or N than their number.
    """
    if max(sizes) > len(photos):
        raise ValueError(f"{max(sizes)} photographs wanted, there are {len(photos)}")
    photos.require_size(max(sides))
    order = np.random.default_rng(run.seed).permutation(len(photos))[: max(sizes)]
    chosen = photos.subset([int(i) for i in order])
    weights = {name: weights_of(name, 2, run.preset) for name in ("hr", *names)}
    starts = np.cumsum([0, *network.collect])
    rows = []
    for side in sides:
        features = features_by_protocol(chosen, network, run, ("hr", *names), side)
        for (name, resize), place, n in product(features, range(len(network.collect)), sizes):
            columns = slice(starts[place], starts[place + 1])
            sets = (features[m, resize][:n, columns] for m in (name, "hr"))
            distance = frechet_distance(*map(Statistics.of, sets), warn=False)  # small N are shown
            layer = network.collect[place]
            protocol = f"{network.name}, {layer} features, {protocol_name(resize)}"
            facts = {"dataset": photos.name, "side": side, "n": n, "scale": 2}
            facts |= {"layer": layer, "resize": resize, "network": network.name}
            facts |= {"weights": weights[name]}
            rows.append(run.row(name, f"FID-{layer}", distance, protocol, **facts))
    return rows


def features_by_protocol(
    photos: Photos, network: FIDInception, run: Run, names: Sequence[str], side: int
) -> dict[tuple[str, str], np.ndarray]:
    """The features (N, d) of each method's 2x predictions under each protocol."""
    features: dict[tuple[str, str], np.ndarray] = {}
    for name in names:
        extractors = {resize: Extractor(network, resize) for resize in PROTOCOLS}
        for sr, _ in predictions(photos, name, 2, run, side):
            for extractor in extractors.values():
                extractor.add(sr)
        features |= {(name, resize): e.finish() for resize, e in extractors.items()}
    return features


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
    network, complaint = deepest_inception(path, every_layer)
    note = f"{complaint}; so FID-768 is measured, and no 2048-d FID" if complaint else ""
    return [network.to(device)], note or f"FID with {network.name}"
