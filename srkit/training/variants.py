"""What the ablation trains: SR-UGAN without one of its parts at a time (section 4.2)."""

from dataclasses import replace
from typing import Any

from srkit.settings import Weights
from srkit.training.recipe import Recipe
from srkit.training.recipes import same_images, stages

FULL = "SR-UGAN"

# What is taken away or changed, one at a time; the rest stays as it is.
VARIANTS: dict[str, dict[str, Any]] = {
    FULL: {},
    "without U-Net": {"unet": ()},
    "without attention": {"attention": False},
    "residual for dense blocks": {"dense": False},
    "without class head": {"class_loss": False},
    "without MSE": {"weights": Weights(mse=0.0)},
    "adversarial weight 0": {"weights": Weights(adversarial=0.0), "class_loss": False},
    "MSE alone": {"weights": Weights(content=0.0, adversarial=0.0), "class_loss": False},
    "four times the batch": {},  # section 7; see `variant`
    "eq. (5) from the start": {},  # as the report trains, in place of MSE first; see `variant`
}


def variant(name: str, preset: str, **changes: Any) -> list[Recipe]:
    """The stages of one variant; `changes` are those of `recipes.stages`.

    Each sees as many crops as the others, in all its stages together. "eq. (5) from the start" has
    the learning rate of the first stage; it is the whole SR-UGAN where MSE is never alone.
    Raises ValueError where there is none of that name.
    """
    if name not in VARIANTS:
        raise ValueError(f"unknown variant {name!r}; accepted: {', '.join(VARIANTS)}")
    *before, last = stages("sr-ugan", preset, **changes | VARIANTS[name])
    last = same_images(last, 4 * last.batch) if name == "four times the batch" else last
    if name == "eq. (5) from the start":
        both = [*before, last]
        iterations = sum(stage.iterations * stage.batch for stage in both) // last.batch
        drop_at = round(iterations * last.drop_at / last.iterations)
        rate, warmup = both[0].learning_rate, both[0].warmup
        return [
            replace(last, iterations=iterations, drop_at=drop_at, learning_rate=rate, warmup=warmup)
        ]
    return [*before, last]
