"""A training with buttons: start, pause, stop, go on; every logged line drawn in place, its samples
to go through, and the three loss weights to play with.

`Panel.run` trains in the cell that calls it. The page's messages come by a subshell (JupyterLab 4.4
and ipykernel 7), so that its buttons work meanwhile; the notebook's own stop button does, too.
Whatever has been stopped is saved, can be used by every later cell, and goes on by a button or by
running the cell again.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from IPython.display import display
from PIL import Image

from srkit import paths
from srkit.losses import Weights
from srkit.notebook.embed import Page, png
from srkit.notebook.figures import colour
from srkit.notebook.live import held_out_crop, progress
from srkit.notebook.session import Session
from srkit.training.recipe import Recipe
from srkit.training.run_folder import read_log, read_samples, sample_files
from srkit.training.state import State
from srkit.weights import LABELS

SHOWN = ("step", "psnr", "mse", "content", "adversarial")  # of a row of the log


class Panel(Page):
    """`Panel(session, stages("sr-ugan", preset), baseline).run()` shows it, and trains.

    `baseline` is bicubic's PSNR on the watched crops; `options` are `session.train_stages`'.
    """

    def __init__(self, session: Session, plans: Sequence[Recipe], baseline: float, **options: Any):
        self.session, self.plans, self.options = session, list(plans), options
        self.folder = paths.runs(session.preset) / self.plan.folder
        self.baseline, self.state = baseline, "ready"
        self.going, self.stopping = threading.Event(), threading.Event()
        self.busy = threading.Lock()
        self.shown_part, self.parts = "", {"": self.folder}
        self.handle: Any = None
        plan = self.plans[-1]
        about: dict[str, Any] = {
            "title": f"Train {LABELS[plan.model]}",
            "colour": colour(plan.model),
        }
        about |= {"weights": {k: v for k, v in vars(plan.weights).items() if k != "classes"}}
        super().__init__("panel", about, self.answer)
        self.data |= self.everything()

    @property
    def plan(self) -> Recipe:
        """The recipe of the last stage."""
        return self.plans[-1]

    # --- What the page shows ---------------------------------------------------------------------

    def everything(self) -> dict[str, Any]:
        """All that the page shows, of the run that was worked on last."""
        folder = self.parts[self.shown_part]
        samples = read_samples(folder) if sample_files(folder) else {}
        pictures = {name: png(image) for name, image in samples.items()}
        crop = held_out_crop(folder, self.plan.scale)
        hr = pictures.pop("HR", None)
        bicubic = png(crop["Bicubic"]) if "Bicubic" in crop else None
        return {
            "state": self.state,
            "progress": progress(self.plan, folder),
            "total": self.plan.iterations,
            "baseline": self.baseline,
            "part": self.shown_part,
            "runs": {part: shortened(read_log(path)) for part, path in self.parts.items()},
            "samples": list(pictures.items()),
            "hr": hr,
            "bicubic": bicubic,
        }

    def tell(self, **more: Any) -> None:
        """Send the page what has changed."""
        text = progress(self.plan, self.parts[self.shown_part])
        self.send({"state": self.state, "progress": text, "part": self.shown_part} | more)

    def on_log(self, state: State, row: dict[str, Any]) -> None:
        """Called at every logged line: show it; wait here while the run is paused."""
        folder, more = self.parts[self.shown_part], dict[str, Any]()
        newest = sample_files(folder)
        if state.step in newest:
            with Image.open(newest[state.step]) as image:
                more["sample"] = [f"update {state.step}", png(image)]
            crop = held_out_crop(folder, self.plan.scale)
            more |= {"hr": png(crop["HR"]), "bicubic": png(crop["Bicubic"])}
        self.tell(row=shortened([row])[0], **more)

    def stop(self) -> bool:
        """Asked before every update: waits while the run is paused, says whether to stop."""
        while not self.going.is_set() and not self.stopping.is_set():
            time.sleep(0.1)
        return self.stopping.is_set()

    # --- What its buttons do ---------------------------------------------------------------------

    def run(self, wait: bool = False) -> Path:
        """Show the panel and train to the end, or until it is stopped, in this cell; returns the
        folder of the run, or of the stage in which it was stopped. With `wait` training begins at
        the button "Start", beside the cells that follow."""
        self.data |= self.everything()
        self.handle = display(self, display_id=True)
        if not wait:
            self.work(self.plans, "")
        folders = [self.folder, *(self.folder.with_name(p.folder) for p in self.plans[-2::-1])]
        return next((folder for folder in folders if read_log(folder)), self.folder)

    def work(self, plans: Sequence[Recipe], part: str) -> None:
        """Train in this thread. Stopping, by a button or the notebook's own, is no error."""
        if not self.busy.acquire(blocking=False):
            return
        self.stopping.clear()
        self.going.set()
        self.state, self.shown_part = "training", part
        self.parts.setdefault(part, self.folder.with_name(self.folder.name + part))
        self.tell()
        try:
            options = self.options | {"part": part, "on_log": self.on_log, "stop": self.stop}
            self.session.train_stages(plans, **options)
            self.state = "finished"
        except KeyboardInterrupt:
            self.state = "stopped"
        except Exception as error:
            self.state = f"failed: {error}"
            if threading.current_thread() is threading.main_thread():
                raise
        finally:
            self.busy.release()
            everything = self.everything()
            self.data |= everything
            self.send({"all": everything})
            if self.handle is not None:
                self.handle.update(self)

    def answer(self, message: dict[str, Any], files: Sequence[bytes]) -> None:
        """What a button asks."""
        ask = message["ask"]
        if ask == "all":
            self.send({"all": self.everything()})
        elif ask == "pause" and self.state == "training":
            self.going.clear()
            self.state = "paused"
            self.tell()
        elif ask == "stop":
            self.stopping.set()
        elif ask == "go" and self.state == "paused":
            self.state = "training"
            self.going.set()
            self.tell()
        elif ask == "go":
            self.in_background(self.plans, self.shown_part)
        elif ask == "play":
            weights = Weights(**{name: float(value) for name, value in message["weights"].items()})
            self.in_background([*self.plans[:-1], replace(self.plan, weights=weights)], "-yours")

    def in_background(self, plans: Sequence[Recipe], part: str) -> None:
        """Train beside the cells that may be run meanwhile."""
        threading.Thread(target=self.work, args=(plans, part), daemon=True).start()


def shortened(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a log with the columns that are drawn."""
    return [{name: row[name] for name in SHOWN if name in row} for row in rows]
