"""Recipes: the report's and Ledig's to the letter, the named ones, and what is refused."""

import itertools
from dataclasses import asdict, replace

import pytest

from srkit.losses import Weights
from srkit.models import build_discriminator
from srkit.paths import PRESETS
from srkit.training.recipe import Recipe
from srkit.training.recipes import LARGE_BATCH, RECIPES, recipe, same_images, stages, start_of

MODELS = ("srresnet", "srgan", "sr-ugan")
TWICE = [name for name in RECIPES if not name.endswith("-4x")]


# --- To the letter -------------------------------------------------------------------------------


def test_the_paper_s_recipe_is_the_report_s():
    plan = recipe("sr-ugan", "paper")
    assert (plan.per_class, plan.crop, plan.batch, plan.scale) == (180, 256, 3, 2)
    assert plan.short_side == 256 and plan.lr_filter == "bicubic"
    assert plan.iterations == 200_000 and plan.iterations * plan.batch == 600_000
    assert plan.learning_rate_at(0) == plan.learning_rate_at(99_999) == 1e-4
    assert plan.learning_rate_at(100_000) == plan.learning_rate_at(199_999) == 1e-5
    assert (plan.blocks, plan.width) == (8, 64)  # B = 8, twice
    assert plan.weights == Weights(1.0, 1.0, 1e-3)  # Eq. (5)
    assert plan.class_loss and not plan.quick_start and not plan.start_from
    assert plan.discriminator_kind == "sr-ugan"
    assert (plan.precision, plan.accumulate, plan.compile) == ("fp32", 1, False)
    assert replace(Recipe(), per_class=180, short_side=256) == plan


@pytest.mark.parametrize("scale", [2, 4])
def test_srresnet_and_srgan_are_ledig_s(scale):
    start, plan = recipe("srresnet", "paper", scale), recipe("srgan", "paper", scale)
    for each in (start, plan):
        assert (each.crop, each.batch, each.per_class, each.short_side) == (96, 16, None, None)
        assert (each.blocks, each.width, each.betas[0]) == (16, 64, 0.9)
        assert each.discriminator_kind == "srgan" and not each.class_loss
    assert start.weights == Weights(1.0, 0.0, 0.0)
    assert start.iterations == 1_000_000
    assert start.learning_rate_at(0) == start.learning_rate_at(999_999) == 1e-4  # no drop
    falling = recipe("srgan", "paper", schedule="cosine", learning_rate=2.0)
    at = [falling.learning_rate_at(step) for step in (0, 50_000, 100_000, 200_000)]
    assert at == pytest.approx([2, 1 + 0.5**0.5, 1, 0])
    rising = recipe("srgan", "paper", warmup=4, learning_rate=2.0)
    assert [rising.learning_rate_at(step) for step in range(5)] == [0.5, 1, 1.5, 2, 2]
    again = replace(rising, discriminator_alone=5)  # and once more when the generator begins
    assert [again.learning_rate_at(step) for step in range(10)] == [0.5, 1, 1.5, 2, 2] * 2
    assert plan.weights == Weights(0.0, 1.0, 1e-3)
    assert plan.iterations == 200_000
    assert plan.learning_rate_at(99_999) == 1e-4 and plan.learning_rate_at(100_000) == 1e-5
    assert start_of(plan.name, "paper") == start.name and start_of(start.name, "paper") == ""


def test_what_the_author_s_later_code_has_is_off_in_every_recipe():
    for name in RECIPES:
        for preset in PRESETS:
            plan = recipe(name, preset)
            assert plan.lr_filter == "bicubic" and plan.weights.classes == 0
    later = recipe("sr-ugan", weights=Weights(classes=1e-3), lr_filter="lanczos", ema=0.99)
    assert (later.weights.classes, later.weights.mse, later.ema) == (1e-3, 1.0, 0.99)


# --- The named ones ------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_the_same_protocol_is_sr_ugan_s(preset):
    theirs = asdict(recipe("sr-ugan", preset))
    own = {"name", "model", "blocks", "weights", "class_loss"}
    for model in ("srresnet", "srgan"):
        ours = asdict(recipe(f"{model}-same-protocol", preset))
        assert {name for name in ours if ours[name] != theirs[name]} <= own | {"width"}
        plain = recipe(model, preset)  # the network and the losses are its model's
        same = own - {"name"} | {"width", "wide", "unet", "content_layer"}
        assert {key: ours[key] for key in same} == {key: asdict(plain)[key] for key in same}
    assert start_of("srgan-same-protocol", preset) == "srresnet-same-protocol"


@pytest.mark.parametrize("preset", PRESETS)
def test_the_large_batch_sees_the_same_images(preset):
    small, large = recipe("sr-ugan", preset), recipe("sr-ugan-large-batch", preset)
    assert large.batch == LARGE_BATCH[preset]
    assert large.iterations * large.batch == small.iterations * small.batch
    assert large.drop_at * large.batch == small.drop_at * small.batch
    ratio = large.batch / small.batch
    assert large.learning_rate == pytest.approx(small.learning_rate * ratio**0.5, rel=1e-12)
    assert large.ema == pytest.approx(small.ema**ratio, rel=1e-12)
    changed = {"name", "batch", "iterations", "drop_at", "learning_rate", "ema", "precision"}
    assert {k for k, v in vars(large).items() if v != vars(small)[k]} <= changed


def test_the_large_batch_of_the_paper():
    plan = recipe("sr-ugan-large-batch")
    assert (plan.batch, plan.iterations, plan.drop_at) == (32, 18_750, 9_375)
    assert plan.learning_rate == pytest.approx(3.266e-4, rel=1e-4)  # 1e-4 * sqrt(32 / 3)
    assert plan.precision == "bf16"


def test_same_images_and_back_is_the_same_recipe():
    plan = recipe("sr-ugan", "gpu")
    back = same_images(same_images(plan, 64), 16)
    assert back.learning_rate == pytest.approx(plan.learning_rate)
    assert back.ema == pytest.approx(plan.ema)
    assert replace(back, learning_rate=plan.learning_rate, ema=plan.ema) == plan


def test_modern_differs_by_its_discriminator_and_betas():
    plan, report = recipe("modern"), recipe("sr-ugan")
    assert (plan.discriminator_kind, plan.betas, plan.ema) == ("unet", (0.9, 0.99), 0.999)
    changed = {"name", "discriminator", "class_loss", "betas"}
    assert {k for k, v in vars(plan).items() if v != vars(report)[k]} == changed


@pytest.mark.parametrize("name", TWICE)
@pytest.mark.parametrize("preset", PRESETS)
def test_native_4x_of_each_differs_in_scale_alone(name, preset):
    four = recipe(f"{name}-4x", preset)
    assert four == recipe(name, preset, 4) and four.scale == 4
    assert replace(four, name=name, scale=2) == recipe(name, preset) == recipe(name, preset, 2)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_recipe_is_consistent_in_every_preset(name, preset):
    plan = recipe(name, preset)
    assert plan.name == name and plan.model in MODELS
    assert plan.crop % plan.scale == 0 and plan.watch_crop % plan.scale == 0
    assert 0 < plan.drop_at <= plan.iterations
    assert plan.checkpoint_every % plan.log_every == 0  # checkpoints are at logged steps
    assert plan.samples(plan.iterations) and plan.logs(plan.iterations)


def test_the_start_of_a_recipe_fits_it():
    for name in RECIPES:
        for preset in PRESETS:
            for before, after in itertools.pairwise(stages(name, preset)):
                kept = {"model": after.model, "scale": after.scale}
                assert before.settings() | kept == after.settings()
                assert before.scale <= after.scale and before.weights == Weights(1.0, 0.0, 0.0)


def test_the_stages_of_a_recipe_by_preset():
    def names(*which):
        return [plan.name for plan in stages(*which)]

    assert names("sr-ugan", "paper") == ["sr-ugan"]  # Eq. (5) from the start, as in the report
    assert names("sr-ugan", "cpu") == ["sr-ugan-mse", "sr-ugan"]
    assert names("srgan", "paper", 4) == ["srresnet-4x", "srgan-4x"]
    assert names("srgan", "gpu", 4) == ["srresnet", "srresnet-4x", "srgan-4x"]
    assert names("modern", "cpu", 4) == ["sr-ugan-mse", "sr-ugan-mse-4x", "modern-4x"]


def test_changes_of_what_a_stage_minimises_are_the_last_stage_s_alone():
    changes = {"iterations": 7, "weights.adversarial": 3e-3, "width": 8, "seed": 4}
    first, last = stages("sr-ugan", "cpu", **changes)
    assert (last.iterations, last.weights.adversarial, last.width, last.seed) == (7, 3e-3, 8, 4)
    assert (first.width, first.seed) == (8, 4)
    assert first.iterations == recipe("sr-ugan-mse", "cpu").iterations
    assert first.weights == Weights(1.0, 0.0, 0.0)
    first, last = stages("sr-ugan", "cpu", before={"iterations": 5}, batch=4)
    assert (first.iterations, last.iterations) == (5, recipe("sr-ugan", "cpu").iterations)
    assert (first.batch, last.batch) == (recipe("sr-ugan-mse", "cpu").batch, 4)
    first, last = stages("sr-ugan", "cpu", discriminator_rate=2.0, discriminator_alone=9)
    assert (last.discriminator_rate, last.discriminator_alone) == (2.0, 9)
    assert (first.discriminator_rate, first.discriminator_alone) == (1.0, 0)


@pytest.mark.parametrize("preset", ["smoke", "demo", "laptop"])
def test_the_models_reduced_presets_train_as_before(preset):
    # crop, batch, iterations, drop, learning rate, EMA: what checkpoints and notebooks rest on
    common = {
        "smoke": (32, 2, 6, 4, 1e-3, 0.9),
        "demo": (32, 16, 240, 160, 1e-3, 0.95),
        "laptop": (64, 8, 3_000, 2_400, 4e-4, 0.995),
    }
    own = {
        ("laptop", "srresnet"): (64, 8, 5_000, 4_000, 1e-3, 0.995),
        ("laptop", "srgan"): (64, 8, 1_200, 900, 1e-4, 0.995),
        ("demo", "srgan"): (32, 16, 240, 160, 2e-4, 0.95),
    }
    for model in MODELS:
        p = recipe(model, preset, 2)
        found = (p.crop, p.batch, p.iterations, p.drop_at, p.learning_rate, p.ema)
        assert found == own.get((preset, model), common[preset])


# --- Changes and refusals ------------------------------------------------------------------------


def test_the_drop_keeps_its_place_when_the_length_changes():
    assert recipe("sr-ugan", "paper", iterations=50).drop_at == 25
    assert recipe("sr-ugan", "paper", iterations=50, drop_at=7).drop_at == 7
    assert recipe("srresnet", "paper", iterations=50).drop_at == 50  # none


def test_samples_and_logs_come_when_the_recipe_says():
    plan = recipe(
        "srresnet",
        "smoke",
        iterations=20,
        sample_every=8,
        sample_at=(1, 3),
        log_every=5,
        checkpoint_every=9,
    )
    assert [n for n in range(1, 21) if plan.samples(n)] == [1, 3, 8, 16, 20]
    assert [n for n in range(1, 21) if plan.saves(n)] == [9, 18]
    assert [n for n in range(1, 21) if plan.logs(n)] == [1, 3, 5, 8, 9, 10, 15, 16, 18, 20]


def test_unknown_names_presets_and_fields_are_refused():
    with pytest.raises(ValueError, match=r"accepted: srresnet, srgan, sr-ugan, .*modern-4x"):
        recipe("esrgan")
    with pytest.raises(ValueError, match="smoke, demo"):
        recipe("srgan", "huge")
    with pytest.raises(TypeError, match="momentum"):
        recipe("srgan", "smoke", momentum=0.9)
    with pytest.raises(ValueError, match="2 or 4, not 3"):
        recipe("srgan", "smoke", 3)
    with pytest.raises(ValueError, match="sr-ugan-4x is for 4x, not 2x"):
        recipe("sr-ugan-4x", "smoke", 2)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"model": "esrgan"}, "unknown model 'esrgan'; accepted: srresnet"),
        ({"discriminator": "patch"}, "discriminator 'patch'; accepted: \"\", srgan, sr-ugan, unet"),
        ({"lr_filter": "box"}, "unknown lr_filter 'box'; accepted: bicubic, lanczos"),
        ({"precision": "fp16"}, "unknown precision 'fp16'; accepted: auto, fp32, bf16"),
        ({"accumulate": 17}, "accumulate must be 1 to 16, the batch: 17"),
        ({"accumulate": 0}, "accumulate must be 1 or more, not 0"),
        ({"batch": 0}, "batch must be 1 or more, not 0"),
        ({"crop": 33}, "crop must be a multiple of the scale 2, not 33"),
        ({"scale": 8}, "2 or 4, not 8"),
        ({"discriminator": "unet"}, "class_loss needs the discriminator sr-ugan, unet has no"),
        ({"class_loss": False, "weights": Weights(classes=1e-3)}, "classes needs class_loss"),
    ],
)
def test_fields_that_do_not_fit_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        replace(recipe("sr-ugan", "demo"), **changes)


@pytest.mark.parametrize("kind", ["", "srgan", "sr-ugan", "unet"])
@pytest.mark.parametrize("model", MODELS)
def test_any_model_may_have_any_discriminator(model, kind):
    plan = recipe(model, "smoke", discriminator=kind, class_loss=False)
    expected = kind or ("sr-ugan" if model == "sr-ugan" else "srgan")
    assert plan.discriminator_kind == expected
    build_discriminator(plan.discriminator_kind, 3, plan.discriminator_width)
