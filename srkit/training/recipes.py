"""The recipes by name and preset, and the stages of each.

`recipe("sr-ugan", "paper")` is the report's own (sections 4.3 and 5), `recipe("srgan", "paper")`
that of Ledig et al. (2016). The other presets make them smaller, and say so by being shown: a
recipe prints whole, and `as_published.beside_the_report` lays it beside what its source says.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from srkit.paths import check_preset
from srkit.settings import Weights, check_scale
from srkit.training.recipe import Recipe

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
    "sr-ugan-mse": {"model": "sr-ugan", "weights": Weights(1.0, 0.0, 0.0), "class_loss": False},
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
STAGED = STARTS | dict.fromkeys(("sr-ugan", "sr-ugan-large-batch", "modern"), "sr-ugan-mse")
STAGED_PRESETS = ("laptop", "cpu", "gpu")

# Of the presets that take hours.
LONG: dict[str, Any] = {"warmup": 100, "schedule": "cosine", "precision": "auto"}
LONG |= {"sample_every": 500, "checkpoint_every": 500, "quick_start": True}
# Of those with small networks.
SMALL: dict[str, Any] = {"width": 24, "wide": 32, "unet": (24, 32, 48, 64)}
SMALL |= {"discriminator_width": 16, "quick_start": True}
# What each preset changes. "paper" is sections 4.3 and 5 to the letter; "cpu" has the report's own
# network sizes on a CPU in hours, which is how the shipped checkpoints are trained.
PRESET_CHANGES: dict[str, dict[str, Any]] = {
    "paper": {"per_class": 180, "short_side": 256},
    "gpu": LONG | {"crop": 128, "batch": 16, "iterations": 6_000, "log_every": 20},
    "cpu": {
        **LONG,
        "crop": 96,
        "batch": 8,
        "iterations": 2_000,
        "discriminator_width": 32,
        # The normalised VGG19, divided by SRGAN's 12.75 over the root of 10, which makes ten times
        # its loss: chosen by measurement, since the report names neither layer nor scale.
        "content_layer": "relu3_1",
        "content_scale": 4.03,
        "shift": 3,
    },
    "laptop": {
        **SMALL,
        "crop": 64,
        "batch": 8,
        "iterations": 3_000,
        "drop_at": 2_400,
        "learning_rate": 4e-4,
        "ema": 0.995,
        "sample_every": 500,
        "log_every": 50,
        "checkpoint_every": 250,
        "precision": "auto",
    },
    "demo": {
        **SMALL,
        "crop": 32,
        "batch": 16,
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
# The second stage on a CPU in hours, in which content leads. SRGAN's discriminator as fast as the
# generator, and SR-UGAN's four times as fast, soon won, and FID-768 grew again within 300 updates.
GENTLE: dict[str, Any] = {
    "crop": 64,
    "iterations": 1_600,
    "warmup": 30,
    "discriminator_rate": 0.25,
    "ema": 0.99,
}
# How a recipe, at either scale, is trained in one preset.
TRAINING: dict[tuple[str, str], dict[str, Any]] = {
    ("paper", "srresnet"): {**LEDIG, "iterations": 1_000_000, "drop_at": 1_000_000},  # no drop
    ("paper", "srgan"): {**LEDIG, "iterations": 200_000, "drop_at": 100_000},
    ("paper", "sr-ugan-large-batch"): {"precision": "bf16"},  # 32 crops of 256 need the memory
    ("gpu", "srresnet"): {"learning_rate": 5e-4, "iterations": 12_000},
    ("gpu", "sr-ugan-mse"): {"learning_rate": 3e-4, "iterations": 12_000},
    ("cpu", "srresnet"): {"learning_rate": 2e-4, "iterations": 30_000, "compile": True},
    ("cpu", "srgan"): {**GENTLE, "iterations": 800, "freeze_batchnorm": True, "compile": True},
    ("cpu", "sr-ugan-mse"): {"learning_rate": 2e-4, "iterations": 30_000},
    ("laptop", "srresnet"): {"learning_rate": 1e-3, "iterations": 5_000, "drop_at": 4_000},
    ("laptop", "srgan"): {"learning_rate": 1e-4, "iterations": 1_200, "drop_at": 900},
    ("demo", "srgan"): {"learning_rate": 2e-4},
}
# What is to be trained as SR-UGAN is.
TRAINING |= {("cpu", name): GENTLE for name in ("sr-ugan", "sr-ugan-large-batch", "modern")}
TRAINING |= {("cpu", f"{name}-same-protocol"): GENTLE for name in ("srresnet", "srgan")}
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
    *("iterations", "drop_at", "learning_rate", "schedule", "ema", "betas", "batch", "accumulate"),
    *("content_layer", "content_scale", "discriminator", "discriminator_width", "class_loss"),
    *("discriminator_rate", "discriminator_alone", "start_from"),
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
