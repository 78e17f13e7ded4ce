"""Short trainings that go on from a shipped network, and networks broken on purpose, for notebook
04: a second stage that works, and a gallery of failures."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

from torch import nn

from srkit.losses import Weights
from srkit.training.recipe import Recipe
from srkit.training.recipes import recipe
from srkit.weights import checkpoint_path, load_generator

BROKEN = {
    "healthy": Weights(),
    "no MSE": Weights(mse=0.0),
    "adversarial weight 1": Weights(adversarial=1.0),
    "adversarial weight 1e-12": Weights(adversarial=1e-12),
}


def from_shipped(name: str, start: str, preset: str, length: int, **changes: Any) -> Recipe:
    """A recipe of `length` updates, of preset "demo" or "smoke", that goes on from the shipped 2x
    generator of `start` and has its sizes."""
    shipped = checkpoint_path(start, 2)
    sizes: dict[str, Any] = load_generator(shipped)[1]["settings"]
    sizes |= {"unet": tuple(sizes["unet"])} if "unet" in sizes else {}
    changes |= {n: value for n, value in sizes.items() if n not in ("model", "scale")}
    small, length = ("smoke", 6) if preset == "smoke" else ("demo", length)
    changes |= {"start_from": str(shipped), "iterations": length, "drop_at": length}
    changes |= {"log_every": max(1, length // 10), "sample_at": (1,)}
    return recipe(name, small, **changes)


def second_stage(preset: str, seed: int) -> Recipe:
    """About a minute of Eq. (5) for the shipped SRResNet, whose first stage, MSE alone, is done.

    As in the preset "cpu", content counts ten times and BatchNorm is frozen. So that much happens
    within a minute, the discriminator is alone at first, and learns four times as fast."""
    changes: dict[str, Any] = {"weights": Weights(content=10.0), "freeze_batchnorm": True}
    changes |= {"seed": seed, "sample_every": 2, "discriminator_alone": 2, "learning_rate": 1e-4}
    if preset != "smoke":
        changes |= {"sample_every": 10, "discriminator_alone": 60, "discriminator_rate": 4.0}
        changes |= {"content_layer": "relu3_1", "batch": 8, "warmup": 10, "ema": 0.9}
        changes |= {"precision": "auto"}
    plan = from_shipped("srgan", "srresnet", preset, 140, **changes)
    return replace(plan, name="second-stage")  # a folder of its own


def broken_recipes(preset: str, seed: int) -> dict[str, Recipe]:
    """The shipped SR-UGAN going on for a few dozen updates, each time with other weights.

    So that a fresh discriminator learns something in so short a time, it is SRGAN's, whose
    BatchNorm makes it quick.
    """
    judge: dict[str, Any] = {"discriminator": "srgan", "class_loss": False, "learning_rate": 1e-4}
    length = 6 if preset == "smoke" else 40
    judge |= {"seed": seed, "sample_every": length, "watch": 4}
    judge |= {} if preset == "smoke" else {"batch": 4}  # the network is large
    return {
        name: from_shipped("sr-ugan", "sr-ugan", preset, length, weights=w, **judge)
        for name, w in BROKEN.items()
    }


def without_statistics(network: nn.Module) -> nn.Module:
    """A copy whose BatchNorm has forgotten its running averages, as after a checkpoint that saved
    parameters only."""
    forgotten = deepcopy(network)
    for layer in forgotten.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
    return forgotten
