"""What the report, and Ledig et al. (2016), say of their trainings: laid beside a recipe of ours.

Each statement comes with its place. In quotation marks are the report's own words.
"""

from srkit.training.recipe import Recipe
from srkit.training.recipes import STARTS, start_of

Said = dict[str, tuple[str, str]]  # topic -> (statement, place)
NOT_STATED = ("not stated", "–")

REPORT: Said = {
    "lr": ('"down-sampled by a factor of 2x", "bi-cubic interpolation"', "section 3"),
    "crop": (
        '"all HR downsampled to 256x256 pixels and LR downsampled to 128x128 pixels"',
        "section 4.3",
    ),
    "photographs": ('"a training dataset of 180,000 images", some 180 a class', "section 4.3"),
    "batch": (
        '"a batch size of 3 was the largest size possible"; wished for: "ideally > 32"',
        "sections 4.3, 7",
    ),
    "length": ("200,000 updates, so 600,000 crops", "sections 4.3, 5"),
    "rate": ("1e-4 for 100,000 updates, 1e-5 for another 100,000", "section 5"),
    "optimiser": ('"the Adam optimization algorithm"; betas not stated', "section 5"),
    "content": ('VGG19, "the i-th convolutional layer"; which one is not stated', "section 2.1"),
}

NATIVE_4X = ('"native 4x up-scaling needs to be tested"', "section 7")

# Where the report treats the models apart.
REPORT_BY_MODEL: dict[str, Said] = {
    "sr-ugan": {
        "network": (
            '"totalling to 16 dense blocks", half of them at "a higher feature size" (not given)',
            "Figure 2, section 4.2",
        ),
        "generator": ("MSE + content + 0.001 adversarial", "Eq. (5)"),
        "discriminator": (
            '"minimize both the validity loss and the class loss in parallel"',
            "Eq. (8)",
        ),
        "classes": ('"The generator is not trained directly on these labels"', "section 4.2"),
    },
    "srgan": {
        "network": ("B residual blocks of width 64", "Figure 1"),
        "generator": ("content + 0.001 adversarial", "Eq. (4)"),
        "discriminator": ('"simply just the validity loss"', "section 4.2.4"),
    },
    "srresnet": {
        "network": ("B residual blocks of width 64", "Figure 1"),
        "generator": ("MSE is defined; no training on it alone", "Eq. (1)"),
    },
}

# Ledig et al., the source of the recipes "srresnet" and "srgan".
LEDIG: Said = {
    "lr": ("4x, bicubic", "section 3.2"),
    "network": ("16 residual blocks of width 64", "section 3.2"),
    "crop": ("random HR crops of 96x96", "section 3.2"),
    "photographs": ("350,000 of ImageNet", "section 3.2"),
    "batch": ("16", "section 3.2"),
    "optimiser": ("Adam, beta1 = 0.9", "section 3.2"),
}

LEDIG_BY_MODEL: dict[str, Said] = {
    "srresnet": {
        "length": ("1,000,000 updates, so 16,000,000 crops", "section 3.2"),
        "rate": ("1e-4", "section 3.2"),
        "generator": ("MSE", "section 3.2"),
    },
    "srgan": {
        "length": ("200,000 updates, so 3,200,000 crops", "section 3.2"),
        "rate": ("1e-4 for 100,000 updates, 1e-5 for another 100,000", "section 3.2"),
        "generator": ("content + 0.001 adversarial", "section 2.2"),
        "content": ("VGG54 (relu5_4), features / 12.75", "sections 2.2.1, 3.2"),
        "discriminator": ("eight convolutions, two dense layers; validity", "section 2.1"),
        "start": ("the trained SRResNet", "section 3.2"),
    },
}


def beside_the_report(plan: Recipe) -> list[tuple[str, str, str]]:
    """What a recipe does, what its source says about it, and where: rows of a table.

    The source is the report, and for the recipes "srresnet" and "srgan" Ledig et al. (2016).
    """
    if plan.name.removesuffix("-4x") in LEDIG_BY_MODEL:
        said, source = LEDIG | LEDIG_BY_MODEL[plan.model], "Ledig et al., "
    else:
        said, source = REPORT | REPORT_BY_MODEL[plan.model], ""
        said |= {"lr": NATIVE_4X} if plan.scale == 4 else {}
    rows = []
    for topic, ours in summary(plan).items():
        what, where = said.get(topic, NOT_STATED)
        rows.append((ours, what, where if where == NOT_STATED[1] else source + where))
    return rows


def summary(plan: Recipe) -> dict[str, str]:
    """A recipe in a dozen short lines, by topic."""
    lines = data_lines(plan) | optimiser_lines(plan) | loss_lines(plan)
    start = "fresh weights, quick_start" if plan.quick_start else "fresh weights"
    if plan.start_from:
        start = "a trained generator"
    elif plan.name.removesuffix("-4x") in STARTS:
        start += f"; start_from takes a generator of {start_of(plan.name, 'paper')}"
    filters = {"bicubic": "antialiased bicubic", "lanczos": "Lanczos"}
    network = f"{plan.blocks} residual blocks of width {plan.width}"
    if plan.model == "sr-ugan":
        widths = "-".join(map(str, plan.unet))
        network = f"U-Net {widths}, {plan.blocks} dense blocks of width {plan.wide}, "
        network += f"{plan.blocks} of {plan.width}"
    return {
        "network": network,
        "start": f"start: {start}",
        "lr": f"{plan.scale}x, {filters[plan.lr_filter]}",
        **lines,
        "ema": f"EMA of the generator, decay {plan.ema:.4g}",
        "precision": plan.precision + (", compiled" if plan.compile else ""),
    }


def data_lines(plan: Recipe) -> dict[str, str]:
    """What is seen, and how much of it."""
    small = plan.crop // plan.scale
    count = f"{plan.per_class} photographs a class" if plan.per_class else "all photographs"
    size = f"shorter side {plan.short_side}" if plan.short_side else "at their own size"
    parts = f", in {plan.accumulate} parts" if plan.accumulate > 1 else ""
    return {
        "crop": f"random HR crops of {plan.crop}x{plan.crop}, LR {small}x{small}",
        "photographs": f"{count}, {size}",
        "batch": f"batch {plan.batch}{parts}",
        "length": f"{plan.iterations:,} updates, {plan.iterations * plan.batch:,} crops",
    }


def optimiser_lines(plan: Recipe) -> dict[str, str]:
    """Adam and its learning rate."""
    rate = f"learning rate {plan.learning_rate:.4g}"
    if plan.warmup:
        rate += f", reached in {plan.warmup:,} updates"
    if plan.schedule == "cosine":
        rate += ", falling to 0 along half a cosine"
    elif plan.drop_at < plan.iterations:
        rate += f" for {plan.drop_at:,} updates, then {plan.learning_rate / 10:.4g}"
    if plan.discriminator_rate != 1:
        rate += f", {plan.discriminator_rate:g} times that for the discriminator"
    return {"rate": rate, "optimiser": f"Adam, betas {plan.betas[0]:g} and {plan.betas[1]:g}"}


def loss_lines(plan: Recipe) -> dict[str, str]:
    """The losses, their weights, and who judges."""
    weights = plan.weights
    terms = {"MSE": weights.mse, "content": weights.content, "adversarial": weights.adversarial}
    named = [name if weight == 1 else f"{weight:g} {name}" for name, weight in terms.items()]
    present = [line for line, weight in zip(named, terms.values(), strict=True) if weight]
    judges = {
        "srgan": "SRGAN's: validity",
        "sr-ugan": "SR-UGAN's: validity" + (" and class" if plan.class_loss else ""),
        "unet": "U-Net: validity of each pixel",
    }
    layer = plan.content_layer or "relu5_4, or the deepest that the file reaches"
    lines = {"generator": f"generator: {' + '.join(present)}"}
    if weights.content:
        lines["content"] = f"content: VGG19 {layer}"
        if plan.shift:
            lines["content"] += f", SR and HR moved alike by 0 to {plan.shift} pixels"
    if weights.adversarial or weights.classes:
        lines["discriminator"] = f"discriminator: {judges[plan.discriminator_kind]}"
        if plan.discriminator_alone:
            lines["discriminator"] += f", alone for the first {plan.discriminator_alone:,} updates"
    if plan.model == "sr-ugan":
        into = f"{weights.classes:g} of it" if weights.classes else "none"
        lines["classes"] = f"class loss into the generator: {into}"
    return lines
