"""One update of a GAN (the report's section 4.3)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srkit import losses
from srkit.data.images import bicubic_lr, denorm
from srkit.metrics import psnr
from srkit.training.diagnostics import checkerboard, colour_drift, gradient_norms
from srkit.training.state import State


def train_step(
    state: State, lr: Tensor, hr: Tensor, labels: Tensor, detail: bool = False
) -> dict[str, Tensor]:
    """Update discriminator and generator once each, 1:1, from one generator forward.

    With `recipe.accumulate` parts, which a small card needs, the generator runs twice on each part:
    first without a graph for the discriminator, then for itself. In the first
    `recipe.discriminator_alone` updates the generator stays as it is.

    Shape: lr (B, 3, h, w) in [0, 1], hr (B, 3, H, W) in [-1, 1], labels (B,): in a world of several
    processes, this one's share of the batch.
    Returns every loss term, and D(real) and D(fake) as probabilities, detached; with `detail` also
    each term's gradient norm, the colour drift and the checkerboard (see `diagnostics`).
    """
    set_learning_rate(state)
    train_mode(state.generator, state.recipe.freeze_batchnorm)
    count = state.recipe.accumulate
    parts = list(zip(*(x.tensor_split(count) for x in (lr, hr, labels)), strict=True))
    alone = state.step < state.recipe.discriminator_alone
    with torch.set_grad_enabled(detail or not alone):
        predicted = [generate(state, lr)] if len(parts) == 1 else None  # (B, 3, H, W)
    log: dict[str, Tensor] = {}
    if state.discriminator_optimiser is not None:
        state.discriminator_optimiser.zero_grad(set_to_none=True)
        for low, high, label in parts:
            with torch.no_grad():
                sr = predicted[0].detach() if predicted else generate(state, low)
            add(log, discriminator_backward(state, sr, high, label, share_of(state, high)))
            del sr
        state.discriminator_optimiser.step()
    state.generator_optimiser.zero_grad(set_to_none=True)
    for number, (low, high, label) in enumerate(parts if detail or not alone else []):
        sr = predicted[0] if predicted else generate(state, low)
        more = detail and number == len(parts) - 1
        add(log, generator_backward(state, sr, low, high, label, share_of(state, high), more))
    if not alone:
        state.generator_optimiser.step()
    state.step += 1
    update_ema(state.ema, state.generator, state.step, state.recipe.ema)
    note_bad(state, log)
    return log


def train_mode(generator: nn.Module, freeze_batchnorm: bool) -> None:
    """The generator in training mode, but for its BatchNorm where that is to be frozen."""
    generator.train()
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train(not freeze_batchnorm)


def share_of(state: State, part: Tensor) -> float:
    """What a part's mean counts for in the mean over the whole batch, in all processes together,
    whose gradients DistributedDataParallel averages."""
    return len(part) * state.world.size / state.recipe.batch


def add(log: dict[str, Tensor], more: dict[str, Tensor]) -> None:
    """Sum up the logs of a batch's parts."""
    for name, value in more.items():
        log[name] = log[name] + value.detach() if name in log else value.detach()


def autocast(state: State) -> torch.autocast:
    """bf16 where the recipe says so; float32 otherwise. Losses are taken in float32 in both."""
    return torch.autocast(state.device.type, torch.bfloat16, state.recipe.precision == "bf16")


def generate(state: State, lr: Tensor) -> Tensor:
    """The generator's prediction in training, float32."""
    network = state.ddp_generator or state.generator
    with autocast(state):
        return network(lr).float()


def judge(discriminator: nn.Module, image: Tensor) -> tuple[Tensor, Tensor | None]:
    """Validity logits, and class logits where the discriminator has a class head; float32."""
    out = discriminator(image)
    validity, classes = out if isinstance(out, tuple) else (out, None)
    return validity.float(), None if classes is None else classes.float()


def shifted(state: State, image: Tensor) -> Tensor:
    """A batch moved up and left by 0 to `recipe.shift` pixels, its far edges mirrored: by the same
    in all of one update.  Shape: (B, 3, H, W) -> (B, 3, H, W)."""
    if not state.recipe.shift:
        return image
    random = torch.Generator().manual_seed(state.recipe.seed * 2**32 + state.step)
    up, left = torch.randint(state.recipe.shift + 1, (2,), generator=random).tolist()
    return F.pad(image[..., up:, left:], (0, left, 0, up), mode="reflect")


def discriminator_backward(
    state: State, sr: Tensor, hr: Tensor, labels: Tensor, share: float
) -> dict[str, Tensor]:
    """Eq. (8) and its gradient; `sr` carries no graph. Returns the terms, times `share`."""
    assert state.discriminator is not None
    state.discriminator.requires_grad_(True)
    network = state.ddp_discriminator or state.discriminator
    with autocast(state):
        validity_hr, class_logits = judge(network, shifted(state, hr))
        validity_sr, _ = judge(network, shifted(state, sr))
    if class_logits is not None and state.recipe.class_loss:
        log = losses.discriminator_loss(validity_hr, validity_sr, class_logits, labels)
    else:
        log = losses.discriminator_loss(validity_hr, validity_sr)
    (torch.stack(list(log.values())).sum() * share).backward()
    log["d_real"] = torch.sigmoid(validity_hr).mean()
    log["d_fake"] = torch.sigmoid(validity_sr).mean()
    return {name: value.detach() * share for name, value in log.items()}


def generator_backward(
    state: State, sr: Tensor, lr: Tensor, hr: Tensor, labels: Tensor, share: float, detail: bool
) -> dict[str, Tensor]:
    """Eq. (4), (5) or MSE alone and its gradient, with the discriminator frozen. Returns the terms,
    times `share`, and where `detail` is wanted the diagnostics."""
    terms = generator_terms(state, sr, hr, labels)
    log = {name: value.detach() * share for name, value in terms.items()}
    more: dict[str, Tensor] = {}
    if detail:
        norms = gradient_norms(terms, state.recipe.weights, sr)
        more = {f"gradient_{name}": norm for name, norm in norms.items()}
        more |= {"colour_drift": colour_drift(sr, lr), "checkerboard": checkerboard(sr, hr)}
    loss = losses.generator_loss(terms, state.recipe.weights)
    (loss * share).backward()
    return log | {"generator": loss.detach() * share} | more


def generator_terms(state: State, sr: Tensor, hr: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The loss terms that the recipe gives the generator, by name, each with its graph."""
    weights = state.recipe.weights
    terms: dict[str, Tensor] = {}
    if weights.mse:
        terms["mse"] = losses.mse_loss(sr, hr)
    sr, hr = shifted(state, sr), shifted(state, hr)
    with autocast(state):
        if state.content is not None:
            terms["content"] = state.content(sr, hr)
        if state.discriminator is not None:
            state.discriminator.requires_grad_(False)
            validity, class_logits = judge(state.discriminator, sr)
            if weights.adversarial:
                terms["adversarial"] = losses.adversarial_loss(validity)
            if weights.classes and class_logits is not None:
                terms["classes"] = losses.class_loss(class_logits, labels)
    return terms


def set_learning_rate(state: State) -> None:
    """The recipe's learning rate of the coming update: a function of the step alone."""
    rate = state.recipe.learning_rate_at(state.step)
    factors = (1.0, state.recipe.discriminator_rate)
    optimisers = (state.generator_optimiser, state.discriminator_optimiser)
    for optimiser, factor in zip(optimisers, factors, strict=True):
        for group in optimiser.param_groups if optimiser else []:
            group["lr"] = rate * factor


@torch.no_grad()
def update_ema(ema: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    """Exponential moving average of a model, BatchNorm's statistics included.

    The decay grows from 2/11 towards `decay`, so that early averages forget the random start.
    """
    decay = min(decay, (1 + step) / (10 + step))
    averages, values = list(ema.state_dict().values()), list(model.state_dict().values())
    floats = [i for i, average in enumerate(averages) if average.is_floating_point()]
    torch._foreach_lerp_([averages[i] for i in floats], [values[i] for i in floats], 1 - decay)
    for average, value in zip(averages, values, strict=True):
        if not average.is_floating_point():
            average.copy_(value)


def note_bad(state: State, log: dict[str, Tensor]) -> None:
    """Remember, on the device and without waiting for it, when each term ceased to be finite."""
    for name, value in log.items():
        first = state.bad.get(name, torch.zeros((), dtype=torch.long, device=value.device))
        state.bad[name] = torch.where((first == 0) & ~value.isfinite(), state.step, first)


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
