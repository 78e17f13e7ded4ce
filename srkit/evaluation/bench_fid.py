"""Speed, side by side with other programs: same work, one process, alternated, medians, ratios.

`python -m srkit bench fid` times features and distances against pytorch-fid, torch-fidelity and
torchmetrics, those of them that are installed (`pip install -e ".[bench]"`).
"""

import importlib
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import scipy.linalg
import torch
from PIL import Image
from torch import Tensor

from srkit.data.sources import open_photos
from srkit.devices import pick_device
from srkit.evaluation import results
from srkit.evaluation.tables import bench_table
from srkit.fid.features import inception_features
from srkit.fid.frechet import frechet_distance
from srkit.fid.inception import FIDInception, FoldedConv, deepest_inception, fold_batchnorm
from srkit.fid.statistics import Statistics
from srkit.weights import load_state

Timed = Callable[[], Any]
PEERS = ("pytorch-fid", "torch-fidelity", "torchmetrics")  # as pip has them


def installed(name: str) -> bool:
    """Whether a package can be imported, whatever keeps it from that."""
    try:
        importlib.import_module(name)
    except Exception:
        return False
    return True


def alternate(work: Mapping[str, Timed], rounds: int = 5) -> dict[str, float]:
    """Median seconds of each piece of work: all are run in turn, once to warm up, then `rounds`
    times, so that whatever else the machine does meets them alike.

    Raises ValueError for fewer rounds than one.
    """
    if rounds < 1:
        raise ValueError(f"a median needs one round or more, not {rounds}")
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(rounds + 1):
        for name, run in work.items():
            start = time.perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


# --- The same weights in other programs ----------------------------------------------------------


def standard_state(weights: str | Path | None = None) -> dict[str, Tensor]:
    """Inception weights in the standard file's form, with a BatchNorm that changes nothing: from a
    file in either form; what it lacks, or everything for None, is random (seed 0)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = FIDInception(2048)
    folded = network.state_dict() | (fold_batchnorm(load_state(weights)) if weights else {})
    state = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    for name, module in network.named_modules():
        if isinstance(module, FoldedConv):
            one = torch.ones(module.out_channels)
            state[f"{name}.conv.weight"] = folded[f"{name}.weight"]
            state[f"{name}.bn.weight"], state[f"{name}.bn.bias"] = one, folded[f"{name}.bias"]
            state[f"{name}.bn.running_mean"] = 0 * one
            state[f"{name}.bn.running_var"] = (1 - 1e-3) * one  # BatchNorm adds epsilon
    return state


def peer_features(
    name: str, state: Mapping[str, Tensor], dims: int = 2048, device: str | torch.device = "cpu"
) -> Callable[[Tensor], np.ndarray]:
    """Another program's features as it ships: a function from uint8 (B, 3, H, W) to (B, dims)."""
    if name == "pytorch-fid":
        inception: Any = importlib.import_module("pytorch_fid.inception")
        with patch.object(inception, "load_state_dict_from_url", lambda *_, **__: dict(state)):
            network = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[dims]])
    else:
        if name == "torch-fidelity":
            fidelity: Any = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
            build = fidelity.FeatureExtractorInceptionV3
        else:
            build = importlib.import_module("torchmetrics.image.fid").NoTrainInceptionV3
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "weights.pth"
            torch.save(dict(state), path)
            network = build("inception-v3-compat", [str(dims)], str(path))
        # torchmetrics' default is a fourth protocol, antialiased bilinear; without, it is `tf`.
        network.use_antialias = False
    network = network.eval().to(device)

    @torch.no_grad()
    def features(images: Tensor) -> np.ndarray:
        given = images.to(device)
        made = network(given.float() / 255 if name == "pytorch-fid" else given)
        made = made[0] if isinstance(made, list | tuple) else made
        return made.flatten(2).mean(2).cpu().numpy() if made.ndim == 4 else made.cpu().numpy()

    return features


def peer_distance(
    name: str,
) -> Callable[[Mapping[str, np.ndarray], Mapping[str, np.ndarray]], float]:
    """Another program's distance: a function of two sets' `mu` and `sigma`."""
    if name == "pytorch-fid":
        score = importlib.import_module("pytorch_fid.fid_score")

        def by_sqrtm(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> float:
            with sqrtm_with_disp():
                return score.calculate_frechet_distance(a["mu"], a["sigma"], b["mu"], b["sigma"])

        return by_sqrtm
    if name == "torch-fidelity":
        metric = importlib.import_module("torch_fidelity.metric_fid")
        return lambda a, b: metric.fid_statistics_to_metric(a, b, False)[metric.KEY_METRIC_FID]
    metric = importlib.import_module("torchmetrics.image.fid")
    return lambda a, b: float(
        metric._compute_fid(*(torch.from_numpy(s[k]) for s in (a, b) for k in ("mu", "sigma")))
    )


@contextmanager
def sqrtm_with_disp() -> Iterator[None]:
    """SciPy's sqrtm with the `disp` that SciPy 1.18 drops and pytorch-fid calls it with."""
    original = scipy.linalg.sqrtm

    def sqrtm(matrix: np.ndarray, disp: bool = True) -> Any:
        return original(matrix) if disp else (original(matrix), 0.0)

    with warnings.catch_warnings(), patch.object(scipy.linalg, "sqrtm", sqrtm):
        warnings.simplefilter("ignore")
        yield


# --- The benchmark -------------------------------------------------------------------------------


def bench_fid(
    data: str = "embedded",
    weights: str | None = None,
    rounds: int = 5,
    quick: bool = False,
    device: str = "cpu",
) -> list[results.Row]:
    """Features and distances, ours and the installed programs', as rows with time ratios to ours.

    `quick` runs toy sizes, which show that it works and nothing about speed.
    """
    peers = [name for name in PEERS if installed(name.replace("-", "_"))]
    run = results.Run("bench", device=str(pick_device(device)))
    rows = time_features(data, weights, peers, 2 if quick else 16, rounds, run)
    for n in (30, 200) if quick else (500, 5_000, 20_000):
        rows += time_distances(n, 64 if quick else 2048, peers, rounds, replace(run, device="cpu"))
    return rows


def time_features(
    data: str, weights: str | None, peers: Sequence[str], count: int, rounds: int, run: results.Run
) -> list[results.Row]:
    """`count` photographs of 224x224 in memory, at once, to features; 2048 of them where the
    weights reach that, else 768."""
    photos = open_photos(data, "all")
    pictures = [Image.fromarray(photos[i % len(photos)]).resize((224, 224)) for i in range(count)]
    images = torch.stack([torch.from_numpy(np.array(p)).permute(2, 0, 1) for p in pictures])
    state = standard_state(weights)
    network = our_network(weights, state).to(run.device)
    functions = {"srkit": lambda x: inception_features(x, network, "pytorch", count)}
    functions |= {name: peer_features(name, state, network.dims, run.device) for name in peers}
    medians = alternate({k: partial(f, images) for k, f in functions.items()}, rounds)
    rows = []
    for name, seconds in medians.items():
        values = {"feature time / srkit's": seconds / medians["srkit"]}
        if run.device.startswith("cuda"):  # absolute times mean something on a GPU only
            values["photographs/s"] = count / seconds
        about = {"dataset": "photographs, 224x224", "n": count, "scale": None}
        about |= {"layer": network.dims, "network": network.name}
        about |= {"seconds": digits(seconds), "photographs_per_second": digits(count / seconds)}
        protocol = f"{network.dims} features, {network.name}; {timing_protocol(rounds, run)}"
        rows += [run.row(name, m, digits(v), protocol, **about) for m, v in values.items()]
    return rows


def our_network(weights: str | None, state: Mapping[str, Tensor]) -> FIDInception:
    """The network from the weights file at its deepest layer, or untrained from `state`."""
    if weights is not None:
        return deepest_inception(weights)[0]
    network = FIDInception(2048)
    network.load_state_dict(fold_batchnorm(dict(state)))
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def time_distances(
    n: int, d: int, peers: Sequence[str], rounds: int, run: results.Run
) -> list[results.Row]:
    """The distance between two sets of n features, from statistics that are ready."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(d, d)) / np.sqrt(d * (1 + np.arange(d)))  # variances fall as 1 / k
    sets = [rng.normal(size=(n, d)) @ mixing.T + shift for shift in (0.0, 0.01)]
    ours = [Statistics.of(features) for features in sets]
    theirs = [{"mu": s.mean, "sigma": s.covariance} for s in ours]
    functions: dict[str, Timed] = {"srkit": partial(frechet_distance, *ours, warn=False)}
    functions |= {name: partial(peer_distance(name), *theirs) for name in peers}
    values = {name: distance() for name, distance in functions.items()}
    medians = alternate(functions, rounds)
    protocol = f"float64, from statistics; {timing_protocol(rounds, run)}"
    shared = {"dataset": f"synthetic features, d = {d}", "n": n, "scale": None, "layer": d}
    rows = []
    for name, seconds in medians.items():
        about = {"relative_difference": float(f"{values[name] / values['srkit'] - 1:.1e}")}
        about["seconds"] = digits(seconds)
        ratio = digits(seconds / medians["srkit"])
        rows.append(run.row(name, "distance time / srkit's", ratio, protocol, **shared, **about))
    return rows


def timing_protocol(rounds: int, run: results.Run) -> str:
    """How often it was timed, and on what."""
    gpu = run.device.startswith("cuda")
    where = torch.cuda.get_device_name() if gpu else f"{torch.get_num_threads()} CPU threads"
    return f"median of {rounds} alternated rounds on {where}"


def digits(value: float) -> float:
    """To 3 digits, which is what a timing is good for."""
    return results.rounded(value, 3)


def summary(rows: Sequence[results.Row]) -> str:
    """The rows as a Markdown table; below it, for those of `bench_fid`, the programs that are
    missing."""
    there = {row["method"] for row in rows}
    missing = [name for name in PEERS if "srkit" in there and name not in there]
    note = f"\nNot installed, so not compared: {', '.join(missing)}.\n" if missing else ""
    return results.markdown(*bench_table(rows)) + note
