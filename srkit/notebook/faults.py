"""Trainings and networks broken on purpose, for notebook 04's gallery of failures."""

from copy import deepcopy
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


def broken_recipes(preset: str, seed: int) -> dict[str, Recipe]:
    """The shipped SR-UGAN going on for a few dozen updates, each time with other weights.

    So that a fresh discriminator learns something in so short a time, it is SRGAN's, whose
    BatchNorm makes it quick.
    """
    small, length = ("smoke", 6) if preset == "smoke" else ("demo", 40)
    shipped = checkpoint_path("sr-ugan", 2)
    sizes: dict[str, Any] = load_generator(shipped)[1]["settings"]
    sizes = {
        n: tuple(v) if n == "unet" else v for n, v in sizes.items() if n not in ("model", "scale")
    }
    going_on: dict[str, Any] = {
        "start_from": str(shipped),
        "discriminator": "srgan",
        "class_loss": False,
        "seed": seed,
    }
    going_on |= {"iterations": length, "drop_at": length, "learning_rate": 2e-4, "sample_at": (1,)}
    going_on |= {"log_every": max(1, length // 10), "sample_every": length, "watch": 4}
    return {
        name: recipe("sr-ugan", small, weights=w, **going_on, **sizes) for name, w in BROKEN.items()
    }


def without_statistics(network: nn.Module) -> nn.Module:
    """A copy whose BatchNorm has forgotten its running averages, as after a checkpoint that saved
    parameters only."""
    forgotten = deepcopy(network)
    for layer in forgotten.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
    return forgotten
