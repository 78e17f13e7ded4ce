"""What distances of sets make of a pattern that is in no photograph: the same predictions, measured
as they are and with a checkerboard laid over each. `python -m srkit evaluate --checkerboard`."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

import numpy as np
from PIL import Image

from srkit import metrics
from srkit.data.photos import Photos
from srkit.evaluation.measure import (
    hr_images,
    inception_rows,
    predictions,
    trained,
    weights_file,
)
from srkit.evaluation.results import Row, Run
from srkit.fid.features import Extractor, measure_name
from srkit.fid.inception import FIDInception


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
    names = [name for name in names if name != "hr"]  # which is the truth
    if "bicubic" not in names or not all(1 <= level <= 127 for level in levels):
        raise ValueError(f"bicubic and levels from 1 to 127 are wanted, not {names} with {levels}")
    truth = Extractor(network)
    for hr in hr_images(photos, 2):
        truth.add(hr)
    features, rows = {"hr": truth.finish()}, []
    facts: dict[str, dict[str, Any]] = {"hr": {}}
    methods: dict[str, str] = {}  # by key of `features`
    for name in names:
        strengths = {name: 0} | {f"{name} {strength}": strength for strength in levels}
        methods |= dict.fromkeys(strengths, name)
        extractors = {key: Extractor(network) for key in strengths}
        scores: dict[str, list[float]] = {key: [] for key in strengths}
        for sr, hr in predictions(photos, name, 2, run):
            for key, strength in strengths.items():
                shown = checkered(sr, strength)
                extractors[key].add(shown)
                scores[key].append(metrics.psnr(shown, hr, "y", 2))
        about = {"dataset": photos.name, "n": len(photos), "scale": 2}
        about |= trained(weights_file(name, 2, run.preset))
        for key, strength in strengths.items():
            pattern = {"variant": f"checkerboard of {strength} levels"} if strength else {}
            features[key], facts[key] = extractors[key].finish(), about | pattern
            psnr, protocol = mean(scores[key]), metrics.protocol("y", 2)
            rows.append(run.row(name, "PSNR", psnr, protocol, **facts[key]))
    for row in inception_rows(network, features, facts, run):
        if row["metric"] == measure_name(network) and row["method"] != "hr":  # not KID
            rows.append(row | {"method": methods[row["method"]]})
    return rows
