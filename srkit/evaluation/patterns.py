"""What distances of sets make of a pattern that is in no photograph: the same predictions, measured
as they are and with a checkerboard laid over each. `python -m srkit evaluate --checkerboard`."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

import numpy as np
from PIL import Image

from srkit import metrics
from srkit.data.photos import Photos
from srkit.evaluation.measure import bootstrap_intervals, predictions, trained, weights_file
from srkit.evaluation.results import Row, Run
from srkit.fid.features import Extractor, measure_name, measure_protocol
from srkit.fid.frechet import frechet_distance
from srkit.fid.inception import FIDInception
from srkit.fid.statistics import Statistics


def checkered(picture: Image.Image, levels: int) -> Image.Image:
    """An RGB picture whose pixels are lighter and darker by `levels` of 255 in turn, clipped."""
    values = np.asarray(picture, dtype=np.int16)
    odd = np.indices(values.shape[:2]).sum(0) % 2
    sign = 1 - 2 * odd[..., None]
    return Image.fromarray((values + levels * sign).clip(0, 255).astype(np.uint8))


def checkerboard(
    photos: Photos, names: Sequence[str], levels: Sequence[int], network: FIDInception, run: Run
) -> list[Row]:
    """PSNR and FID of methods at 2x as they are, and with a checkerboard of each strength in
    `levels` laid over their predictions (the rows' `variant`); the FID with 95% intervals, also of
    its ratio to that of bicubic as it is.

    Raises ValueError where bicubic is not among the names, or a strength is not from 1 to 127.
    """
    if "bicubic" not in names or not all(1 <= level <= 127 for level in levels):
        raise ValueError(f"bicubic and levels from 1 to 127 are wanted, not {names} with {levels}")
    features: dict[str, np.ndarray] = {}
    psnr: dict[str, list[float]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(["hr", *names]):
        strengths = [0] if name == "hr" else [0, *levels]
        keys = [f"{name} {strength}" for strength in strengths]
        extractors = {key: Extractor(network) for key in keys}
        psnr |= {key: [] for key in keys}
        for sr, hr in predictions(photos, name, 2, run):
            for key, strength in zip(keys, strengths, strict=True):
                shown = checkered(sr, strength)
                extractors[key].add(shown)
                psnr[key] += [] if name == "hr" else [metrics.psnr(shown, hr, "y", 2)]
        about = {"dataset": photos.name, "n": len(photos), "scale": 2}
        about |= trained(weights_file(name, 2, run.preset))
        for key, strength in zip(keys, strengths, strict=True):
            features[key] = extractors[key].finish()
            pattern = {"variant": f"checkerboard of {strength} levels"} if strength else {}
            facts[key] = about | pattern
    features = {key.removesuffix(" 0"): x for key, x in features.items()}
    truth = Statistics.of(features["hr"])
    fids = {m: frechet_distance(Statistics.of(x), truth, warn=False) for m, x in features.items()}
    intervals = bootstrap_intervals(features, fids, run.seed) if len(photos) > 9 else {}
    inception = {"layer": network.layer, "resize": "pytorch", "network": network.name}
    metric, protocol, rows = measure_name(network), measure_protocol(network), []
    for key, about in list(facts.items())[1:]:  # without HR
        name, one = key.split()[0], key.removesuffix(" 0")
        score = mean(psnr[key])
        rows.append(run.row(name, "PSNR", score, metrics.protocol("y", 2), **about))
        more = about | inception | intervals.get(one, {})
        rows.append(run.row(name, metric, fids[one], protocol, **more))
    return rows
