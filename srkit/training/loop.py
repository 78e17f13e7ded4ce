"""Training: the loop, what it writes, and exact resume (the report's section 5)."""

import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from srkit.data.crops import Pairs, Steps, centre_crops, lr_and_hr
from srkit.data.images import DataError
from srkit.data.leakage import check_apart
from srkit.data.packed import AGAIN
from srkit.data.photos import Photos
from srkit.devices import pick_device
from srkit.files import lock
from srkit.paths import shown
from srkit.training import distributed
from srkit.training.recipe import Recipe, TrainingError
from srkit.training.run import OnLog, OnSample, Run
from srkit.training.run_folder import describe, resume, run_key
from srkit.training.state import State, content_loss, for_device, start
from srkit.training.step import train_step
from srkit.weights import load_generator

ASKED = 10  # updates between two times that several processes ask each other whether to stop


@dataclass(frozen=True)
class Options:
    """How a recipe is run, which changes nothing of its outcome but for the content network."""

    content: str = "auto"  # the VGG19, see `srkit.weights.load_vgg19`
    device: str = "auto"  # auto, cpu or cuda
    workers: int = -1  # processes that load photographs; 0 is this one, -1 the cores for a GPU
    minutes: float | None = None  # save and stop after so long; the same call goes on
    tensorboard: bool = False
    accept_changed: bool = False  # go on although the photographs are others than before
    metadata: Mapping[str, Any] = field(default_factory=dict)  # into the checkpoint
    on_sample: OnSample | None = None  # at each validation
    on_log: OnLog | None = None  # at each logged line, after `on_sample`
    stop: Callable[[], bool] | None = None  # asked after each update: save and stop?

    def __post_init__(self) -> None:
        if self.minutes is not None and not 0 <= self.minutes < math.inf:
            raise ValueError(f"minutes must be a number of 0 or more, not {self.minutes}")


def train(
    recipe: Recipe, photos: Photos, held_out: Photos, out: str | Path, **options: Any
) -> Path:
    """Run a recipe to its end, or on from where it stopped; returns the generator's checkpoint.

    Into the folder `out` go `log.jsonl` (a line every `recipe.log_every` steps), `times.jsonl` (the
    same steps' seconds and images/s), `samples/` (a held-out crop over time), `checkpoint-*.pt` (to
    resume from) and `generator.safetensors` (the EMA generator). A run that was killed and begun
    again ends with the same log, samples and weights as one that was not. Ctrl-C ends the step,
    saves, and says how to go on; so do the end of `minutes`, and `stop`. `options` are `Options`'.

    Raises TrainingError where the run cannot start, resume or go on, DataError where a held-out
    photograph is among those to be trained on, LockedError where another process trains in `out`.
    """
    began, out, how = time.monotonic(), Path(out), Options(**options)
    recipe = for_device(recipe, pick_device(how.device))
    check_apart(photos, held_out)
    with lock(out / "lock") if distributed.first() else nullcontext():
        run = prepare(recipe, photos, held_out, out, how)
        run_to_its_end(run, loader(run.state, photos, how.workers), began, how)
    return out / "generator.safetensors"


def run_to_its_end(
    run: Run, batches: Iterable[tuple[Tensor, Tensor]], began: float, how: Options
) -> None:
    """Update by update, until the last one or until the run is to stop, when it is saved first."""
    state, recipe = run.state, run.state.recipe
    quiet = None if state.world.first else True
    bar = tqdm(total=recipe.iterations, initial=state.step, unit="step", disable=quiet)
    with signals_noted() as stop, bar, run:
        for crops, labels in decoded(batches, run):
            update(run, crops, labels)
            bar.update()
            if state.step == recipe.iterations or (state.world.size > 1 and state.step % ASKED):
                continue
            late = how.minutes is not None and time.monotonic() - began > 60 * how.minutes
            asked = bool(stop) or (how.stop is not None and how.stop())
            if state.world.any(late or asked, state.device):
                run.save()
                if state.world.first:
                    print(f"stopped at step {state.step} and saved; the same command goes on there")
                raise KeyboardInterrupt


def decoded(batches: Iterable[tuple[Tensor, Tensor]], run: Run) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches, until a photograph cannot be decoded or a loading process dies: then the run is
    saved, and TrainingError says which it was and how to go on."""
    try:
        yield from batches
    except (DataError, RuntimeError) as error:
        lost = str(error).startswith("DataLoader worker")  # the kernel ended it, for memory say
        if not lost and not isinstance(error, DataError):
            raise
        saved = run.state.world.size == 1 and run.state.step > run.first_step
        if saved:
            run.save()
        last = str(error).strip().rpartition("\n")[2]  # a loading process sends its traceback, too
        what = last.removeprefix(f"{DataError.__module__}.{DataError.__name__}: ")
        how = "use fewer --workers" if lost else "remove it and add --accept-changed-photos"
        how = "run the same command after that" if AGAIN in what else how
        state = f"saved at step {run.state.step}" if saved else "nothing was lost"
        raise TrainingError(f"{what}; {state}, to go on {how}") from error


def prepare(recipe: Recipe, photos: Photos, held_out: Photos, out: Path, how: Options) -> Run:
    """Networks and optimisers as a recipe begins, or as the run in `out` left them."""
    world = distributed.join(distributed.own_device(pick_device(how.device)))
    state = start(recipe, len(photos.classes), how.content, how.device, world)
    state.key = run_key(recipe, state.content, photos)
    if world.first:
        (out / "samples").mkdir(parents=True, exist_ok=True)
    world.wait()
    facts = describe(state, photos) | dict(how.metadata)
    resume(state, out, facts, photos, how.accept_changed)
    watched = centre_crops(held_out, recipe.watch_crop, recipe.watch)
    return Run(state, watched, out, facts, how.on_sample, how.tensorboard, how.on_log)


def update(run: Run, crops: Tensor, labels: Tensor) -> None:
    """One update from 8-bit crops, (B, 3, crop, crop), and what is to be logged of it."""
    state, recipe = run.state, run.state.recipe
    hr = crops.to(state.device, non_blocking=True)
    lr, hr = lr_and_hr(hr, recipe.scale, recipe.lr_filter)
    lr, hr = (x.contiguous(memory_format=torch.channels_last) for x in (lr, hr))
    labels = labels.to(state.device, non_blocking=True)
    detail = recipe.logs(state.step + 1)
    with failures_in_words(run, len(hr)):
        log = train_step(state, lr, hr, labels, detail)
    if detail:
        run.record(log)


def train_stages(
    plans: Sequence[Recipe], photos: Photos, held_out: Photos, out: str | Path, **options: Any
) -> Path:
    """Train what `recipes.stages` lists, each from the generator of the one before, and return the
    last one's checkpoint. `options` are `train`'s; `minutes` are for all stages together.

    The last stage's folder is `out`; those before it lie beside it under their own names, where
    other recipes with the same start find them. Whatever stage a run stopped in, it goes on there.
    """
    began, minutes = time.monotonic(), Options(**options).minutes

    def train_one(plan: Recipe, number: int) -> Path:
        folder = Path(out) if number == len(plans) else Path(out).parent / plan.folder
        if len(plans) > 1 and distributed.first():
            print(f"stage {number} of {len(plans)}: {plan.name} into {folder}", flush=True)
        left = None if minutes is None else max(0.0, minutes - (time.monotonic() - began) / 60)
        return train(plan, photos, held_out, folder, **options | {"minutes": left})

    return in_stages(plans, train_one)


def in_stages(plans: Sequence[Recipe], train_one: Callable[[Recipe, int], Path]) -> Path:
    """Each stage from the generator of the one before; returns the last one's checkpoint.
    `train_one` is given a recipe and its number, from 1, and returns the checkpoint that it made.
    """
    start = ""
    for number, plan in enumerate(plans, start=1):
        start = str(train_one(replace(plan, start_from=start) if start else plan, number))
    return Path(start)


def loader(state: State, photos: Photos, workers: int = 0) -> DataLoader:
    """What is left of the recipe's batches, this process's share of each: (hr, labels)."""
    recipe, world = state.recipe, state.world
    if workers < 0:
        workers = min(16, os.cpu_count() or 1) if state.device.type == "cuda" else 0
    photos = replace(photos, cache_bytes=photos.cache_bytes // max(1, workers))
    pairs = Pairs(photos, recipe.scale, recipe.crop, recipe.iterations * recipe.batch, recipe.seed)
    steps = Steps(state.step, recipe.iterations, recipe.batch, world.rank, world.size)
    return DataLoader(
        pairs,
        batch_sampler=steps,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=state.device.type == "cuda",
    )


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """SIGINT, SIGTERM and SIGHUP (a terminal that closes) are put on a list instead of breaking off
    a step; a second one breaks off. A SIGHUP that is ignored, by nohup, stays so. Outside
    of the main thread, which alone may handle signals, nothing changes."""
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)
        with suppress(OSError):  # of a terminal that has gone
            tqdm.write("stopping after this update; once more breaks it off")

    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    stops = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        stops.append(signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in stops}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def failures_in_words(run: Run, count: int) -> Iterator[None]:
    """Around an update of `count` crops: says that the first one compiles, and what to do where
    that fails or memory runs out."""
    recipe = run.state.recipe
    first = recipe.compile and run.state.step == run.first_step
    if first and run.state.world.first:
        tqdm.write("compiling the networks, which takes minutes")
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"out of memory with {count} crops of {recipe.crop}x{recipe.crop}: --set"
            f" accumulate={min(recipe.batch, 2 * recipe.accumulate)} trains on the same batch in"
            f" more parts, --set batch={max(1, recipe.batch // 2)} and --set"
            f" crop={recipe.crop // 2} on less (a run that was begun keeps its settings: give"
            " another --out)"
        ) from error
    except Exception as error:
        if not first:
            raise
        line = str(error).strip().partition("\n")[0]
        raise TrainingError(f"the networks do not compile ({line}); use compile=False") from error


def train_or_load(
    plan: Recipe, photos: Photos, held_out: Photos, out: str | Path, **options: Any
) -> tuple[Path, bool]:
    """Run a recipe, unless `out` holds the finished run of the same recipe, content network and
    photographs. Returns the generator's checkpoint, and whether it was computed, and prints which.

    A run of anything else in `out` is moved to `out`-KEY, and comes back when it is asked for.
    `options` are those of `Options`.
    """
    out, how = Path(out), Options(**options)
    plan = for_device(plan, pick_device(how.device))
    key = run_key(plan, content_loss(plan, how.content), photos)
    there, moved = finished(out), out.with_name(f"{out.name}-{key}")
    if there is None or there["key"] != key:
        with lock(out / "lock"):  # nobody else is training there
            pass
        if there:
            out.rename(out.with_name(f"{out.name}-{there['key']}"))
            there = None
        if moved.is_dir():
            shutil.rmtree(out, ignore_errors=True)
            there = finished(moved.rename(out))
    computed = there is None or there["iterations"] < plan.iterations
    if computed:
        print(f"computing {plan.iterations} updates into {shown(out)}")
        train(plan, photos, held_out, out, **options)
    print(f"{'computed' if computed else 'loaded'} {shown(out)}, key {key}")
    return out / "generator.safetensors", computed


def finished(out: Path) -> dict[str, Any] | None:
    """What the generator in a run's folder says of its training so far; None without one."""
    path = out / "generator.safetensors"
    return {"key": "unknown", **load_generator(path)[1]["training"]} if path.is_file() else None
