"""A training run that is killed at random instants and begun again, until it ends.

`python tests/training/kills.py FOLDER KILLS SEED MODEL` trains FOLDER/whole without a kill, then
FOLDER/0, FOLDER/1, ... with KILLS kills in all, and prints how many runs those came to. Each
attempt is a fork of this process, which has imported everything and computed nothing, so that it
starts at once.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from srkit import files, weights
from srkit.data import Photos
from srkit.training import run_folder
from srkit.training.checkpoints import found, step_of
from srkit.training.loop import train
from srkit.training.recipes import recipe

CHANGES = {"iterations": 40, "checkpoint_every": 4, "sample_every": 4, "log_every": 2, "batch": 4}


def photos(seed: int) -> Photos:
    values = np.random.default_rng(seed).integers(0, 256, (6, 48, 48, 3), dtype=np.uint8)
    return Photos("noise", list(values), [0, 1, 2] * 2, ["a", "b", "c"])


def attempt(out: Path, model: str, seconds: float | None = None) -> bool:
    """Run in a child process, killed after some seconds; True where it came to its end."""
    child = os.fork()
    if child == 0:
        try:
            train(
                recipe(model, "smoke", **CHANGES),
                photos(0),
                photos(1),
                out,
                content="untrained",
                device="cpu",
            )
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    if os.WEXITSTATUS(status):
        sys.exit("a run failed")
    return True


def check_nothing_lost(out: Path) -> None:
    """After a kill: every checkpoint is readable, and the log is at most one interval ahead."""
    checkpoints = found(out)
    for path in checkpoints:
        if not path.stem.endswith(files.sha256(path)[:16]) or not weights.load_state(path):
            sys.exit(f"{path} is damaged")
    rows = run_folder.read_rows(out / "log.jsonl")
    done = rows[-1]["step"] if rows else 0
    kept = step_of(checkpoints[0]) if checkpoints else 0
    if done - kept > CHANGES["checkpoint_every"]:
        sys.exit(f"killed after step {done}, the newest checkpoint is of step {kept}")


if __name__ == "__main__":
    folder, kills, seed, model = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    rng = random.Random(seed)
    began = time.perf_counter()
    attempt(folder / "whole", model)
    length = time.perf_counter() - began
    run, fresh = 0, True
    while kills:
        began = time.perf_counter()
        if attempt(folder / str(run), model, rng.uniform(0, 0.8) * length):
            if fresh:  # a warm one takes less time than the first
                length = min(length, time.perf_counter() - began)
            run, fresh = run + 1, True
        else:
            check_nothing_lost(folder / str(run))
            kills, fresh = kills - 1, False
    attempt(folder / str(run), model)
    print(f"{run + 1} runs")
