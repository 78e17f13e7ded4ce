"""Train, kill and resume, and upscale, again and again.

`python tests/training/soak.py FOLDER MINUTES`. Each round is a run of a few updates that is killed
at a random instant and begun again until it ends, and a folder of pictures that goes through
`upscale` in this process, whose memory and open files are counted. Ends with code 1 where a round
leaves a half-written file, a damaged checkpoint or other weights than the first, or where memory
or open files have grown.
"""

import contextlib
import io
import random
import sys
import time
from pathlib import Path

import numpy as np
import psutil
from kills import attempt, check_nothing_lost
from PIL import Image
from tqdm import tqdm

from srkit.cli import main
from srkit.files import sha256

GROWTH = 50_000_000  # bytes of memory after the first rounds


def resources() -> tuple[int, int]:
    """Bytes of memory and open files of this process."""
    process = psutil.Process()
    return process.memory_info().rss, process.num_fds()


def killed_and_resumed(out: Path, rng: random.Random) -> str:
    """The SHA-256 of the generator of a run that was killed at random instants."""
    for _ in range(20):
        if attempt(out, "srresnet", rng.uniform(0.05, 2)):
            break
        check_nothing_lost(out)
    attempt(out, "srresnet")
    if left := [*out.rglob("*.part"), *out.rglob("lock")]:
        sys.exit(f"left behind: {left}")
    return sha256(out / "generator.safetensors")


def pictures(folder: Path) -> Path:
    """Twenty pictures of noise."""
    folder.mkdir(parents=True)
    for number in range(20):
        noise = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    return folder


if __name__ == "__main__":
    tqdm.monitor_interval = 0  # its thread may hold tqdm's lock at a fork, for ever in the child
    folder, end = Path(sys.argv[1]), time.monotonic() + 60 * float(sys.argv[2])
    rng, source = random.Random(0), pictures(Path(sys.argv[1]) / "pictures")
    first, begun, rounds = "", (0, 0), 0
    while time.monotonic() < end or rounds < 4:
        digest = killed_and_resumed(folder / f"run-{rounds}", rng)
        first = first or digest
        if digest != first:
            sys.exit(f"round {rounds} ended with other weights than the first")
        command = ["upscale", str(source), "-o", str(folder / f"sr-{rounds}"), "--device", "cpu"]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            if main(command):
                sys.exit(f"upscale failed in round {rounds}")
        rounds += 1
        if rounds == 3:  # what is loaded once has been loaded
            begun = resources()
    memory, opened = (now - then for now, then in zip(resources(), begun, strict=True))
    print(f"{rounds} rounds, {20 * rounds} pictures: {memory:+,} bytes, {opened:+} open files")
    sys.exit(memory > GROWTH or opened > 0)
