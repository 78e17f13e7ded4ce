"""A recipe: what a field may be."""

import pytest

from srkit.losses import Weights
from srkit.training.recipes import recipe

# --- What is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("betas", (0.9,)),
        ("betas", ("a", "b")),
        ("unet", ("a",)),
        ("unet", (0, 8)),
        ("blocks", 0),
        ("ema", 2.0),
        ("drop_at", -5),
        ("per_class", 0),
        ("short_side", 0),
        ("seed", -1),
        ("watch_crop", 33),
        ("blocks", 65),
        ("width", 1025),
        ("wide", 10**9),
        ("learning_rate", float("inf")),
        ("learning_rate", float("nan")),
        ("learning_rate", -1e-4),
        ("content_scale", float("nan")),
        ("unet", (8,) * 9),
        ("attention", 1),
        ("weights", Weights(mse=-1.0)),
        ("weights", Weights(adversarial=float("inf"))),
    ],
)
def test_a_field_that_makes_no_sense_is_named(field, value):
    with pytest.raises(ValueError, match=field):
        recipe("sr-ugan", "smoke", **{field: value})
