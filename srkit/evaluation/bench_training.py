"""How fast one update is: our step against the plain loop that public SRGAN code uses.

`python -m srkit bench train` runs the same update, of the same networks on the same batch, in each
way by turns, and gives crops/s and the rate against the plain loop's; on a GPU also the achieved
share of the card's bf16 product, and peak memory by batch.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from srkit import losses
from srkit.devices import pick_device
from srkit.evaluation import results
from srkit.evaluation.bench_fid import alternate, digits, timing_protocol
from srkit.settings import MODELS
from srkit.training.recipe import Recipe
from srkit.training.recipes import recipe
from srkit.training.state import State, start
from srkit.training.step import judge, train_step

CLASSES = 1000
CONTENT = "untrained"  # the VGG19, whose time is that of a trained one

# What each step towards the best path changes, one added to the other.
WAYS: dict[str, dict[str, Any]] = {
    "srkit, fp32": {},
    "srkit, bf16": {"precision": "bf16"},
    "srkit, bf16, compiled": {"precision": "bf16", "compile": True},
}


def plain_step(state: State, lr: Tensor, hr: Tensor, labels: Tensor) -> None:
    """The update as public SRGAN code has it: float32, NCHW, eager, a forward of the generator for
    each of the two optimisers, and the content network's graph for HR built in vain."""
    generator, discriminator, terms = state.generator, state.discriminator, {}
    generator.train()
    if discriminator is not None and state.discriminator_optimiser is not None:
        discriminator.requires_grad_(True)
        validity_hr, classes = judge(discriminator, hr)
        validity_sr, _ = judge(discriminator, generator(lr).detach())
        classed = (classes, labels) if classes is not None and state.recipe.class_loss else ()
        state.discriminator_optimiser.zero_grad()
        opponent = losses.discriminator_loss(validity_hr, validity_sr, *classed)
        torch.stack(list(opponent.values())).sum().backward()
        state.discriminator_optimiser.step()
    sr = generator(lr)
    if state.content is not None:
        target = state.content.features(hr.clone().requires_grad_()).detach()
        terms["content"] = torch.nn.functional.mse_loss(state.content.features(sr), target)
    if state.recipe.weights.mse:
        terms["mse"] = losses.mse_loss(sr, hr)
    if discriminator is not None:
        terms["adversarial"] = losses.adversarial_loss(judge(discriminator, sr)[0])
    state.generator_optimiser.zero_grad()
    losses.generator_loss(terms, state.recipe.weights).backward()
    state.generator_optimiser.step()


def batch_of(plan: Recipe, batch: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Noise in the shape of a batch: (lr, hr, labels), channels last."""
    low = plan.crop // plan.scale
    lr = torch.rand(batch, 3, low, low, device=device)
    hr = torch.rand(batch, 3, plan.crop, plan.crop, device=device) * 2 - 1
    labels = torch.randint(CLASSES, (batch,), device=device)
    form = torch.channels_last
    return lr.contiguous(memory_format=form), hr.contiguous(memory_format=form), labels


def plain_state(plan: Recipe, device: str) -> State:
    """Fresh networks in NCHW, with an Adam that is not fused."""
    state = start(replace(plan, precision="fp32", compile=False), CLASSES, CONTENT, device)
    for name in ("generator", "discriminator", "content"):
        network = getattr(state, name)
        if network is not None:
            network.to(memory_format=torch.contiguous_format)
            if name != "content":
                adam = torch.optim.Adam(network.parameters(), plan.learning_rate, betas=plan.betas)
                setattr(state, f"{name}_optimiser", adam)
    return state


def bench_train(
    batch: int | None = None, rounds: int = 5, quick: bool = False, device: str = "auto"
) -> list[results.Row]:
    """Rows of the whole update, for each model: its rate against the plain loop's, and crops/s;
    on a GPU TFLOP/s and peak memory. Networks are of the report's size, crops of 256 on a GPU
    and of 96 on a CPU; `quick` has toy networks, and shows only that it runs."""
    gpu = pick_device(device).type == "cuda"
    preset = "smoke" if quick else "paper" if gpu else "cpu"
    run = results.Run("bench", preset, device=str(pick_device(device)))
    best = bf16_product(torch.device(run.device)) if gpu else 0.0
    size = batch or (2 if quick else 32 if gpu else 8)
    crop = 32 if quick else 256 if gpu else 96
    rows = []
    for model in MODELS:
        plan = recipe(model, preset, batch=size, crop=crop, precision="fp32", compile=False)
        medians = alternate(ways_to_update(plan, run.device), rounds)
        about = f"one update, {size} of {plan.crop}x{plan.crop}, {'toy' if quick else 'full'} size"
        about += "; convolutions of fp32 in TF32" if gpu else ""
        protocol = f"{about}; {timing_protocol(rounds, run)}"
        flop = size * step_flop(plan, run.device) if gpu else 0.0
        for name, seconds in medians.items():
            values = {"crops/s": size / seconds}
            if "plain loop" in medians:
                values["rate / the plain loop's"] = medians["plain loop"] / seconds
            if gpu:
                values["TFLOP/s"] = flop / seconds / 1e12
                values["share of the bf16 product"] = flop / seconds / best
            facts = {"variant": name, "dataset": "noise", "crop": plan.crop, "n": size, "scale": 2}
            rows += [run.row(model, m, digits(v), protocol, **facts) for m, v in values.items()]
        if gpu:
            rows += peak_memory(plan, run)
    return rows


def ways_to_update(plan: Recipe, device: str) -> dict[str, Callable[[], object]]:
    """The plain loop's update and ours in each way, of one batch; without those that do not fit."""
    lr, hr, labels = batch_of(plan, plan.batch, torch.device(device))
    plain = plain_state(plan, device)
    work: dict[str, Callable[[], object]] = {
        "plain loop": partial(plain_step, plain, lr.contiguous(), hr.contiguous(), labels)
    }
    for name, settings in WAYS.items():
        if plan.crop > 32 or "compile" not in settings:  # toys compile longer than they run
            state = start(replace(plan, **settings), CLASSES, CONTENT, device)
            work[name] = partial(train_step, state, lr, hr, labels)
    return {name: update for name, update in work.items() if runs(name, update, plan.batch)}


def runs(name: str, run: Callable[[], object], batch: int) -> bool:
    """Whether a way fits into memory and compiles; says so aloud where it does not."""
    try:
        run()
    except torch.OutOfMemoryError:
        print(f"left out: {name} does not fit at a batch of {batch}; use --batch")
    except Exception as error:
        print(f"left out: {name} does not run: {str(error).strip().partition(chr(10))[0]}")
    else:
        return True
    return False


def step_flop(plan: Recipe, device: str) -> float:
    """The floating point operations of one update, for each photograph, counted on two."""
    state = start(replace(plan, batch=2), CLASSES, CONTENT, device)
    with FlopCounterMode(display=False) as counter:
        train_step(state, *batch_of(plan, 2, state.device))
    return counter.get_total_flops() / 2


def bf16_product(device: torch.device, side: int = 8192, rounds: int = 20) -> float:
    """FLOP/s of a large bf16 matrix product: what the card gives at best."""
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    return 2 * side**3 / alternate({"product": lambda: a @ a}, rounds)["product"]


def peak_memory(plan: Recipe, run: results.Run) -> list[results.Row]:
    """GiB at the peak of an update, for batches that double until they no longer fit."""
    rows: list[results.Row] = []
    batch = 1
    protocol = f"one update, bf16, {plan.crop}x{plan.crop}; {timing_protocol(1, run)}"
    facts = {"variant": "srkit, bf16", "dataset": "noise", "crop": plan.crop, "scale": 2}
    while True:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        try:
            ours = replace(plan, batch=batch, precision="bf16")
            state = start(ours, CLASSES, CONTENT, run.device)
            train_step(state, *batch_of(plan, batch, torch.device("cuda")))
        except torch.OutOfMemoryError:
            return rows
        peak = digits(torch.cuda.max_memory_allocated() / 2**30)
        rows.append(run.row(plan.model, "peak memory (GiB)", peak, protocol, n=batch, **facts))
        batch *= 2
