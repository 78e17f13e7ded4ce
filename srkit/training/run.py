"""A run being written: its log, samples and checkpoints, and what stops it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import fill
from typing import Any, NoReturn

import torch
from torch import Tensor
from tqdm import tqdm

from srkit.data.images import to_image
from srkit.files import replacing
from srkit.training import checkpoints
from srkit.training.checkpoints import found, pack
from srkit.training.diagnostics import warnings_in
from srkit.training.recipe import TrainingError
from srkit.training.run_folder import read_rows
from srkit.training.state import State
from srkit.training.step import validate
from srkit.weights import save_generator

OnSample = Callable[[State, dict[str, Any], Tensor], None]  # called with state, row, predictions
OnLog = Callable[[State, dict[str, Any]], None]  # called with state, row
SETTLED = 1000  # updates at most, or a fifth of the run, before anything is warned of
GENTLER = "Lower the learning rate or the term's weight, or use precision fp32"
ROOM = "Free space on that disk, or make it writable, and run the same command again"


class Run:
    """What a run writes; only the first process does."""

    def __init__(
        self,
        state: State,
        watched: Tensor,  # (N, 3, H, W) in [0, 1]
        out: Path,
        facts: dict[str, Any],
        on_sample: OnSample | None = None,
        tensorboard: bool = False,
        on_log: OnLog | None = None,
    ):
        self.state, self.watched, self.out, self.facts = state, watched, out, facts
        self.on_sample, self.on_log = on_sample, on_log
        detail = watched.diff(dim=-1).abs().mean((1, 2, 3))  # (N,)
        self.kept = int(detail.argmax())  # the crop that samples show
        self.rows = read_rows(out / "log.jsonl")
        self.first_step = state.step
        self.began = time.perf_counter()
        self.timed = (self.began, state.step)  # the row of times.jsonl before
        self.board = board(out, state.step) if tensorboard and state.world.first else None
        if state.world.first:
            self.write_kept(watched, "held_out.png")

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        unchanged = self.state.step == self.first_step and found(self.out)
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
                self.write_kept(sr, f"samples/step_{state.step:07d}.png")
            told = {text for old in self.rows for text in old.get("warnings", [])}
            self.rows = [*self.rows, row]
            early = min(recipe.iterations // 5, SETTLED)
            settled = [row for row in self.rows if row["step"] > early]
            new = [text for text in warnings_in(settled) if text not in told]
            if new:
                row["warnings"] = new
                for text in new:
                    tqdm.write(fill(f"step {state.step}: {text}", 88, subsequent_indent="    "))
            self.write_row(row)
            if sr is not None and self.on_sample:
                self.on_sample(state, row, sr)
            if self.on_log:
                self.on_log(state, row)
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
        first = [n for n, at in zip(self.state.bad, firsts, strict=True) if at == min(firsts)]
        terms = [name for name in first if name != "generator" and "gradient" not in name]
        self.stop_for(f"{' and '.join(sorted(terms or first))} not finite at step {min(firsts)}")

    def check_weights(self) -> None:
        """Raise TrainingError where a network holds NaN or infinity: nobody could go on from it."""
        for name in ("generator", "ema", "discriminator"):
            network = getattr(self.state, name)
            values = network.state_dict().values() if network else ()
            if not all(bool(value.isfinite().all()) for value in values):
                self.stop_for(f"weights of the {name} not finite at step {self.state.step}")

    def stop_for(self, what: str, how: str = GENTLER) -> NoReturn:
        """Raise TrainingError, naming the checkpoint before, and how to go on."""
        good = found(self.out)
        where = f"the last good checkpoint is {good[0].name}" if good else "no checkpoint yet"
        raise TrainingError(f"{what}, nothing was saved since; {where}. {how}")

    def write_kept(self, crops: Tensor, name: str) -> None:
        """The crop that samples show, of the watched ones or of their predictions."""
        with replacing(self.out / name) as file:
            to_image(crops[self.kept]).save(file, format="PNG")

    def write_row(self, row: dict[str, Any]) -> None:
        """The row into log.jsonl, which two runs have alike, and its times beside it."""
        now, step, recipe = time.perf_counter(), self.state.step, self.state.recipe
        update = (now - self.timed[0]) / (step - self.timed[1])  # seconds, since the row before
        times = {"step": step, "seconds": round(now - self.began, 3)}
        times["images_per_second"] = round(recipe.batch / update, 2)
        times["seconds_left"] = round((recipe.iterations - step) * update)
        self.timed = (now, step)
        for name, line in (("log.jsonl", row), ("times.jsonl", times)):
            try:
                with (self.out / name).open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            except OSError as error:
                self.stop_for(f"{self.out / name} cannot be written ({error.strerror})", ROOM)
        if self.board is not None:
            for name, value in (row | times).items():
                if isinstance(value, float):
                    self.board.add_scalar(name, value, row["step"])

    def save(self) -> None:
        """The generator as it is, and a checkpoint to resume from: last, so that a run that is
        killed between the two is not taken for one whose generator is written."""
        state = self.state
        self.check_finite()
        self.check_weights()
        if state.world.first:
            seen = {"iterations": state.step, "images_seen": state.step * state.recipe.batch}
            facts = self.facts | seen
            path = self.out / "generator.safetensors"
            save_generator(path, state.ema, state.recipe.settings(), facts)
            checkpoints.save(self.out, state.step, pack(state, facts))
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
    local = [name for name in log if name.startswith("gradient_")]
    local += ["colour_drift", "checkerboard"]
    shared = [name for name in log if name not in local]
    means = state.world.sum(torch.stack([log[name] for name in shared])) / state.world.size
    row |= dict(zip(shared, means.tolist(), strict=True))
    row |= {name: float(log[name]) for name in local if name in log}
    if row.get("gradient_content") and row.get("gradient_adversarial"):
        row["content_to_adversarial"] = row["gradient_content"] / row["gradient_adversarial"]
    row["learning_rate"] = state.recipe.learning_rate_at(state.step - 1)
    return row
