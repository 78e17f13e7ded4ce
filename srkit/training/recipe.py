"""A recipe as data: what is trained, on what crops, with which losses, for how long."""

import math
from dataclasses import dataclass, field
from typing import Any

from srkit.files import SrkitError
from srkit.settings import (
    DISCRIMINATORS,
    Weights,
    check_layer,
    check_model,
    check_scale,
    check_settings,
)


class TrainingError(SrkitError, RuntimeError):
    """A run that cannot start, resume or go on; the message says why and what to do."""

    exit_code = 1


LR_FILTERS = ("bicubic", "lanczos")
PRECISIONS = ("auto", "fp32", "bf16")
SCHEDULES = ("drop", "cosine")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome of a training run, but for the photographs.

    Raises ValueError, naming what is accepted, where fields are unknown or do not go together.
    """

    name: str = "sr-ugan"  # of RECIPES; fields may have been changed since
    model: str = "sr-ugan"  # srresnet, srgan or sr-ugan
    scale: int = 2
    # The network (section 4.2): blocks and widths; the next four are of SR-UGAN only.
    blocks: int = 8
    width: int = 64
    wide: int = 96
    unet: tuple[int, ...] = (64, 96, 128, 256)  # () for none
    attention: bool = True
    dense: bool = True
    discriminator: str = ""  # srgan, sr-ugan or unet; "" is the model's own
    discriminator_width: int = 64
    start_from: str = ""  # a checkpoint whose generator is the start
    quick_start: bool = False  # initial weights by `models.quick_start...`, not the framework's
    # The generator's BatchNorm keeps to its running statistics in training, too. Those of a batch
    # of 8 crops are noise that costs a short training decibels.
    freeze_batchnorm: bool = False
    # The data (section 4.3).
    crop: int = 256  # HR pixels
    batch: int = 3
    per_class: int | None = None
    short_side: int | None = None  # photographs are first resized to this shorter side
    lr_filter: str = "bicubic"  # or lanczos, as in the author's later code
    # The losses (equations 4, 5 and 8).
    weights: Weights = field(default_factory=Weights)
    content_layer: str = ""  # "" is relu5_4, or the deepest that the VGG19 file reaches
    content_scale: float | None = None
    class_loss: bool = True
    # SR and HR are moved by 0 to so many pixels, alike, before VGG19 and the discriminator. Both
    # halve pictures on a fixed grid, and a generator learns to leave that grid's pattern.
    shift: int = 0
    # The first updates, in which only the discriminator learns: while it knows nothing, its
    # gradient is noise to a generator that is good already.
    discriminator_alone: int = 0
    # The optimiser (section 5): Adam, the learning rate divided by 10 at `drop_at`, or falling to 0
    # along half a cosine over all of the run (Loshchilov and Hutter, 2016, without restarts).
    iterations: int = 200_000
    learning_rate: float = 1e-4
    schedule: str = "drop"
    warmup: int = 0  # updates in which it rises in a straight line: Adam's first ones are all sign
    drop_at: int = 100_000
    betas: tuple[float, float] = (0.9, 0.999)
    # The discriminator's learning rate over the generator's: where it is not 1, the two time-scale
    # update rule (Heusel et al., 2017).
    discriminator_rate: float = 1.0
    ema: float = 0.999
    seed: int = 0
    # How it is computed.
    precision: str = "fp32"  # bf16: autocast; auto: bf16 where the device is faster in it
    accumulate: int = 1  # parts that a batch is split into on a small card
    compile: bool = False
    # What is written and when; `sample_at` and `sample_every` also validate.
    log_every: int = 100
    sample_every: int = 2_000
    sample_at: tuple[int, ...] = (1, 20, 100, 500)
    checkpoint_every: int = 2_000
    watch: int = 16  # held-out crops
    watch_crop: int = 192

    def __post_init__(self) -> None:
        check_model(self.model)
        check_scale(self.scale)
        sizes = ("blocks", "width", "wide", "discriminator_width", "crop", "batch", "accumulate")
        times = ("iterations", "log_every", "sample_every", "checkpoint_every")
        from_zero = ("seed", "drop_at", "warmup", "shift", "discriminator_alone")
        for name in (*sizes, *times, "watch", "watch_crop", *from_zero):
            least = 0 if name in from_zero else 1
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be {least} or more, not {getattr(self, name)}")
        numbers = {f"weights.{name}": value for name, value in vars(self.weights).items()}
        numbers |= {"learning_rate": self.learning_rate, "content_scale": self.content_scale or 0}
        numbers |= {"discriminator_rate": self.discriminator_rate}
        for name, value in numbers.items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a finite number of 0 or more, not {value}")
        check_settings(self.settings())
        for name in ("per_class", "short_side"):
            if (limit := getattr(self, name)) is not None and limit < 1:
                raise ValueError(f"{name} must be None, or 1 or more, not {limit}")
        for name, values, count in (("ema", (self.ema,), 1), ("betas", self.betas, 2)):
            real = all(isinstance(v, int | float) and 0 <= v < 1 for v in values)
            if not real or len(values) != count:
                raise ValueError(f"{name} must be in [0, 1), betas two of them: {values}")
        if not all(isinstance(width, int) and width > 0 for width in self.unet):
            raise ValueError(f"unet must be widths such as (64, 96), or () for none: {self.unet}")
        if self.content_layer:
            check_layer(self.content_layer)
        choices = {"lr_filter": LR_FILTERS, "precision": PRECISIONS, "schedule": SCHEDULES}
        for name, accepted in (choices | {"discriminator": ("", *DISCRIMINATORS)}).items():
            if (value := getattr(self, name)) not in accepted:
                options = ", ".join(option or '""' for option in accepted)
                raise ValueError(f"unknown {name} {value!r}; accepted: {options}")
        for name in ("crop", "watch_crop"):
            if (side := getattr(self, name)) % self.scale:
                raise ValueError(f"{name} must be a multiple of the scale {self.scale}, not {side}")
        if self.shift >= self.crop // 2:
            raise ValueError(f"shift must be under half of crop {self.crop}, not {self.shift}")
        if self.discriminator_alone >= self.iterations:
            raise ValueError(
                f"discriminator_alone must be under the iterations, {self.iterations}, not"
                f" {self.discriminator_alone}: the generator would never learn"
            )
        if self.accumulate > self.batch:
            raise ValueError(f"accumulate must be 1 to {self.batch}, the batch: {self.accumulate}")
        if self.class_loss and self.discriminator_kind != "sr-ugan":
            kind = self.discriminator_kind
            raise ValueError(f"class_loss needs the discriminator sr-ugan, {kind} has no classes")
        if self.weights.classes and not self.class_loss:
            raise ValueError("weights.classes needs class_loss, which trains the class head")

    @property
    def discriminator_kind(self) -> str:
        """What `discriminators.build_discriminator` is to build, where a weight asks for one."""
        return self.discriminator or ("sr-ugan" if self.model == "sr-ugan" else "srgan")

    @property
    def folder(self) -> str:
        """The name of its runs' folder, such as "train-sr-ugan-x2"."""
        return f"train-{self.name.removesuffix('-4x')}-x{self.scale}"

    def settings(self) -> dict[str, Any]:
        """The generator's model name and constructor arguments."""
        names = ["model", "scale", "blocks", "width"]
        names += ["wide", "unet", "attention", "dense"] if self.model == "sr-ugan" else []
        chosen = {name: getattr(self, name) for name in names}
        return {n: list(value) if n == "unet" else value for n, value in chosen.items()}

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of update `step`, counted from 0. It rises anew for the generator's
        first ones, where these come later."""
        alone = self.discriminator_alone
        since = step if step < alone else step - alone
        rate = self.learning_rate * min(1.0, (since + 1) / max(1, self.warmup))
        if self.schedule == "cosine":
            return rate * (1 + math.cos(math.pi * step / self.iterations)) / 2
        return rate if step < self.drop_at else rate / 10

    def samples(self, step: int) -> bool:
        """Whether the run validates and keeps a sample after `step` updates."""
        regular = step % self.sample_every == 0
        return regular or step in self.sample_at or step == self.iterations

    def saves(self, step: int) -> bool:
        """Whether the run keeps a checkpoint after `step` updates; the last is kept anyhow."""
        return step % self.checkpoint_every == 0 and step < self.iterations

    def logs(self, step: int) -> bool:
        """Whether the run logs (checkpoints and samples are at logged steps) after `step`."""
        return step % self.log_every == 0 or step == 1 or self.samples(step) or self.saves(step)
