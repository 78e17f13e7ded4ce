"""Training: the loop, what it writes, and exact resume (the report's section 5)."""

import hashlib
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from srkit import parallel, runfiles
from srkit.data import Photos, to_image
from srkit.diagnostics import warnings_in
from srkit.heldout import check_apart
from srkit.losses import ContentLoss
from srkit.pairs import Pairs, Steps, centre_crops, lr_and_hr
from srkit.recipes import Recipe
from srkit.runfiles import TrainingError
from srkit.updates import State, pick_device, start, train_step, validate, what_fits
from srkit.weights import load_generator, save_generator


def train(
    recipe: Recipe,
    photos: Photos,
    held_out: Photos,
    out: str | Path,
    content: str = "auto",
    device: str = "auto",
    workers: int = 0,
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
    the end of so many `minutes`, for machines that are lent by the hour.

    Raises TrainingError where the run cannot start, resume or go on, DataError where a held-out
    photograph is among those to be trained on.
    """
    began, out = time.monotonic(), Path(out)
    check_apart(photos, held_out)
    world = parallel.join(parallel.own_device(pick_device(device)))
    state = start(recipe, len(photos.classes), content, device, world)
    state.key = run_key(recipe, state.content, photos)
    if world.first:
        (out / "samples").mkdir(parents=True, exist_ok=True)
    world.wait()
    resume(state, out, describe(state, photos))
    watched = centre_crops(held_out, recipe.watch_crop, recipe.watch)
    run = Run(state, photos, watched, out, metadata or {}, on_sample, tensorboard)
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
            detail, labels = recipe.logs(state.step + 1), labels.to(state.device)
            log = {}
            with suppress(torch.OutOfMemoryError):
                log = train_step(state, lr, hr, labels, detail)
            if not log:  # what the step had allocated is free again only here
                raise TrainingError(what_fits(state, lr, hr, labels))
            bar.update()
            if detail:
                run.record(log)
            late = minutes is not None and time.monotonic() - began > 60 * minutes
            if world.any((late or bool(stop)) and state.step < recipe.iterations, state.device):
                run.save()
                if world.first:
                    print(f"stopped at step {state.step} and saved; the same command goes on there")
                raise KeyboardInterrupt
    return out / "generator.safetensors"


def loader(state: State, photos: Photos, workers: int = 0) -> DataLoader:
    """What is left of the recipe's batches, this process's share of each: (hr, labels)."""
    recipe, world = state.recipe, state.world
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

    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class Run:
    """What a run writes; only the first process does."""

    state: State
    photos: Photos
    watched: Tensor  # (N, 3, H, W) in [0, 1]
    out: Path
    metadata: dict[str, Any]
    on_sample: Callable[[State, dict[str, Any], Tensor], None] | None
    tensorboard: bool

    def __enter__(self) -> "Run":
        detail = self.watched.diff(dim=-1).abs().mean((1, 2, 3))
        self.kept = int(detail.argmax())  # the crop that samples show
        self.rows = runfiles.read_rows(self.out / "log.jsonl")
        self.began, self.first_step = time.perf_counter(), self.state.step
        self.board = None
        if self.state.world.first:
            to_image(self.watched[self.kept]).save(self.out / "held_out.png")
            self.board = board(self.out, self.state.step) if self.tensorboard else None
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
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
            settled = [row for row in self.rows if row["step"] > recipe.iterations // 5]
            new = [text for text in warnings_in(settled) if text not in told]
            if new:
                row["warnings"] = new
                tqdm.write("\n".join(f"step {state.step}: {text}" for text in new))
            self.write_row(row)
            if sr is not None and self.on_sample:
                self.on_sample(state, row, sr)
        if state.step % recipe.checkpoint_every == 0 and state.step < recipe.iterations:
            self.save()

    def check_finite(self) -> None:
        """Raise TrainingError where a term has ceased to be finite since the last check."""
        firsts = {
            name: int(self.state.world.sum(step.clone())) for name, step in self.state.bad.items()
        }
        bad = {name: step for name, step in firsts.items() if step}
        if bad:
            good = runfiles.found(self.out)
            where = f"the last good checkpoint is {good[0].name}" if good else "no checkpoint yet"
            names = " and ".join(sorted(bad))
            raise TrainingError(
                f"{names} not finite at step {min(bad.values())}, nothing was saved since; {where}."
                " Lower the learning rate or the term's weight, or use precision fp32"
            )

    def write_sample(self, sr: Tensor) -> None:
        path = self.out / "samples" / f"step_{self.state.step:07d}.png"
        aside = path.with_suffix(".part")
        to_image(sr[self.kept]).save(aside, format="PNG")
        aside.replace(path)

    def write_row(self, row: dict[str, Any]) -> None:
        """The row into log.jsonl, which two runs have alike, and its times beside it."""
        seconds = time.perf_counter() - self.began
        done = (self.state.step - self.first_step) * self.state.recipe.batch
        times = {"step": row["step"], "seconds": round(seconds, 3)}
        times["images_per_second"] = round(done / seconds, 2)
        left = self.state.recipe.iterations - self.state.step
        times["seconds_left"] = round(left * seconds / (self.state.step - self.first_step))
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
        if state.world.first:
            facts = describe(state, self.photos)
            runfiles.save(self.out, state.step, pack(state, facts))
            path = self.out / "generator.safetensors"
            save_generator(path, state.ema, state.recipe.settings(), facts | self.metadata)
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


# --- What a run is, and going on with it ---------------------------------------------------------


def describe(state: State, photos: Photos) -> dict[str, Any]:
    """What a checkpoint says of its own training."""
    recipe = state.recipe
    settings, start = described(recipe)
    return {
        "key": state.key,
        "content": state.content.name if state.content else "none",
        "recipe": settings,
        "start": start,  # the training that this one went on from
        "data": photos.name,
        "photographs": len(photos),
        "classes": len(photos.classes),
        "iterations": state.step,
        "images_seen": state.step * recipe.batch,
        "seed": recipe.seed,
        "device": str(state.device),
        "torch": str(torch.__version__),  # the string alone loads with weights_only
    }


def described(recipe: Recipe) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """A recipe's settings, and the training of the checkpoint that it starts from: named by its
    hash, not by where somebody keeps it."""
    settings = asdict(recipe)
    if not recipe.start_from:
        return settings, None
    trained = load_generator(recipe.start_from)[1]
    settings["start_from"] = f"{trained['settings']['model']}, sha256 {trained['sha256'][:12]}"
    return settings, trained["training"]


def run_key(recipe: Recipe, content: ContentLoss | None, photos: Photos) -> str:
    """A hash of all that decides a run's outcome: recipe, content network and photographs."""
    name = content.name if content else "none"
    parts = [described(recipe)[0], name, photos.short_side, *photos.labels, *photos.identity()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


PARTS = ("generator", "ema", "discriminator", "generator_optimiser", "discriminator_optimiser")


def pack(state: State, facts: dict[str, Any]) -> dict[str, Any]:
    """All that a run needs to go on: photographs, crops and flips depend on the step alone, and
    nothing else in a step is random."""
    parts = {name: getattr(state, name) for name in PARTS}
    content = {name: part.state_dict() for name, part in parts.items() if part is not None}
    return content | {"step": state.step, "facts": facts}


def resume(state: State, out: Path, facts: dict[str, Any]) -> None:
    """Load the newest whole checkpoint into a fresh state, and cut log and samples back to it; all
    of them where there is none.

    Raises TrainingError where it was made with other settings or photographs, naming them.
    """
    saved = runfiles.load(out)
    if saved is not None:
        then = saved["facts"]
        for what in ("recipe", "content", "photographs", "classes", "key"):
            now, before = ({what: f[what]} if what != "recipe" else f[what] for f in (facts, then))
            different = runfiles.differences(now, before)
            if different and what == "key":
                different = f"photographs: other ones, or changed since ({then['data']} then)"
            if different:
                raise TrainingError(
                    f"{out} holds a run with other settings: {different}; use the same, or another"
                    " output folder"
                )
        for name in PARTS:
            part = getattr(state, name)
            if part is not None:
                part.load_state_dict(saved[name])
        state.step = saved["step"]
    if state.world.first:
        runfiles.cut_back(out, state.step)
    state.world.wait()


def read_log(out: str | Path) -> list[dict[str, Any]]:
    """The rows of a run's log.jsonl."""
    return runfiles.read_rows(Path(out) / "log.jsonl")
