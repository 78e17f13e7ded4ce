"""Find, check and load weights: other people's (VGG19, Inception) and our checkpoints.

Nothing here falls back in silence: what is loaded carries a name that says what it is, and an
untrained network says so in that name.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import Tensor, nn
from torchvision.models import vgg

from srkit import paths
from srkit.files import download, lock, replacing, sha256, write_text
from srkit.models.build import build_generator, check_settings
from srkit.models.inference import OtherGenerator
from srkit.models.leftthomas import LeftthomasGenerator
from srkit.models.vgg19 import VGG19, VGG19_LAYERS, _cut

VGG19_URL = torchvision.models.VGG19_Weights.IMAGENET1K_V1.url

# What its SHA-256 begins with. torchvision publishes 8 digits, in the file's name; whoever has all
# 64 of them writes them here, and they are checked whole.
VGG19_SHA256 = "dcbb9e9d"

VGG19_INSTEAD = "try again, or name another VGG19 with --content FILE"


class WeightsError(ValueError):
    """Weights that are absent, damaged or of something else; the message says what to do."""


@dataclass(frozen=True)
class Method:
    """What enlarges: how tables and figures show it, and how it is loaded."""

    label: str
    colour: str
    kind: str  # "interpolation", "network" (ours), "peer" (with others' weights) or "truth"
    source: str = ""  # a network's model, or the variable that names a peer's file or folder


METHODS = {
    "nearest": Method("Nearest-neighbor", "#8c8c8c", "interpolation"),
    "bilinear": Method("Bilinear", "#b8860b", "interpolation"),
    "bicubic": Method("Bicubic", "#5b7aa9", "interpolation"),
    "srresnet": Method("SRResNet", "#3c9d6d", "network", "srresnet"),
    "srgan": Method("SRGAN", "#d1772e", "network", "srgan"),
    "sr-ugan": Method("SR-UGAN", "#b0304f", "network", "sr-ugan"),
    "sr-ugan-large-batch": Method("SR-UGAN, large batch", "#7a3f98", "network", "sr-ugan"),
    "leftthomas-srgan": Method("SRGAN of leftthomas (peer)", "#3a3a3a", "peer", "SRKIT_LEFTTHOMAS"),
    "hr": Method("HR (itself)", "#222222", "truth"),
}

TWICE = " twice"  # "sr-ugan twice" is the 2x network applied to its own output


def methods(*kinds: str) -> list[str]:
    """The names of the methods of these kinds, in the order of tables."""
    return [name for name, method in METHODS.items() if method.kind in kinds]


LABELS = {name: method.label for name, method in METHODS.items()}
LABELS |= {name + TWICE: f"{LABELS[name]} 2x, twice" for name in methods("network")}


def label(method: str, scale: int | None = 2) -> str:
    """A method's label in tables; at 4x a network says that it enlarges so by itself. A checkpoint
    of anybody's is called as its file is."""
    native = method in methods("network") and scale not in (2, None)
    return f"{LABELS[method]} native {scale}x" if native else LABELS.get(method, method)


def load_state(path: str | Path) -> dict[str, Any]:
    """What torch.save wrote of tensors and plain values, loaded without running any code that the
    file may hold.

    Raises WeightsError where the file is absent or no state dict.
    """
    if not Path(path).is_file():
        raise WeightsError(f"no weights file at {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        what = str(error).partition("\n")[0]
        if "weights" in what.lower() and "only" in what.lower():  # torch would have us allow code
            what = "it is damaged, or holds objects that could run code, which srkit never loads"
        raise WeightsError(
            f"{path} is no readable PyTorch state dict: {what}; get the file anew"
        ) from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} holds a {type(state).__name__}, not a PyTorch state dict")
    return state


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """A state dict of tensors and nothing else, by `load_state`. Raises WeightsError where it has
    something else, or NaN."""
    state = load_state(path)
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            what = f"{key!r} is a {type(value).__name__}"
            raise WeightsError(f"{path} holds no network's weights: {what}, not a tensor")
    return check_finite(path, state)


def check_finite(path: str | Path, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state. Raises WeightsError naming the first tensor that has NaN or infinity."""
    for key, value in state.items():
        if not value.isfinite().all():
            raise WeightsError(
                f"{path} holds NaN or infinity, first in {key}: whatever it makes is black; get"
                " the file anew, or train again with a lower learning rate"
            )
    return state


def vgg19_cached() -> Path:
    """Where torchvision keeps (or would put) its VGG19."""
    return cache_of(VGG19_URL)


def cache_of(url: str) -> Path:
    """Where torch keeps (or would put) the file of a URL."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name


def cached(url: str, digest: str, instead: str) -> Path:
    """A third-party file in torch's cache, downloaded where it is absent. Cached or fresh, its
    SHA-256 begins with `digest`.

    Raises WeightsError where it cannot be had, saying what else can be done (`instead`), or where
    another file has its name.
    """
    path = cache_of(url)
    if not path.is_file():
        try:
            download(url, path, digest)
        except OSError as error:
            raise WeightsError(f"{error}; {instead}") from error
    check_digest(path, digest, instead)
    return path


def check_digest(path: str | Path, digest: str, instead: str) -> None:
    """Raise WeightsError where a file's SHA-256 does not begin with `digest`."""
    found = sha256(path)[: len(digest)]
    if found != digest:
        raise WeightsError(
            f"{path} is damaged: its SHA-256 begins with {found}, not {digest};"
            f" delete it and {instead}"
        )


def load_vgg19(weights: str = "auto", layer: str | None = None) -> VGG19:
    """VGG19 up to a layer, and a name that says which weights it has.

    `weights`: "torchvision" (574 MB, downloaded once, its hash checked each time); a path to a
    state dict, torchvision's complete one or the normalised one that ends at relu3_1; "untrained"
    (random weights of seed 0, for trying things offline); "auto": the file named by
    $SRKIT_VGG19, else torchvision's where it is already on the disk, else untrained.
    `layer`: "relu5_4" unless told otherwise, or the last one that the file reaches.
    Raises WeightsError or ValueError where the file or the layer is not as said.
    """
    if layer is not None and layer not in VGG19_LAYERS:
        raise ValueError(f"VGG19 has no layer {layer!r}; accepted: {', '.join(VGG19_LAYERS)}")
    if weights == "auto":
        named = os.environ.get("SRKIT_VGG19")
        weights = named or ("torchvision" if vgg19_cached().is_file() else "untrained")
    if weights == "untrained":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            whole = vgg.make_layers(vgg.cfgs["E"])  # the features alone: seven times as fast
            for module in whole:
                if isinstance(module, nn.Conv2d) and module.bias is not None:  # as torchvision
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                    nn.init.zeros_(module.bias)
        return _cut(whole, layer or "relu5_4", "UNTRAINED VGG19 (random weights, seed 0)")
    if weights == "torchvision":
        weights = str(cached(VGG19_URL, VGG19_SHA256, VGG19_INSTEAD))
    elif Path(weights).name == vgg19_cached().name and Path(weights).is_file():
        check_digest(weights, VGG19_SHA256, VGG19_INSTEAD)
    state = load_tensors(weights)
    if Path(weights).name == vgg19_cached().name:
        return _complete_vgg19(state, layer, "VGG19 (torchvision, ImageNet)")
    if "features.0.weight" in state:
        return _complete_vgg19(state, layer, f"VGG19 ({Path(weights).name})")
    if tuple(state.get("0.weight", torch.empty(0)).shape) == (3, 3, 1, 1):
        return _normalised_vgg19(state, layer, f"VGG19 ({Path(weights).name})")
    raise WeightsError(
        f"{weights} holds no VGG19: expected torchvision's keys (features.0.weight, ...) or those"
        " of the normalised one (0.weight of shape 3x3x1x1, ...)"
    )


def _complete_vgg19(state: dict[str, Tensor], layer: str | None, name: str) -> VGG19:
    with torch.device("meta"):  # no memory or random numbers for what is replaced at once
        features = torchvision.models.vgg19(weights=None).features
    own = {k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")}
    try:
        features.load_state_dict(own, assign=True)
    except RuntimeError as error:
        what = " ".join(str(error).split())
        raise WeightsError(f"{name} is not the complete VGG19 of torchvision: {what}") from error
    return _cut(features, layer or "relu5_4", name)


def _normalised_vgg19(state: dict[str, Tensor], layer: str | None, name: str) -> VGG19:
    """The VGG19 of neural style transfer, its activations scaled to a mean of one.

    Its own first layer, a 1x1 convolution, maps RGB in [0, 1] to the network's BGR range. It was
    trained with reflection padding. Features are divided by 12.75, SRGAN's factor for VGG features
    of 0-255 images (Ledig et al., section 3.2).
    """
    layers: list[nn.Module] = [nn.Conv2d(3, 3, 1)]
    widths, channels, numbers = {1: 64, 2: 128, 3: 256}, 3, iter((2, 5, 9, 12, 16))
    names: list[str] = [""]
    keys = {"0": "0"}
    for vgg_layer in list(VGG19_LAYERS)[: VGG19_LAYERS["relu3_1"] + 1]:
        if vgg_layer.startswith("conv"):
            width = widths[int(vgg_layer[4])]
            keys[str(next(numbers))] = str(len(layers))
            layers.append(nn.Conv2d(channels, width, 3, padding=1, padding_mode="reflect"))
            channels = width
        else:
            layers.append(nn.ReLU() if vgg_layer.startswith("relu") else nn.MaxPool2d(2))
        names.append(vgg_layer)
    layer = layer or "relu3_1"
    if layer not in names:
        raise WeightsError(f"these VGG19 weights end at relu3_1 and do not reach {layer}")
    network = nn.Sequential(*layers)
    try:
        renamed = {f"{keys[k.split('.')[0]]}.{k.split('.')[1]}": v for k, v in state.items()}
        network.load_state_dict(renamed)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"not the normalised VGG19 that it looked like: {error}") from error
    return VGG19(network[: names.index(layer) + 1], layer, f"{name}, {layer}", feature_scale=12.75)


MOST_BYTES = 32_000_000  # of a shipped checkpoint

METADATA = "srkit"  # the key of what a checkpoint says of itself, as JSON


def check_trained(name: str) -> str:
    """Return the name of a trained network. Raises ValueError where it is none of ours."""
    if name not in methods("network"):
        raise ValueError(f"unknown model {name!r}; accepted: {', '.join(methods('network'))}")
    return name


def checkpoint_path(name: str, scale: int) -> Path:
    """Where the shipped checkpoint of that name lies, whether or not it is there."""
    return paths.CHECKPOINTS / f"{check_trained(name)}_x{scale}.safetensors"


def trained_path(name: str, scale: int, preset: str) -> Path:
    """Where notebooks 04 and 06 leave the generator that they train in a preset."""
    return paths.runs(preset) / f"train-{check_trained(name)}-x{scale}" / "generator.safetensors"


def find_checkpoint(name: str, scale: int, preset: str | None = None) -> Path:
    """The generator to show: in the long presets the one that they trained, where it is there;
    otherwise the shipped one. Print its path or metadata beside what it made."""
    if preset in paths.LONG_PRESETS and trained_path(name, scale, preset).is_file():
        return trained_path(name, scale, preset)
    return checkpoint_path(name, scale)


def sums_file() -> Path:
    """The SHA-256 of each shipped checkpoint, as `sha256sum -c` reads them."""
    return paths.CHECKPOINTS / "SHA256SUMS"


def read_sums() -> dict[str, str]:
    """File name -> SHA-256 of the shipped checkpoints."""
    lines = sums_file().read_text(encoding="utf-8").splitlines() if sums_file().is_file() else []
    return {name: digest for digest, name in (line.split() for line in lines)}


def check_shipped(path: Path, digest: str) -> None:
    """Raise WeightsError where a shipped checkpoint is not the one that was shipped."""
    shipped_there = path.resolve().parent == paths.CHECKPOINTS.resolve()
    if shipped_there and read_sums().get(path.name) != digest:
        raise WeightsError(
            f"{path.name} is not the checkpoint that srkit ships (sha256 {digest[:12]}, not in"
            f" {sums_file().name}): restore it with git or by installing srkit again, or keep your"
            " own outside of the package and pass it as a checkpoint"
        )


def check_trained_enough(source: str | Path, training: dict[str, Any]) -> None:
    """Raise WeightsError for a generator that is not to be shown as what its recipe makes: trained
    in a toy preset, or not to the end."""
    done, wanted = training.get("iterations", 0), training.get("recipe", {}).get("iterations", 0)
    preset = training.get("preset")
    why = f"of the preset {preset}" if preset in paths.TOY_PRESETS else ""
    why = f"of {done} updates, its recipe has {wanted}" if done < wanted else why
    if why:
        raise WeightsError(
            f"{source} is {why}: train to the end in a longer preset, or ship it all the same with"
            " --force"
        )


def ship(source: str | Path, name: str, facts: dict[str, Any], force: bool = False) -> Path:
    """Make a trained generator the shipped one of that name and its scale, with `facts` added to
    what it says of its training.

    Raises WeightsError where it is another model's, too large to be shipped or, unless `force`,
    not trained to the end.
    """
    generator, found = load_generator(source, METHODS[check_trained(name)].source)
    if not force:
        check_trained_enough(source, found["training"])
    path = checkpoint_path(name, found["settings"]["scale"])
    if Path(source).stat().st_size > MOST_BYTES:
        raise WeightsError(f"{source} is larger than {MOST_BYTES:,} bytes, too large to be shipped")
    with lock(paths.CHECKPOINTS / "lock"):
        save_generator(path, generator, found["settings"], found["training"] | facts)
        sums = read_sums() | {path.name: sha256(path)}
        write_text(sums_file(), "".join(f"{sums[file]}  {file}\n" for file in sorted(sums)))
    return path


def save_generator(
    path: str | Path, generator: nn.Module, settings: dict[str, Any], metadata: dict[str, Any]
) -> Path:
    """Write a generator as fp16 safetensors: aside first, then renamed over the old file.

    `settings` are the model's name and constructor arguments; `metadata` says how it was trained.
    """
    state = {
        key: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for key, value in generator.state_dict().items()
    }
    about = json.dumps({"settings": settings, "training": metadata})
    with replacing(path) as file:
        file.write(serialise(state, {METADATA: about}))  # one key: several come in any order
    return Path(path)


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Tensor]]:
    """A checkpoint's settings, training and tensors. Raises WeightsError where they cannot be
    read."""
    try:
        with safe_open(path, framework="pt") as file:
            text = file.metadata() or {}
            if METADATA in text:
                about = json.loads(text[METADATA])
            else:  # earlier files have two keys
                about = {name: json.loads(text[name]) for name in ("settings", "training")}
            settings, training = about["settings"], about["training"]
            _ = settings["model"], settings["scale"]
            recipe = training.get("recipe", {}) if isinstance(training, dict) else None
            if not isinstance(recipe, dict) or type(training.get("iterations", 0)) is not int:
                raise ValueError("it does not say how it was trained")
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise WeightsError(f"{path} is no srkit checkpoint, or is damaged: {error}") from error
    return settings, training, state


def load_generator(
    path: str | Path, model: str | None = None, scale: int | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """A trained generator in evaluation mode, and its metadata: `settings`, `training`, `sha256`.

    Raises WeightsError where the file is absent or damaged, or holds another model or scale.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"no checkpoint at {path}; shipped: {', '.join(shipped()) or 'none'}")
    check_shipped(path, digest := sha256(path))
    settings, training, state = read_checkpoint(path)
    found = (settings["model"], settings["scale"])
    for what, wanted, have in (("model", model, found[0]), ("scale", scale, found[1])):
        if wanted is not None and wanted != have:
            raise WeightsError(f"{path} holds {found[0]} at {found[1]}x, not {what} {wanted}")
    try:
        check_settings(settings)
        with torch.device("meta"):  # sizes alone: no memory until they are those of the file
            build_generator(settings).load_state_dict(state, assign=True)
        generator = build_generator(settings)
        generator.load_state_dict(state)
    except (RuntimeError, TypeError, ValueError) as error:
        what = " ".join(str(error).split())[:500]
        raise WeightsError(f"{path} does not fit its own settings: {what}") from error
    check_finite(path, state)
    return generator.eval(), {"settings": settings, "training": training, "sha256": digest}


def shipped() -> list[str]:
    """The names of the checkpoints that came with the package."""
    return sorted(path.stem for path in paths.CHECKPOINTS.glob("*.safetensors"))


def find_peer(name: str, scale: int) -> Path | None:
    """The file that $SRKIT_LEFTTHOMAS names, or the one of this scale in the folder that it names;
    None where it is not set, or the folder has none of this scale."""
    if name not in methods("peer"):
        raise ValueError(f"unknown peer {name!r}; accepted: {', '.join(methods('peer'))}")
    variable = METHODS[name].source
    named = os.environ.get(variable)
    if not named:
        return None
    path = Path(named)
    if path.is_dir():
        found = sorted(path.glob(f"*netG*x{scale}*.pth"))
        return found[0] if found else None
    if not path.is_file():
        raise WeightsError(f"{variable} names {path}, and nothing is there")
    return path


def load_peer(path: str | Path, scale: int) -> nn.Module:
    """The peer's generator in evaluation mode. Raises WeightsError where the file holds another."""
    state = load_tensors(path)
    generator = LeftthomasGenerator(scale)
    try:
        generator.load_state_dict({_own_name(key, scale): value for key, value in state.items()})
    except (RuntimeError, KeyError, ValueError) as error:
        what = " ".join(str(error).split())
        raise WeightsError(f"{path} is no {scale}x leftthomas generator: {what}") from error
    return generator.eval()


def _own_name(key: str, scale: int) -> str:
    """A parameter's name there as it is in `SRGANGenerator`."""
    block, rest = key.removeprefix("block").split(".", 1)
    number = int(block)
    if number == 1:
        return f"head.{rest}"
    if number < 7:
        layer, what = rest.split(".")
        place = {"conv1": 0, "bn1": 1, "prelu": 2, "conv2": 3, "bn2": 4}[layer]
        return f"blocks.{number - 2}.body.{place}.{what}"
    if number == 7:
        return f"merge.{rest}"
    stage, rest = rest.split(".", 1)
    if int(stage) == scale // 2:
        return f"tail.{rest}"
    layer, what = rest.split(".")
    return f"upsample.{3 * int(stage) + {'conv': 0, 'prelu': 2}[layer]}.{what}"


# --- Other people's architectures ----------------------------------------------------------------


def is_ours(path: str | Path) -> bool:
    """Whether a file is to be loaded by `load_generator`: a safetensors file that says what of ours
    it holds, or one that is damaged or absent, which is said there."""
    if Path(path).suffix.lower() in (".pth", ".pt", ".ckpt"):
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return bool({METADATA, "settings"} & set(file.metadata() or {}))
    except (SafetensorError, OSError):
        return True


def load_other(path: str | Path, scale: int | None = None) -> OtherGenerator:
    """A generator of any architecture that spandrel recognises by its weights, in evaluation mode:
    safetensors or a PyTorch state dict, of which no code is run.

    Raises WeightsError where spandrel is not installed, does not know it, or the scale is another.
    """
    try:
        import spandrel
    except ImportError as error:
        more = 'pip install "srkit[any-model]"'
        raise WeightsError(f"{path} is no srkit checkpoint; for others: {more}") from error
    safe = Path(path).suffix.lower() == ".safetensors"
    state = load_file(path) if safe else load_state(path)
    try:
        found = spandrel.MAIN_REGISTRY.load(spandrel.canonicalize_state_dict(state))
        generator = OtherGenerator(found)
    except Exception as error:  # architectures fail in as many ways as there are of them
        what = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(f"{path} holds no network that spandrel can load: {what}") from error
    if scale not in (None, generator.scale):
        name = generator.architecture
        raise WeightsError(f"{path} holds {name} at {generator.scale}x, not scale {scale}")
    return generator.eval()
