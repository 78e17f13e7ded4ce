"""Measure methods on photographs under one protocol: the rows behind Figure 3."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from PIL import Image
from torch import Tensor
from tqdm import tqdm

from srkit import metrics, results
from srkit.data import Photos, bicubic_lr_pil, crop_to_multiple, to_tensor
from srkit.fid import (
    Accumulator,
    Statistics,
    features_of,
    frechet_distance,
    measure_name,
    measure_protocol,
)
from srkit.inception import FIDInception
from srkit.pairs import middles
from srkit.upscale import INTERPOLATIONS, upscale
from srkit.weights import GENERATORS, checkpoint_path, find_checkpoint, sha256

TWICE = " twice"  # "sr-ugan twice" is the 2x model applied to its own output


def hr_images(photos: Photos, scale: int) -> Iterator[Image.Image]:
    """The photographs as HR: cut to a multiple of the scale, otherwise at their own size."""
    for number in range(len(photos)):
        yield crop_to_multiple(Image.fromarray(photos[number]), scale)


def enlarge(
    lr: Image.Image, method: str, scale: int, preset: str = "demo", device: str = "cpu"
) -> Image.Image:
    """`upscale` by a method's name in tables, which may end in " twice" (2x applied two times)."""
    if method.endswith(TWICE):
        if scale != 4:
            raise ValueError(f"{method!r} enlarges 4 times, not {scale}")
        once = method.removesuffix(TWICE)
        return enlarge(enlarge(lr, once, 2, preset, device), once, 2, preset, device)
    checkpoint = find_checkpoint(method, scale, preset) if method in GENERATORS else None
    return upscale(lr, method, scale, checkpoint, device)


def available_methods(scale: int) -> list[str]:
    """Every interpolation, and every network that there is a shipped checkpoint for; at 4x also
    the 2x networks applied twice."""
    native = [model for model in GENERATORS if checkpoint_path(model, scale).is_file()]
    twice = [m + TWICE for m in GENERATORS if scale == 4 and checkpoint_path(m, 2).is_file()]
    return [*INTERPOLATIONS, *twice, *native]


def weights_of(method: str, scale: int, preset: str) -> str | None:
    """The first digits of the checkpoint's SHA-256, or None for an interpolation."""
    model = method.removesuffix(TWICE)
    if model not in GENERATORS:
        return None
    return sha256(find_checkpoint(model, 2 if method.endswith(TWICE) else scale, preset))[:12]


def measure(
    methods: Sequence[str],
    photos: Photos,
    scale: int = 2,
    networks: Iterable[FIDInception] = (),
    preset: str = "demo",
    seed: int = 0,
    device: str = "cpu",
) -> list[results.Row]:
    """PSNR, SSIM (Y, border `scale`) and Frechet distances of each method, as result rows.

    LR is the antialiased bicubic of each photograph at its own size, every prediction is rounded
    to 8 bits. The Frechet distances, between all predictions and all HR photographs, are taken on
    pixel patches and on each of `networks`; HR against itself is added as "hr".
    """
    spaces: list[FIDInception | None] = [None, *networks]
    truth: dict[FIDInception | None, Statistics] = {}
    rows = []
    for method in ("hr", *methods):
        scores: dict[str, list[float]] = {"PSNR": [], "SSIM": []}
        sets = {space: Accumulator() for space in spaces}
        for hr in tqdm(hr_images(photos, scale), method, len(photos), disable=None, leave=False):
            sr = hr
            if method != "hr":
                sr = enlarge(bicubic_lr_pil(hr, scale), method, scale, preset, device)
                scores["PSNR"].append(metrics.psnr(sr, hr, "y", scale))
                scores["SSIM"].append(metrics.ssim(sr, hr, "y", scale))
            for space, accumulator in sets.items():
                accumulator.add(features_of(to_tensor(sr)[None], space))
        protocol = metrics.protocol("y", scale)
        found = [(name, protocol, sum(v) / len(v)) for name, v in scores.items() if v]
        for space, accumulator in sets.items():
            own = accumulator.statistics()
            distance = frechet_distance(own, truth.setdefault(space, own))
            found.append((measure_name(space), measure_protocol(space), distance))
        for metric, protocol, value in found:
            rows.append(
                results.measured(
                    method, photos.name, len(photos), scale, metric, protocol, value, preset,
                    seed, device, weights=weights_of(method, scale, preset),
                )
            )  # fmt: skip
    return rows


def table(
    rows: list[results.Row],
    methods: Sequence[str],
    dataset: str,
    scale: int,
    preset: str,
    labels: Mapping[str, str] | None = None,
) -> tuple[list[str], list[list[str]]]:
    """Figure 3 as (header, body): measured columns, their ratio to bicubic, and the report's quote.

    A column is a metric that was measured on the data set; its ratio column is added for the
    Frechet distances, since only ratios compare with the report's.
    """
    if labels is None:
        native = {m: f"{results.LABELS[m]} native {scale}x" for m in GENERATORS if scale != 2}
        labels = results.LABELS | native
    chosen = results.select(rows, dataset=dataset, scale=scale, preset=preset, source="measured")
    found = dict.fromkeys(row["metric"] for row in chosen)
    names = [m for m in ("PSNR", "SSIM") if m in found]
    frechet = sorted(m for m in found if m not in names)
    header = ["Method", *[f"{m} (dB)" if m == "PSNR" else m for m in names]]
    for metric in frechet:
        header += [metric, "/ bicubic"]
    header += ["FID, quoted", "/ bicubic, quoted"] if scale == 2 else []
    body = []
    for method in methods:
        line = [labels[method]]
        mine = results.select(chosen, method=method)
        for metric in names:
            line.append(_show(results.value(mine, metric=metric), metric))
        for metric in frechet:
            own = results.value(mine, metric=metric)
            base = results.value(chosen, method="bicubic", metric=metric)
            line += [_show(own, metric), _show(own / base if own is not None and base else None)]
        if scale == 2:
            quote = results.REPORT_FID.get(method)
            ratio = None if quote is None else quote / results.REPORT_FID["bicubic"]
            line += [_show(quote, "quote"), _show(ratio)]
        body.append(line)
    return header, body


def _show(value: float | None, metric: str = "ratio") -> str:
    """A number with the digits that its metric deserves; a dash where there is none."""
    if value is None:
        return "–"
    digits = {"PSNR": 2, "SSIM": 4, measure_name(None): 1}.get(metric, 3)
    return f"{value:.{digits}f}"


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
