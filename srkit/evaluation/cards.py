"""What each shipped network is: made of its checkpoint's own metadata and of results.json.

`python -m srkit models` shows it; there is no second place in which a number stands.
"""

from collections.abc import Iterator
from typing import Any

from srkit import paths
from srkit.evaluation import results
from srkit.evaluation.agreement import told
from srkit.evaluation.results import Row, metric_of
from srkit.files import sha256
from srkit.models import count_parameters
from srkit.paths import shipped
from srkit.weights import (
    SMALL,
    label,
    load_generator,
    read_checkpoint,
    small_path,
)

METRICS = ("PSNR", "SSIM", "FID")

LIMITS = """\
  It cannot know what the small picture does not show. {detail}
  Text that cannot be read and faces that cannot be recognised come out sharper, not truer: what
  it shows there is no evidence of anything.
  It was trained on clean bicubic reductions: noise and JPEG artefacts are enlarged as if they
  belonged to the picture.
"""

INVENTED = "Texture is invented to\n  look likely, and differs from the real one."
SMOOTHED = (
    "Trained for small squared\n  errors, it leaves unknown texture smooth rather than invent it."
)


def overview() -> str:
    """A line for each shipped network."""
    lines = []
    for name in shipped():
        generator, about = load_generator(paths.CHECKPOINTS / f"{name}.safetensors")
        size, training = count_parameters(generator) / 1e6, about["training"]
        lines.append(
            f"{name:24} {size:.2f} M parameters, {training['iterations']:,} updates of"
            f" {training['recipe']['name']}, its last stage, on {training['photographs']:,}"
            " photographs\n"
        )
    lines.append(f"{SMALL:24} the content network where VGG19 is absent\n")
    return "".join(lines) + "One of them in full: python -m srkit models NAME\n"


def cards(name: str) -> str:
    """The cards of a network, at every scale where none is named ("sr-ugan", "sr-ugan_x4").

    Raises ValueError where no such network is shipped.
    """
    if name == SMALL:
        return content_card()
    chosen = [one for one in shipped() if name in (one, one.rpartition("_x")[0])]
    if not chosen:
        raise ValueError(f"no shipped network {name!r}; accepted: {', '.join(shipped())}")
    return "\n".join(card(one) for one in chosen)


def card(name: str) -> str:
    """The card of one shipped checkpoint, such as "sr-ugan_x2"."""
    generator, about = load_generator(paths.CHECKPOINTS / f"{name}.safetensors")
    method, _, scale = name.rpartition("_x")
    training, stages = about["training"], list(stages_of(about["training"]))
    invents = any(stage["recipe"]["weights"]["adversarial"] for stage in stages)
    parts = [
        f"{label(method, None)}, {scale}x: {name}.safetensors, sha256 {about['sha256'][:12]}\n",
        f"Network: {count_parameters(generator) / 1e6:.2f} M parameters; {settings(about)}\n",
        f"Data: {training['data']}, {training['photographs']:,} photographs of"
        f" {training['classes']:,} classes\n",
        f"Trained: preset {training['preset']}, seed {training['seed']}, on {training['device']},"
        f" commit {training['commit']}\n",
        *(f"Stage {number}: {stage_line(stage)}\n" for number, stage in enumerate(stages, 1)),
        *measured(method, about["sha256"][:12]),
        "Limits:\n" + LIMITS.format(detail=INVENTED if invents else SMOOTHED),
    ]
    return "".join(parts)


def content_card() -> str:
    """The card of the small content network."""
    _, about, state = read_checkpoint(small_path())
    size = sum(value.numel() for value in state.values()) / 1e6
    digest = sha256(small_path())[:12]
    return (
        f"Small content network, in the place of VGG19: {small_path().name}, sha256 {digest}\n"
        f"Network: {size:.2f} M parameters; VGG19's form up to relu3_1\n"
        f"Taught by: {about['teacher']}\n"
        f"Data: {about['data']}, {about['photographs']:,} photographs\n"
        f"Trained: {about['iterations']:,} updates, seed {about['seed']}, commit"
        f" {about['commit']}\n"
        f"Agreement with its teacher on {about['held_out']}, beside what others have:\n"
        f"{told(about['agreement'])}"
    )


def settings(about: dict[str, Any]) -> str:
    """A generator's own settings: "blocks 8, width 32"."""
    kept = {k: v for k, v in about["settings"].items() if k not in ("model", "scale")}
    return ", ".join(f"{name} {value}" for name, value in kept.items())


def stages_of(training: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a checkpoint says of each stage of its training, the first one first."""
    if training.get("start"):
        yield from stages_of(training["start"])
    yield training


def stage_line(training: dict[str, Any]) -> str:
    """One stage: its recipe, how long it was, and what it minimised."""
    recipe = training["recipe"]
    losses = ", ".join(f"{name} {value:g}" for name, value in recipe["weights"].items() if value)
    start = f", from {recipe['start_from']}" if recipe["start_from"] else ""
    return (
        f"{recipe.get('name', recipe['model'])}, {training['iterations']:,} updates of"
        f" {recipe['batch']} crops of {recipe['crop']}x{recipe['crop']}, loss {losses}{start}"
    )


def measured(method: str, weights: str) -> list[str]:
    """A line for each set of photographs that results.json has these weights measured on."""
    try:
        rows = results.load(paths.root() / "figures" / "results.json")
    except FileNotFoundError:
        return ["Measured: the numbers are in a clone's figures/results.json\n"]
    rows = results.select(rows, stage="evaluate", source="measured")
    mine = [row for row in rows if row.get("weights") == weights]
    places = dict.fromkeys((r["method"], r["dataset"], r["n"], r["scale"]) for r in mine)
    lines = []
    for name, dataset, n, scale in places:
        where = {"dataset": dataset, "n": n, "scale": scale}
        numbers = [number(row, rows) for row in results.select(mine, method=name, **where)]
        how = "" if name == method else f" ({label(name, None)})"
        shown = "; ".join(sorted(filter(None, numbers)))
        lines.append(f"Measured at {scale}x{how} on {dataset}, N = {n:,}: {shown}\n")
    return lines


def number(row: Row, rows: list[Row]) -> str:
    """A row's value beside bicubic's of the same: "PSNR 34.72 (bicubic 33.64)"."""
    if metric_of(row["metric"]).name not in METRICS:
        return ""
    digits = metric_of(row["metric"]).digits
    same = {name: row.get(name) for name in ("dataset", "n", "scale", "metric", "protocol")}
    base = results.value(rows, method="bicubic", **same)
    beside = f" (bicubic {base:{digits}})" if base is not None else ""
    return f"{row['metric']} {row['value']:{digits}}{beside}"
