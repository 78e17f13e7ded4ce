"""Recipes as data: what is trained, on what crops, with which losses, for how long.

`recipe("sr-ugan", "paper")` is the report's own (sections 4.3 and 5). The other presets make it
smaller, and say so by being shown: a recipe prints whole.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from srkit.losses import Weights
from srkit.weights import check_model

PRESETS = ("smoke", "demo", "laptop", "gpu", "paper")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome of a training run, but for the photographs."""

    model: str = "sr-ugan"  # srresnet, srgan or sr-ugan
    scale: int = 2
    # The network (section 4.2): blocks and widths; SR-UGAN only: wide, unet.
    blocks: int = 8
    width: int = 64
    wide: int = 96
    unet: tuple[int, ...] = (64, 96, 128, 256)
    discriminator_width: int = 64
    start_from: str = ""  # a checkpoint whose generator is the start
    quick_start: bool = False  # initial weights by `models.quick_start`, not the framework's
    # The data (section 4.3).
    crop: int = 256  # HR pixels
    batch: int = 3
    per_class: int | None = None
    short_side: int | None = None  # photographs are first resized to this shorter side
    # The losses (equations 4, 5 and 8).
    weights: Weights = field(default_factory=Weights)
    content_layer: str = ""  # "" is relu5_4, or the deepest that the VGG19 file reaches
    content_scale: float | None = None
    class_loss: bool = True
    # The optimiser (section 5): Adam, the learning rate divided by 10 at `drop_at`.
    iterations: int = 200_000
    learning_rate: float = 1e-4
    drop_at: int = 100_000
    betas: tuple[float, float] = (0.9, 0.999)
    ema: float = 0.999
    seed: int = 0
    # What is written and when; `sample_at` and `sample_every` also validate.
    log_every: int = 100
    sample_every: int = 2_000
    sample_at: tuple[int, ...] = (1, 20, 100, 500)
    checkpoint_every: int = 2_000
    watch: int = 16  # held-out crops
    watch_crop: int = 192

    def __post_init__(self) -> None:
        networks = ["width", "wide", "discriminator_width"]
        times = ["iterations", "log_every", "sample_every", "checkpoint_every"]
        for name in [*networks, *times, "crop", "batch", "watch", "watch_crop"]:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")

    def settings(self) -> dict[str, Any]:
        """The generator's model name and constructor arguments."""
        common = {"model": self.model, "scale": self.scale, "blocks": self.blocks}
        common |= {"width": self.width}
        if self.model == "sr-ugan":
            common |= {"wide": self.wide, "unet": list(self.unet)}
        return common

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of update `step`, counted from 0."""
        return self.learning_rate if step < self.drop_at else self.learning_rate / 10

    def samples(self, step: int) -> bool:
        """Whether the run validates and keeps a sample after `step` updates."""
        regular = step % self.sample_every == 0
        return regular or step in self.sample_at or step == self.iterations

    def logs(self, step: int) -> bool:
        """Whether the run logs (checkpoints and samples are at logged steps) after `step`."""
        return step % self.log_every == 0 or step == 1 or self.samples(step)


# What each model changes against the fields' defaults, which are SR-UGAN's by the report.
MODEL_CHANGES: dict[str, dict[str, Any]] = {
    "srresnet": {"blocks": 16, "weights": Weights(1.0, 0.0, 0.0), "class_loss": False},
    "srgan": {"blocks": 16, "weights": Weights(0.0, 1.0, 1e-3), "class_loss": False},
    "sr-ugan": {},
}

# What each preset changes. "paper" is sections 4.3 and 5 to the letter.
PRESET_CHANGES: dict[str, dict[str, Any]] = {
    "paper": {"per_class": 180, "short_side": 256},
    "gpu": {
        "crop": 128, "batch": 16, "iterations": 6_000, "drop_at": 4_500,
        "sample_every": 500, "log_every": 20, "checkpoint_every": 500,
    },
    "laptop": {
        "crop": 64, "batch": 8, "width": 24, "wide": 32, "unet": (24, 32, 48, 64),
        "discriminator_width": 16, "iterations": 3_000, "drop_at": 2_400, "learning_rate": 4e-4,
        "quick_start": True, "ema": 0.995, "sample_every": 500, "log_every": 50,
        "checkpoint_every": 250,
    },
    "demo": {
        "crop": 32, "batch": 16, "width": 24, "wide": 32, "unet": (24, 32, 48, 64),
        "discriminator_width": 16, "iterations": 240, "drop_at": 160, "learning_rate": 1e-3,
        "sample_every": 80, "sample_at": (1, 10, 20, 40), "log_every": 5, "checkpoint_every": 120,
        "watch": 8, "watch_crop": 128, "ema": 0.95, "quick_start": True,
        "content_layer": "relu2_2",  # SRGAN's VGG22: relu5_4 would be 2x2 pixels of such crops
    },
    "smoke": {
        "crop": 32, "batch": 2, "width": 8, "wide": 8, "unet": (8, 8, 8), "blocks": 1,
        "discriminator_width": 4, "iterations": 6, "drop_at": 4, "learning_rate": 1e-3,
        "sample_every": 3, "sample_at": (1,), "log_every": 1, "checkpoint_every": 3,
        "watch": 2, "watch_crop": 64, "ema": 0.9, "content_layer": "relu2_2",
    },
}  # fmt: skip
# What a reduced preset changes for one model.
REDUCED: dict[tuple[str, str], dict[str, Any]] = {
    ("laptop", "srresnet"): {
        "blocks": 8,
        "width": 32,
        "learning_rate": 1e-3,
        "iterations": 5_000,
        "drop_at": 4_000,
    },
    ("laptop", "srgan"): {
        "blocks": 8,
        "width": 32,
        "learning_rate": 1e-4,
        "iterations": 1_200,
        "drop_at": 900,
    },
    ("laptop", "sr-ugan"): {"blocks": 3},
    ("demo", "srresnet"): {"blocks": 4},
    ("demo", "srgan"): {"blocks": 4, "learning_rate": 2e-4},
    ("demo", "sr-ugan"): {"blocks": 2},
}  # fmt: skip


def recipe(model: str = "sr-ugan", preset: str = "paper", scale: int = 2, **changes: Any) -> Recipe:
    """The recipe of a model in a preset, with any field changed by keyword.

    Raises ValueError on an unknown model or preset, TypeError on an unknown field.
    """
    check_model(model)
    check_preset(preset)
    plan = Recipe(model=model, scale=scale, **MODEL_CHANGES[model])
    plan = replace(plan, **PRESET_CHANGES[preset])
    plan = replace(plan, **REDUCED.get((preset, model), {}))
    if "iterations" in changes and "drop_at" not in changes:  # keep the drop where it was, in part
        changes["drop_at"] = round(changes["iterations"] * plan.drop_at / plan.iterations)
    return replace(plan, **changes)


def check_preset(preset: str) -> str:
    """Return the preset's name. Raises ValueError where there is none of that name."""
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}; accepted: {', '.join(PRESETS)}")
    return preset
