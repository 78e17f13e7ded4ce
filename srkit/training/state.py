"""What a run changes: its networks, their averages and optimisers, built by a recipe."""

from copy import deepcopy
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from srkit import losses, models
from srkit.devices import has_fast_bf16, pick_device
from srkit.models.build import build_discriminator, build_generator
from srkit.training import distributed
from srkit.training.distributed import World
from srkit.training.recipe import Recipe, TrainingError
from srkit.weights import load_generator, load_vgg19


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
    world: World = field(default_factory=World)
    # Over several processes, the networks in DistributedDataParallel, as training calls them.
    ddp_generator: nn.Module | None = None
    ddp_discriminator: nn.Module | None = None
    bad: dict[str, Tensor] = field(default_factory=dict)  # term -> step at which it was not finite


def start(
    recipe: Recipe,
    classes: int,
    content: str = "auto",
    device: str = "auto",
    world: World | None = None,
) -> State:
    """Fresh networks and optimisers for a recipe; the weights depend on its seed alone.

    `content` is the VGG19 to use (see `srkit.weights.load_vgg19`). With `recipe.start_from` the
    generator starts from that checkpoint, as SRGAN does from SRResNet.
    """
    where, world = distributed.own_device(pick_device(device)), world or World()
    if recipe.accumulate > recipe.batch // world.size:
        raise TrainingError(
            f"a batch of {recipe.batch} on {world.size} processes cannot be split into"
            f" {recipe.accumulate} parts each (accumulate)"
        )
    prepare_backends(recipe)
    torch.manual_seed(recipe.seed)
    generator = build_generator(recipe.settings())
    if recipe.quick_start:
        models.quick_start(generator)
    if recipe.start_from:
        load_start(recipe, generator)

    def ready(network: nn.Module) -> nn.Module:
        network = distributed.synchronised(network, world, where)
        network = network.to(where).to(memory_format=torch.channels_last)
        if recipe.compile:
            network.compile()
        return network

    def adam(network: nn.Module) -> torch.optim.Adam:
        fused = where.type == "cuda"
        rate, betas = recipe.learning_rate, recipe.betas
        return torch.optim.Adam(network.parameters(), rate, betas=betas, fused=fused)

    ema = deepcopy(generator).to(where).to(memory_format=torch.channels_last)
    generator = ready(generator)
    state = State(
        recipe, where, generator, ema.eval().requires_grad_(False), adam(generator), world=world
    )
    state.ddp_generator = distributed.data_parallel(generator, world)
    state.content = content_loss(recipe, content)
    if state.content is not None:
        state.content.to(where).to(memory_format=torch.channels_last)
        if recipe.compile:
            state.content.network.compile()
    if recipe.weights.adversarial or recipe.weights.classes:
        kind, width = recipe.discriminator_kind, recipe.discriminator_width
        discriminator = build_discriminator(kind, classes, width)
        if recipe.quick_start:
            models.quick_start_discriminator(discriminator)
        state.discriminator = ready(discriminator)
        state.discriminator_optimiser = adam(state.discriminator)
        unused = kind == "sr-ugan" and not recipe.class_loss
        state.ddp_discriminator = distributed.data_parallel(state.discriminator, world, unused)
    return state


def prepare_backends(recipe: Recipe) -> None:
    """cuDNN looks for the fastest convolutions, since all batches have one shape; compiled graphs
    keep their buffers, since the diagnostics go through them more than once."""
    torch.backends.cudnn.benchmark = True
    if recipe.compile:
        torch._functorch.config.donated_buffer = False  # type: ignore[attr-defined]


def content_loss(recipe: Recipe, content: str) -> losses.ContentLoss | None:
    """The recipe's content loss, on the CPU, where it has one."""
    if not recipe.weights.content:
        return None
    vgg = load_vgg19(content, recipe.content_layer or None)
    return losses.ContentLoss(vgg, recipe.content_scale)


def for_device(recipe: Recipe, device: torch.device) -> Recipe:
    """The recipe with a precision of its own in the place of "auto"."""
    if recipe.precision != "auto":
        return recipe
    return replace(recipe, precision="bf16" if has_fast_bf16(device) else "fp32")


def load_start(recipe: Recipe, generator: nn.Module) -> None:
    """Weights from `recipe.start_from`; of a 2x network all but the last enlargement for a 4x one.

    Raises TrainingError where they do not fit.
    """
    model = "srresnet" if recipe.model == "srgan" else recipe.model
    trained, about = load_generator(recipe.start_from, model)
    if about["settings"]["scale"] > recipe.scale:
        load_generator(recipe.start_from, model, recipe.scale)  # says what it is
    weights = dict(trained.state_dict())
    if about["settings"]["scale"] < recipe.scale:
        missing = {k: v for k, v in generator.state_dict().items() if k not in weights}
        weights |= {k: v for k, v in missing.items() if k.startswith("upsample.")}
    try:
        generator.load_state_dict(weights)
    except RuntimeError as error:
        what = " ".join(str(error).split())
        raise TrainingError(
            f"{recipe.start_from} has another width or depth than this recipe: {what}"
        ) from error
