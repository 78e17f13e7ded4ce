"""Training: one step, one loop, checkpoints and resume (the report's sections 4.3 and 5)."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from srkit import losses, models
from srkit.data import Photos, bicubic_lr, denorm, to_image
from srkit.metrics import psnr
from srkit.pairs import Pairs, centre_crops
from srkit.recipes import Recipe
from srkit.weights import build_generator, load_generator, load_state, save_generator


class TrainingError(RuntimeError):
    """A run that cannot start, resume or go on; the message says why and what to do."""


def pick_device(device: str = "auto") -> torch.device:
    """ "auto" is the GPU where there is one, else the CPU. Raises ValueError where there is none of
    that name."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"no CUDA device for {device!r}; use auto or cpu")
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"unknown device {device!r}; accepted: auto, cpu, cuda") from error


@dataclass
class State:
    """All that a run changes, and the fixed networks that it needs."""

    recipe: Recipe
    device: torch.device
    generator: nn.Module
    ema: nn.Module
    generator_optimiser: torch.optim.Optimizer
    content: losses.ContentLoss | None = None
    discriminator: nn.Module | None = None
    discriminator_optimiser: torch.optim.Optimizer | None = None
    step: int = 0  # updates done
    key: str = ""  # of `run_key`; set by `train`


def start(recipe: Recipe, classes: int, content: str = "auto", device: str = "auto") -> State:
    """Fresh networks and optimisers for a recipe; the weights depend on its seed alone.

    `content` is the VGG19 to use (see `srkit.weights.load_vgg19`). With `recipe.start_from` the
    generator starts from that checkpoint, as SRGAN does from SRResNet.
    """
    where = pick_device(device)
    torch.manual_seed(recipe.seed)
    generator = build_generator(recipe.settings())
    if recipe.quick_start:
        models.quick_start(generator)
    if recipe.start_from:
        model = "srresnet" if recipe.model == "srgan" else recipe.model
        trained, _ = load_generator(recipe.start_from, model, recipe.scale)
        try:
            generator.load_state_dict(trained.state_dict())
        except RuntimeError as error:
            what = " ".join(str(error).split())
            raise TrainingError(
                f"{recipe.start_from} has another width or depth than this recipe: {what}"
            ) from error
    generator = generator.to(where).to(memory_format=torch.channels_last)

    def adam(network: nn.Module) -> torch.optim.Adam:
        return torch.optim.Adam(network.parameters(), recipe.learning_rate, betas=recipe.betas)

    ema = deepcopy(generator).eval().requires_grad_(False)
    state = State(recipe, where, generator, ema, adam(generator))
    if recipe.weights.content:
        state.content = losses.ContentLoss(
            content, recipe.content_layer or None, recipe.content_scale
        ).to(where)
    if recipe.weights.adversarial:
        width = recipe.discriminator_width
        network: nn.Module = (
            models.SRUGANDiscriminator(classes, width)
            if recipe.model == "sr-ugan"
            else models.SRGANDiscriminator(width)
        )
        state.discriminator = network.to(where).to(memory_format=torch.channels_last)
        state.discriminator_optimiser = adam(network)
    return state


# --- One step ------------------------------------------------------------------------------------


def train_step(state: State, lr: Tensor, hr: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Update discriminator and generator once each, 1:1, from one generator forward.

    Shape: lr (B, 3, h, w) in [0, 1], hr (B, 3, H, W) in [-1, 1], labels (B,).
    Returns every loss term, and D(real) and D(fake) as probabilities, detached.
    """
    set_learning_rate(state)
    state.generator.train()
    sr = state.generator(lr)  # (B, 3, H, W)
    log: dict[str, Tensor] = {}
    if state.discriminator is not None:
        log |= discriminator_step(state, sr.detach(), hr, labels)
    log |= generator_step(state, sr, hr)
    state.step += 1
    update_ema(state.ema, state.generator, state.step, state.recipe.ema)
    return {name: value.detach() for name, value in log.items()}


def judge(discriminator: nn.Module, image: Tensor) -> tuple[Tensor, Tensor | None]:
    """Validity logits, and class logits where the discriminator has a class head."""
    out = discriminator(image)
    return out if isinstance(out, tuple) else (out, None)


def discriminator_step(state: State, sr: Tensor, hr: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """One update of the discriminator on Eq. (8); `sr` carries no graph."""
    network, optimiser = state.discriminator, state.discriminator_optimiser
    assert network is not None and optimiser is not None
    network.requires_grad_(True)
    validity_hr, class_logits = judge(network, hr)
    validity_sr, _ = judge(network, sr)
    if class_logits is not None and state.recipe.class_loss:
        log = losses.discriminator_loss(validity_hr, validity_sr, class_logits, labels)
    else:
        log = losses.discriminator_loss(validity_hr, validity_sr)
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(log.values())).sum().backward()
    optimiser.step()
    log["d_real"] = torch.sigmoid(validity_hr).mean()
    log["d_fake"] = torch.sigmoid(validity_sr).mean()
    return log


def generator_step(state: State, sr: Tensor, hr: Tensor) -> dict[str, Tensor]:
    """One update of the generator on Eq. (4), (5) or MSE alone, with the discriminator frozen."""
    weights = state.recipe.weights
    log: dict[str, Tensor] = {}
    if weights.mse:
        log["mse"] = losses.mse_loss(sr, hr)
    if state.content is not None:
        log["content"] = state.content(sr, hr)
    if state.discriminator is not None:
        state.discriminator.requires_grad_(False)
        log["adversarial"] = losses.adversarial_loss(judge(state.discriminator, sr)[0])
    loss = losses.weighted_sum(log, weights)
    state.generator_optimiser.zero_grad(set_to_none=True)
    loss.backward()
    state.generator_optimiser.step()
    return log | {"generator": loss}


def set_learning_rate(state: State) -> None:
    """The recipe's learning rate of the coming update: a function of the step alone."""
    for optimiser in (state.generator_optimiser, state.discriminator_optimiser):
        for group in optimiser.param_groups if optimiser else []:
            group["lr"] = state.recipe.learning_rate_at(state.step)


@torch.no_grad()
def update_ema(ema: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    """Exponential moving average of a model, BatchNorm's statistics included.

    The decay grows from 2/11 towards `decay`, so that early averages forget the random start.
    """
    decay = min(decay, (1 + step) / (10 + step))
    for average, value in zip(ema.state_dict().values(), model.state_dict().values(), strict=True):
        if average.is_floating_point():
            average.lerp_(value, 1 - decay)
        else:
            average.copy_(value)


@torch.no_grad()
def validate(generator: nn.Module, hr: Tensor, scale: int) -> tuple[float, Tensor]:
    """Mean PSNR (Y, border `scale`) on held-out crops, and the predictions.

    Shape: hr (N, 3, H, W) in [0, 1] -> dB, (N, 3, H, W) in [0, 1].
    """
    device = next(generator.parameters()).device
    training = generator.training
    generator.eval()
    lr = bicubic_lr(hr, scale)
    sr = torch.cat([denorm(generator(one[None].to(device))).cpu() for one in lr])
    generator.train(training)
    values = [psnr(a, b, "y", scale) for a, b in zip(sr, hr, strict=True)]
    return sum(values) / len(values), sr


# --- The loop ------------------------------------------------------------------------------------


def train(
    recipe: Recipe,
    photos: Photos,
    held_out: Photos,
    out: str | Path,
    content: str = "auto",
    device: str = "auto",
    workers: int = 0,
    metadata: dict[str, Any] | None = None,
    on_sample: Callable[[State, dict[str, Any], Tensor], None] | None = None,
) -> Path:
    """Run a recipe to its end, or on from where it stopped; returns the generator's checkpoint.

    Into the folder `out` go `log.jsonl` (a line every `recipe.log_every` steps), `samples/` (a
    held-out crop over time), `checkpoint.pt` (to resume from) and `generator.safetensors` (the
    EMA generator). `on_sample(state, row, sr)` is called at every validation. Ctrl-C saves first.
    """
    out = Path(out)
    (out / "samples").mkdir(parents=True, exist_ok=True)
    state = start(recipe, len(photos.classes), content, device)
    state.key = run_key(state, photos)
    resume(state, out)
    pairs = Pairs(photos, recipe.scale, recipe.crop, recipe.iterations * recipe.batch, recipe.seed)
    watched = centre_crops(held_out, recipe.watch_crop, recipe.watch)
    kept = int(watched.diff(dim=-1).abs().mean((1, 2, 3)).argmax())  # the most detailed crop
    to_image(watched[kept]).save(out / "held_out.png")
    generator_path = out / "generator.safetensors"
    began = time.perf_counter()

    def save() -> None:
        save_checkpoint(state, out / "checkpoint.pt", photos)
        facts = describe(state, photos) | (metadata or {})
        save_generator(generator_path, state.ema, recipe.settings(), facts)

    rest = Subset(pairs, range(state.step * recipe.batch, len(pairs)))
    loader = DataLoader(rest, recipe.batch, num_workers=workers, persistent_workers=workers > 0)
    bar = tqdm(total=recipe.iterations, initial=state.step, disable=None, unit="step")
    with (out / "log.jsonl").open("a") as log_file, bar:
        try:
            for lr, hr, labels in loader:
                log = train_step(state, *to_device(state, lr, hr), labels.to(state.device))
                bar.update()
                if not recipe.logs(state.step):
                    continue
                row = log_row(state, log, time.perf_counter() - began)
                if recipe.samples(state.step):
                    row["psnr_raw"], _ = validate(state.generator, watched, recipe.scale)
                    row["psnr"], sr = validate(state.ema, watched, recipe.scale)
                    to_image(sr[kept]).save(out / "samples" / f"step_{state.step:07d}.png")
                log_file.write(json.dumps(row) + "\n")
                log_file.flush()
                if on_sample and recipe.samples(state.step):
                    on_sample(state, row, sr)
                if state.step % recipe.checkpoint_every == 0:
                    save()
        except KeyboardInterrupt:
            save()
            print(f"stopped at step {state.step} and saved; the same command goes on from there")
            raise
    save()
    return generator_path


def to_device(state: State, lr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
    """Both on the run's device, channels last."""
    lr, hr = (x.to(state.device, non_blocking=True) for x in (lr, hr))
    return lr.to(memory_format=torch.channels_last), hr.to(memory_format=torch.channels_last)


def log_row(state: State, log: dict[str, Tensor], seconds: float) -> dict[str, Any]:
    """One line of log.jsonl. Raises TrainingError naming the first term that is not finite."""
    row: dict[str, Any] = {"step": state.step, "images": state.step * state.recipe.batch}
    for name, value in log.items():
        row[name] = float(value)
        if not torch.isfinite(value):
            raise TrainingError(f"{name} is {float(value)} at step {state.step}")
    row["learning_rate"] = state.recipe.learning_rate_at(state.step - 1)
    row["seconds"] = round(seconds, 3)
    return row


def describe(state: State, photos: Photos) -> dict[str, Any]:
    """What a checkpoint says of its own training."""
    recipe = state.recipe
    settings, start = asdict(recipe), None
    if recipe.start_from:  # which checkpoint, not where somebody keeps it
        trained = load_generator(recipe.start_from)[1]
        start = trained["training"]
        settings["start_from"] = f"{trained['settings']['model']}, sha256 {trained['sha256'][:12]}"
    return {
        "key": state.key,
        "content": state.content.name if state.content else "none",
        "recipe": settings,
        "start": start,  # the training that this one went on from
        "data": photos.name,
        "photographs": len(photos),
        "classes": len(photos.classes),
        "iterations": state.step,
        "images_seen": state.step * recipe.batch,
        "seed": recipe.seed,
        "device": str(state.device),
        "torch": torch.__version__,
    }


def run_key(state: State, photos: Photos) -> str:
    """A hash of all that decides a run's outcome: recipe, content network and photographs."""
    facts = describe(state, photos)
    items = [
        f"{i.parent.name}/{i.name} {i.stat().st_size}" if isinstance(i, Path) else i.tobytes().hex()
        for i in photos.items
    ]
    parts = [facts["recipe"], facts["content"], photos.short_side, *photos.labels, *items]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


# --- Checkpoints ---------------------------------------------------------------------------------

PARTS = ("generator", "ema", "discriminator", "generator_optimiser", "discriminator_optimiser")


def save_checkpoint(state: State, path: Path, photos: Photos) -> None:
    """All that a run needs to go on, written aside and then renamed."""
    parts = {name: getattr(state, name) for name in PARTS}
    content = {name: part.state_dict() for name, part in parts.items() if part is not None}
    content |= {"step": state.step, "key": state.key, "recipe": asdict(state.recipe)}
    content |= {"data": photos.name}
    aside = path.with_name(path.name + ".part")
    torch.save(content, aside)
    os.replace(aside, path)


def resume(state: State, out: Path) -> None:
    """Load `out/checkpoint.pt` into a fresh state where there is one, and cut the log to it.

    Raises TrainingError where it was made with other settings, naming the first difference.
    """
    path = out / "checkpoint.pt"
    if not path.is_file():
        for left in (out / "log.jsonl", *out.glob("samples/step_*.png")):
            left.unlink(missing_ok=True)
        return
    saved: dict[str, Any] = load_state(path)
    now, then = asdict(state.recipe), saved["recipe"]
    for name in now:
        if json.dumps(now[name]) != json.dumps(then.get(name)):
            raise TrainingError(
                f"{path} was made with {name} = {then.get(name)}, this run has {now[name]};"
                " use the same settings or another output folder"
            )
    if state.key and saved.get("key") != state.key:
        raise TrainingError(
            f"{path} was made on other photographs ({saved['data']}) or with another VGG19"
        )
    for name in PARTS:
        part = getattr(state, name)
        if part is not None:
            part.load_state_dict(saved[name])
    state.step = saved["step"]
    log = out / "log.jsonl"
    if log.is_file():
        lines = [line for line in log.read_text().splitlines() if line.endswith("}")]
        kept = [line for line in lines if json.loads(line)["step"] <= state.step]
        log.write_text("".join(line + "\n" for line in kept))


def read_log(out: str | Path) -> list[dict[str, Any]]:
    """The rows of a run's log.jsonl."""
    return [json.loads(line) for line in (Path(out) / "log.jsonl").read_text().splitlines()]
