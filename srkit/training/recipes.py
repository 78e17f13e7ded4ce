"""Recipes as data: what is trained, on what crops, with which losses, for how long.

`recipe("sr-ugan", "paper")` is the report's own (sections 4.3 and 5), `recipe("srgan", "paper")`
that of Ledig et al. (2016). The other presets make them smaller, and say so by being shown: a
recipe prints whole, and `as_published.beside_the_report` lays it beside what its source says.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from srkit.losses import Weights
from srkit.models.blocks import check_scale
from srkit.models.build import DISCRIMINATORS, check_model, check_settings


class TrainingError(RuntimeError):
    """A run that cannot start, resume or go on; the message says why and what to do."""


PRESETS = ("smoke", "demo", "laptop", "cpu", "gpu", "paper")

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
    quick_start: bool = False  # initial weights by `models.quick_start`, not the framework's
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
    # The optimiser (section 5): Adam, the learning rate divided by 10 at `drop_at`, or falling to 0
    # along half a cosine over all of the run (Loshchilov and Hutter, 2016, without restarts).
    iterations: int = 200_000
    learning_rate: float = 1e-4
    schedule: str = "drop"
    warmup: int = 0  # updates in which it rises in a straight line: Adam's first ones are all sign
    drop_at: int = 100_000
    betas: tuple[float, float] = (0.9, 0.999)
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
        networks = ["width", "wide", "discriminator_width"]
        times = ["iterations", "log_every", "sample_every", "checkpoint_every"]
        for name in [*networks, *times, "crop", "batch", "accumulate", "watch", "watch_crop"]:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name, least in (("blocks", 1), ("seed", 0), ("drop_at", 0), ("warmup", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be {least} or more, not {getattr(self, name)}")
        numbers = {f"weights.{name}": value for name, value in vars(self.weights).items()}
        numbers |= {"learning_rate": self.learning_rate, "content_scale": self.content_scale or 0}
        for name, value in numbers.items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a finite number of 0 or more, not {value}")
        check_settings(self.settings())
        for name in ("per_class", "short_side"):
            if (limit := getattr(self, name)) is not None and limit < 1:
                raise ValueError(f"{name} must be None, or 1 or more, not {limit}")
        decays = {"ema": (self.ema,), "betas": self.betas}
        for name, values in decays.items():
            real = all(isinstance(v, int | float) and 0 <= v < 1 for v in values)
            if not real or len(values) != (1 if name == "ema" else 2):
                raise ValueError(f"{name} must be in [0, 1), betas two of them: {values}")
        if not all(isinstance(width, int) and width > 0 for width in self.unet):
            raise ValueError(f"unet must be widths such as (64, 96), or () for none: {self.unet}")
        choices = {"lr_filter": LR_FILTERS, "precision": PRECISIONS, "schedule": SCHEDULES}
        for name, accepted in (choices | {"discriminator": ("", *DISCRIMINATORS)}).items():
            if (value := getattr(self, name)) not in accepted:
                options = ", ".join(option or '""' for option in accepted)
                raise ValueError(f"unknown {name} {value!r}; accepted: {options}")
        for name in ("crop", "watch_crop"):
            if (side := getattr(self, name)) % self.scale:
                raise ValueError(f"{name} must be a multiple of the scale {self.scale}, not {side}")
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
        common = {"model": self.model, "scale": self.scale, "blocks": self.blocks}
        common |= {"width": self.width}
        if self.model == "sr-ugan":
            common |= {"wide": self.wide, "unet": list(self.unet)}
            common |= {"attention": self.attention, "dense": self.dense}
        return common

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of update `step`, counted from 0."""
        rate = self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup))
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


# What each model changes against the fields' defaults, which are SR-UGAN's by the report.
MODEL_CHANGES: dict[str, dict[str, Any]] = {
    "srresnet": {"blocks": 16, "weights": Weights(1.0, 0.0, 0.0), "class_loss": False},
    "srgan": {"blocks": 16, "weights": Weights(0.0, 1.0, 1e-3), "class_loss": False},
    "sr-ugan": {},
}

# The recipes by name, and what each changes in every preset; what it changes in one is in TRAINING.
RECIPES: dict[str, dict[str, Any]] = {
    "srresnet": {"model": "srresnet"},  # Ledig et al.: MSE alone
    "srgan": {"model": "srgan"},  # Ledig et al.: from SRResNet, VGG and adversarial, Eq. (4)
    "sr-ugan": {"model": "sr-ugan"},  # the report's, Eq. (5) and (8)
    # The first stage of SR-UGAN where it has two: MSE alone, as SRResNet is SRGAN's.
    "sr-ugan-mse": {
        "model": "sr-ugan",
        "weights": Weights(1.0, 0.0, 0.0),
        "class_loss": False,
    },
    # Section 7: "a higher batch size (ideally > 32)"; see `same_images` and LARGE_BATCH.
    "sr-ugan-large-batch": {"model": "sr-ugan"},
    # Section 7: SRGAN, and its start, trained on the crops and by the schedule of SR-UGAN. The
    # start comes on top of that, so this SRGAN has seen twice as many crops as SR-UGAN.
    "srresnet-same-protocol": {"model": "srresnet"},
    "srgan-same-protocol": {"model": "srgan"},
    # What the field does now: the discriminator and, from its public training options, the betas
    # and the EMA (0.999, our default too) of Real-ESRGAN. Our choice: generator, weights, crops and
    # schedule stay SR-UGAN's, so that the difference is the discriminator's. Not taken over: L1 for
    # MSE, VGG19 at five layers before the ReLU, an adversarial weight of 0.1. Not yet measured.
    "modern": {
        "model": "sr-ugan",
        "discriminator": "unet",
        "class_loss": False,
        "betas": (0.9, 0.99),
    },
}
RECIPES |= {f"{name}-4x": {**changes, "scale": 4} for name, changes in RECIPES.items()}  # native 4x

# The recipe whose generator another goes on from. SRGAN starts from SRResNet (Ledig et al., section
# 3.2), trained by the same protocol.
STARTS = {"srgan": "srresnet", "srgan-same-protocol": "srresnet-same-protocol"}
# The report trains SR-UGAN by Eq. (5) from fresh weights, and so does "paper". Where there is less
# time, MSE alone comes first: from a generator that is good already, the adversary works within
# minutes. Native 4x goes on from 2x there, as EDSR does (Lim et al., 2017, section 3.2).
STAGED = STARTS | {
    "sr-ugan": "sr-ugan-mse",
    "sr-ugan-large-batch": "sr-ugan-mse",
    "modern": "sr-ugan-mse",
}
STAGED_PRESETS = ("laptop", "cpu", "gpu")

# What each preset changes. "paper" is sections 4.3 and 5 to the letter; "cpu" has the report's own
# network sizes on a CPU in hours, which is how the shipped checkpoints are trained.
PRESET_CHANGES: dict[str, dict[str, Any]] = {
    "paper": {"per_class": 180, "short_side": 256},
    "gpu": {
        "warmup": 100,
        "crop": 128,
        "batch": 16,
        "iterations": 6_000,
        "schedule": "cosine",
        "precision": "auto",
        "sample_every": 500,
        "log_every": 20,
        "checkpoint_every": 500,
        "quick_start": True,
    },
    "cpu": {
        "warmup": 100,
        "crop": 96,
        "batch": 8,
        "iterations": 2_000,
        "schedule": "cosine",
        "precision": "auto",
        "sample_every": 500,
        "log_every": 100,
        "checkpoint_every": 500,
        "quick_start": True,
        "discriminator_width": 32,
        # A VGG19 whose activations have a mean of 1 there, and ten times its loss: chosen by
        # measurement, since the report names neither layer nor scale.
        "content_layer": "relu3_1",
        "content_scale": 0.316,
    },
    "laptop": {
        "crop": 64,
        "batch": 8,
        "width": 24,
        "wide": 32,
        "unet": (24, 32, 48, 64),
        "discriminator_width": 16,
        "iterations": 3_000,
        "drop_at": 2_400,
        "learning_rate": 4e-4,
        "quick_start": True,
        "ema": 0.995,
        "sample_every": 500,
        "log_every": 50,
        "checkpoint_every": 250,
        "precision": "auto",
    },
    "demo": {
        "crop": 32,
        "batch": 16,
        "width": 24,
        "wide": 32,
        "unet": (24, 32, 48, 64),
        "discriminator_width": 16,
        "iterations": 240,
        "drop_at": 160,
        "learning_rate": 1e-3,
        "sample_every": 80,
        "sample_at": (1, 10, 20, 40),
        "log_every": 5,
        "checkpoint_every": 120,
        "watch": 8,
        "watch_crop": 128,
        "ema": 0.95,
        "quick_start": True,
        "content_layer": "relu2_2",  # SRGAN's VGG22: relu5_4 would be 2x2 pixels of such crops
    },
    "smoke": {
        "crop": 32,
        "batch": 2,
        "width": 8,
        "wide": 8,
        "unet": (8, 8, 8),
        "blocks": 1,
        "discriminator_width": 4,
        "iterations": 6,
        "drop_at": 4,
        "learning_rate": 1e-3,
        "sample_every": 3,
        "sample_at": (1,),
        "log_every": 1,
        "checkpoint_every": 3,
        "watch": 2,
        "watch_crop": 64,
        "ema": 0.9,
        "content_layer": "relu2_2",
    },
}
# The size of a model's generator in a reduced preset.
NETWORKS: dict[tuple[str, str], dict[str, Any]] = {
    ("laptop", "srresnet"): {"blocks": 8, "width": 32},
    ("laptop", "srgan"): {"blocks": 8, "width": 32},
    ("laptop", "sr-ugan"): {"blocks": 3},
    ("demo", "srresnet"): {"blocks": 4},
    ("demo", "srgan"): {"blocks": 4},
    ("demo", "sr-ugan"): {"blocks": 2},
}
# Ledig et al., section 3.2: photographs at their own size and no limit a class.
LEDIG = {"crop": 96, "batch": 16, "per_class": None, "short_side": None}
# How a recipe, at either scale, is trained in one preset.
TRAINING: dict[tuple[str, str], dict[str, Any]] = {
    ("paper", "srresnet"): {**LEDIG, "iterations": 1_000_000, "drop_at": 1_000_000},  # no drop
    ("paper", "srgan"): {**LEDIG, "iterations": 200_000, "drop_at": 100_000},
    ("paper", "sr-ugan-large-batch"): {"precision": "bf16"},  # 32 crops of 256 need the memory
    ("gpu", "srresnet"): {"learning_rate": 5e-4, "iterations": 12_000},
    ("gpu", "sr-ugan-mse"): {"learning_rate": 3e-4, "iterations": 12_000},
    ("cpu", "srresnet"): {"learning_rate": 2e-4, "iterations": 30_000, "compile": True},
    ("cpu", "srgan"): {"freeze_batchnorm": True, "compile": True},
    ("cpu", "sr-ugan-mse"): {"learning_rate": 2e-4, "iterations": 30_000},
    ("laptop", "srresnet"): {"learning_rate": 1e-3, "iterations": 5_000, "drop_at": 4_000},
    ("laptop", "srgan"): {"learning_rate": 1e-4, "iterations": 1_200, "drop_at": 900},
    ("demo", "srgan"): {"learning_rate": 2e-4},
}
# The batch of "sr-ugan-large-batch": in reduced presets four times the preset's, twice in smoke.
LARGE_BATCH = {"paper": 32, "gpu": 64, "cpu": 32, "laptop": 32, "demo": 64, "smoke": 4}


def recipe(
    name: str = "sr-ugan", preset: str = "paper", scale: int | None = None, **changes: Any
) -> Recipe:
    """A recipe by its name in a preset, with any field changed by keyword; "weights.mse" and the
    like change one weight of the losses.

    `scale=4` is the native 4x of it, as the ending -4x of its name.
    Raises ValueError on an unknown name, preset or scale, TypeError on an unknown field.
    """
    if scale == 4 and f"{name}-4x" in RECIPES:
        name = f"{name}-4x"
    if name not in RECIPES:
        raise ValueError(f"unknown recipe {name!r}; accepted: {', '.join(RECIPES)}")
    check_preset(preset)
    model, basic = RECIPES[name]["model"], name.removesuffix("-4x")
    plan = Recipe(name=name, **MODEL_CHANGES[model] | RECIPES[name])
    if scale is not None and check_scale(scale) != check_scale(plan.scale):
        raise ValueError(f"the recipe {name} is for {plan.scale}x, not {scale}x")
    network, training = NETWORKS.get((preset, model), {}), TRAINING.get((preset, basic), {})
    plan = replace(plan, **PRESET_CHANGES[preset] | network | training)
    if plan.schedule == "cosine":
        plan = replace(plan, drop_at=plan.iterations)  # none
    if basic == "sr-ugan-large-batch":
        plan = same_images(plan, LARGE_BATCH[preset])
    if "iterations" in changes and "drop_at" not in changes:  # keep the drop where it was, in part
        changes["drop_at"] = round(changes["iterations"] * plan.drop_at / plan.iterations)
    named = [key for key in changes if key.startswith("weights.")]
    weights = {key.removeprefix("weights."): changes.pop(key) for key in named}
    changes["weights"] = replace(changes.get("weights", plan.weights), **weights)
    return replace(plan, **changes)


# Fields of `stages` that belong to the last stage alone: what it minimises, and for how long.
LAST_STAGE = (
    "iterations",
    "drop_at",
    "learning_rate",
    "schedule",
    "ema",
    "betas",
    "batch",
    "accumulate",
    "content_layer",
    "content_scale",
    "discriminator",
    "discriminator_width",
    "class_loss",
    "start_from",
)


def start_of(name: str, preset: str) -> str:
    """The name of the recipe whose generator another one goes on from; "" for fresh weights."""
    basic, ending = name.removesuffix("-4x"), "-4x" if name.endswith("-4x") else ""
    if preset not in STAGED_PRESETS:
        return STARTS[basic] + ending if basic in STARTS else ""
    return STAGED[basic] + ending if basic in STAGED else basic if ending else ""


def stages(
    name: str = "sr-ugan",
    preset: str = "paper",
    scale: int | None = None,
    before: Mapping[str, Any] | None = None,
    **changes: Any,
) -> list[Recipe]:
    """All that is trained for a recipe, in order: each goes on from the generator of the one
    before, and the recipe itself is the last. `changes` of what a stage minimises, and for how
    long, are made in the last alone, all others in every stage; those of `before` are made in every
    stage but the last.

    Raises ValueError or TypeError as `recipe` does.
    """
    plan = recipe(name, preset, scale, **changes)
    start = start_of(plan.name, preset)
    if not start or plan.start_from:
        return [plan]
    shared = {k: v for k, v in changes.items() if k not in LAST_STAGE and "weights" not in k}
    earlier = shared | dict(before or {})
    return [*stages(start, preset, None, before, **earlier), plan]


def same_images(plan: Recipe, batch: int) -> Recipe:
    """The recipe at another batch size, with as many images seen.

    The learning rate grows with the square root of the batch, the rule for Adam, whose steps do not
    grow with the gradient (Malladi et al., 2022, arXiv:2205.10287); linear is the rule for SGD. The
    rule would change the betas too, and at 32 for 3 the first would be negative, so they stay. The
    EMA's decay is taken to the power of the ratio, so that its memory is as long in images
    (Busbridge et al., 2023, arXiv:2307.13813).
    """
    ratio = batch / plan.batch
    return replace(
        plan,
        batch=batch,
        iterations=round(plan.iterations / ratio),
        drop_at=round(plan.drop_at / ratio),
        learning_rate=plan.learning_rate * ratio**0.5,
        ema=plan.ema**ratio,
    )


def check_preset(preset: str) -> str:
    """Return the preset's name. Raises ValueError where there is none of that name."""
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}; accepted: {', '.join(PRESETS)}")
    return preset
