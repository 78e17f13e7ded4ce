"""Training: the loop, what it writes, and exact resume (the report's section 5)."""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from srkit.data.crops import Pairs, Steps, centre_crops, lr_and_hr
from srkit.data.images import to_image
from srkit.data.leakage import check_apart
from srkit.data.photos import Photos
from srkit.devices import pick_device
from srkit.files import replacing
from srkit.paths import shown
from srkit.training import checkpoints, distributed, run_folder
from srkit.training.checkpoints import pack
from srkit.training.diagnostics import warnings_in
from srkit.training.recipes import Recipe, TrainingError
from srkit.training.run_folder import describe, resume, run_key
from srkit.training.state import State, content_loss, for_device, start
from srkit.training.step import train_step, validate, what_fits
from srkit.weights import load_generator, save_generator

ASKED = 10  # updates between two times that several processes ask each other whether to stop

SETTLED = 1000  # updates at most, or a fifth of the run, before anything is warned of


def train(
    recipe: Recipe,
    photos: Photos,
    held_out: Photos,
    out: str | Path,
    content: str = "auto",
    device: str = "auto",
    workers: int = -1,
    metadata: dict[str, Any] | None = None,
    on_sample: Callable[[State, dict[str, Any], Tensor], None] | None = None,
    tensorboard: bool = False,
    minutes: float | None = None,
) -> Path:
    """Run a recipe to its end, or on from where it stopped; returns the generator's checkpoint.

    Into the folder `out` go `log.jsonl` (a line every `recipe.log_every` steps), `times.jsonl` (the
    same steps' seconds and images/s), `samples/` (a held-out crop over time), `checkpoint-*.pt` (to
    resume from) and `generator.safetensors` (the EMA generator). A run that was killed and begun
    again ends with the same log, samples and weights as one that was not. `on_sample(state, row,
    sr)` is called at every validation. Ctrl-C ends the step, saves, and says how to go on; so does
    the end of so many `minutes`, for machines that are lent by the hour. `workers` processes load
    photographs: 0 is this one, -1 as many as there are cores on a GPU, and 0 on a CPU.

    Raises TrainingError where the run cannot start, resume or go on, DataError where a held-out
    photograph is among those to be trained on.
    """
    began, out = time.monotonic(), Path(out)
    recipe = for_device(recipe, pick_device(device))
    check_apart(photos, held_out)
    world = distributed.join(distributed.own_device(pick_device(device)))
    state = start(recipe, len(photos.classes), content, device, world)
    state.key = run_key(recipe, state.content, photos)
    if world.first:
        (out / "samples").mkdir(parents=True, exist_ok=True)
    world.wait()
    facts = describe(state, photos) | (metadata or {})
    resume(state, out, facts)
    watched = centre_crops(held_out, recipe.watch_crop, recipe.watch)
    run = Run(state, watched, out, facts, on_sample, tensorboard)
    batches = loader(state, photos, workers)
    bar = tqdm(
        total=recipe.iterations, initial=state.step, unit="step",
        disable=None if world.first else True,
    )  # fmt: skip
    with signals_noted() as stop, bar, run:
        for hr, labels in batches:
            hr = hr.to(state.device, non_blocking=True)
            lr, hr = lr_and_hr(hr, recipe.scale, recipe.lr_filter)
            lr, hr = (x.contiguous(memory_format=torch.channels_last) for x in (lr, hr))
            detail = recipe.logs(state.step + 1)
            labels = labels.to(state.device, non_blocking=True)
            log = {}
            with suppress(torch.OutOfMemoryError), compilation(recipe, run):
                log = train_step(state, lr, hr, labels, detail)
            if not log:  # what the step had allocated is free again only here
                raise TrainingError(what_fits(state, lr, hr, labels))
            bar.update()
            if detail:
                run.record(log)
            if state.step == recipe.iterations or (world.size > 1 and state.step % ASKED):
                continue
            late = minutes is not None and time.monotonic() - began > 60 * minutes
            if world.any(late or bool(stop), state.device):
                run.save()
                if world.first:
                    print(f"stopped at step {state.step} and saved; the same command goes on there")
                raise KeyboardInterrupt
    return out / "generator.safetensors"


def train_stages(
    plans: Sequence[Recipe], photos: Photos, held_out: Photos, out: str | Path, **options: Any
) -> Path:
    """Train what `recipes.stages` lists, each from the generator of the one before, and return the
    last one's checkpoint. `options` are `train`'s; `minutes` are for all stages together.

    The last stage's folder is `out`; those before it lie beside it under their own names, where
    other recipes with the same start find them. Whatever stage a run stopped in, it goes on there.
    """
    began, minutes = time.monotonic(), options.pop("minutes", None)
    start = ""
    for number, plan in enumerate(plans, start=1):
        folder = Path(out) if number == len(plans) else Path(out).parent / plan.folder
        if len(plans) > 1 and distributed.first():
            print(f"stage {number} of {len(plans)}: {plan.name} into {folder}", flush=True)
        left = None if minutes is None else max(0.0, minutes - (time.monotonic() - began) / 60)
        plan = replace(plan, start_from=start) if start else plan
        start = str(train(plan, photos, held_out, folder, minutes=left, **options))
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
        pairs, batch_sampler=steps, num_workers=workers, persistent_workers=workers > 0,
        pin_memory=state.device.type == "cuda",
    )  # fmt: skip


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """SIGINT and SIGTERM are put on a list instead of breaking off a step; a second one breaks off.
    Outside of the main thread, which alone may handle signals, nothing changes."""
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)
        tqdm.write("stopping after this update; once more breaks it off")

    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def compilation(recipe: Recipe, run: "Run") -> Iterator[None]:
    """Around an update: says that the first one compiles, and what to do where that fails."""
    first = recipe.compile and run.state.step == run.first_step
    if first and run.state.world.first:
        tqdm.write("compiling the networks, which takes minutes")
    try:
        yield
    except (torch.OutOfMemoryError, KeyboardInterrupt):
        raise
    except Exception as error:
        if not first:
            raise
        line = str(error).strip().partition("\n")[0]
        raise TrainingError(f"the networks do not compile ({line}); use compile=False") from error


@dataclass
class Run:
    """What a run writes; only the first process does."""

    state: State
    watched: Tensor  # (N, 3, H, W) in [0, 1]
    out: Path
    facts: dict[str, Any]
    on_sample: Callable[[State, dict[str, Any], Tensor], None] | None
    tensorboard: bool

    def __enter__(self) -> "Run":
        detail = self.watched.diff(dim=-1).abs().mean((1, 2, 3))
        self.kept = int(detail.argmax())  # the crop that samples show
        self.rows = run_folder.read_rows(self.out / "log.jsonl")
        self.began = time.perf_counter()
        self.first_step = self.state.step
        self.timed = (self.began, self.state.step)  # the row of times.jsonl before
        self.board = None
        if self.state.world.first:
            self.write_picture(self.watched[self.kept], self.out / "held_out.png")
            self.board = board(self.out, self.state.step) if self.tensorboard else None
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        unchanged = self.state.step == self.first_step and checkpoints.found(self.out)
        if kind is None and not unchanged:
            self.save()
        if self.board is not None:
            self.board.close()

    def record(self, log: dict[str, Tensor]) -> None:
        """Log, sample and save at a step that the recipe logs. Raises TrainingError naming the
        first term that was not finite, and the checkpoint before."""
        state, recipe = self.state, self.state.recipe
        row = log_row(state, log)  # sums over all processes: each must be here
        self.check_finite()
        if state.world.first:
            sr = None
            if recipe.samples(state.step):
                row["psnr_raw"], _ = validate(state.generator, self.watched, recipe.scale)
                row["psnr"], sr = validate(state.ema, self.watched, recipe.scale)
                self.write_sample(sr)
            told = {text for old in self.rows for text in old.get("warnings", [])}
            self.rows = [*self.rows, row]
            early = min(recipe.iterations // 5, SETTLED)
            settled = [row for row in self.rows if row["step"] > early]
            new = [text for text in warnings_in(settled) if text not in told]
            if new:
                row["warnings"] = new
                tqdm.write("\n".join(f"step {state.step}: {text}" for text in new))
            self.write_row(row)
            if sr is not None and self.on_sample:
                self.on_sample(state, row, sr)
        if recipe.saves(state.step):
            self.save()

    def check_finite(self) -> None:
        """Raise TrainingError where a term has ceased to be finite since the last check, naming the
        first one."""
        if not self.state.bad:
            return
        never = torch.iinfo(torch.long).max
        steps = torch.stack([*self.state.bad.values()])
        firsts = self.state.world.least(torch.where(steps > 0, steps, never)).tolist()
        if min(firsts) == never:
            return
        own = [n for n, at in zip(self.state.bad, firsts, strict=True) if at == min(firsts)]
        terms = [name for name in own if name != "generator" and "gradient" not in name]
        self.stop_for(f"{' and '.join(sorted(terms or own))} not finite at step {min(firsts)}")

    def check_weights(self) -> None:
        """Raise TrainingError where a network holds NaN or infinity: nobody could go on from it."""
        for name in ("generator", "ema", "discriminator"):
            network = getattr(self.state, name)
            values = network.state_dict().values() if network else ()
            if not all(bool(value.isfinite().all()) for value in values):
                self.stop_for(f"weights of the {name} not finite at step {self.state.step}")

    def stop_for(self, what: str) -> NoReturn:
        """Raise TrainingError, naming the checkpoint before."""
        good = checkpoints.found(self.out)
        where = f"the last good checkpoint is {good[0].name}" if good else "no checkpoint yet"
        raise TrainingError(
            f"{what}, nothing was saved since; {where}."
            " Lower the learning rate or the term's weight, or use precision fp32"
        )

    def write_sample(self, sr: Tensor) -> None:
        path = self.out / "samples" / f"step_{self.state.step:07d}.png"
        self.write_picture(sr[self.kept], path)

    def write_picture(self, picture: Tensor, path: Path) -> None:
        with replacing(path) as file:
            to_image(picture).save(file, format="PNG")

    def write_row(self, row: dict[str, Any]) -> None:
        """The row into log.jsonl, which two runs have alike, and its times beside it."""
        now, step, recipe = time.perf_counter(), self.state.step, self.state.recipe
        update = (now - self.timed[0]) / (step - self.timed[1])  # seconds, since the row before
        times = {"step": step, "seconds": round(now - self.began, 3)}
        times["images_per_second"] = round(recipe.batch / update, 2)
        times["seconds_left"] = round((recipe.iterations - step) * update)
        self.timed = (now, step)
        for name, line in (("log.jsonl", row), ("times.jsonl", times)):
            with (self.out / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        if self.board is not None:
            for name, value in (row | times).items():
                if isinstance(value, float):
                    self.board.add_scalar(name, value, row["step"])

    def save(self) -> None:
        """A checkpoint to resume from, and the generator as it is."""
        state = self.state
        self.check_finite()
        self.check_weights()
        if state.world.first:
            seen = {"iterations": state.step, "images_seen": state.step * state.recipe.batch}
            facts = self.facts | seen
            checkpoints.save(self.out, state.step, pack(state, facts))
            path = self.out / "generator.safetensors"
            save_generator(path, state.ema, state.recipe.settings(), facts)
        state.world.wait()


def board(out: Path, step: int) -> Any:
    """A TensorBoard writer that goes on after `step`. Raises TrainingError without the package."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TrainingError("TensorBoard is not installed: pip install tensorboard") from error
    return SummaryWriter(str(out / "tensorboard"), purge_step=step + 1)


def log_row(state: State, log: dict[str, Tensor]) -> dict[str, Any]:
    """One line of log.jsonl: every number a function of recipe, photographs and step alone. Losses
    are means over the whole batch, diagnostics over the first process's share of it."""
    row: dict[str, Any] = {"step": state.step, "images": state.step * state.recipe.batch}
    own = [name for name in log if name.startswith("gradient_")] + ["colour_drift", "checkerboard"]
    shared = [name for name in log if name not in own]
    means = state.world.sum(torch.stack([log[name] for name in shared])) / state.world.size
    row |= dict(zip(shared, means.tolist(), strict=True))
    row |= {name: float(log[name]) for name in own if name in log}
    if row.get("gradient_content") and row.get("gradient_adversarial"):
        row["content_to_adversarial"] = row["gradient_content"] / row["gradient_adversarial"]
    row["learning_rate"] = state.recipe.learning_rate_at(state.step - 1)
    return row


def train_or_load(
    plan: Recipe,
    photos: Photos,
    held_out: Photos,
    out: str | Path,
    content: str = "auto",
    device: str = "auto",
    **options: Any,
) -> tuple[Path, bool]:
    """Run a recipe, unless `out` holds the finished run of the same recipe, content network and
    photographs. Returns the generator's checkpoint, and whether it was computed, and prints which.

    A run of anything else in `out` is moved to `out`-KEY, and comes back when it is asked for.
    `options` are `train`'s: on_sample, workers, metadata.
    """
    out = Path(out)
    plan = for_device(plan, pick_device(device))
    key = run_key(plan, content_loss(plan, content), photos)
    there, aside = finished(out), out.with_name(f"{out.name}-{key}")
    if there and there["key"] != key:
        out.rename(out.with_name(f"{out.name}-{there['key']}"))
        there = None
    if there is None and aside.is_dir():
        shutil.rmtree(out, ignore_errors=True)
        there = finished(aside.rename(out))
    computed = there is None or there["iterations"] < plan.iterations
    if computed:
        print(f"computing {plan.iterations} updates into {shown(out)}")
        train(plan, photos, held_out, out, content, device, **options)
    print(f"{'computed' if computed else 'loaded'} {shown(out)}, key {key}")
    return out / "generator.safetensors", computed


def finished(out: Path) -> dict[str, Any] | None:
    """What the generator in a run's folder says of its training so far; None without one."""
    path = out / "generator.safetensors"
    return {"key": "unknown", **load_generator(path)[1]["training"]} if path.is_file() else None
