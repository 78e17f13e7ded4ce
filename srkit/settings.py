"""What networks and losses may be told, checked without torch, which takes seconds to load."""

from dataclasses import dataclass
from typing import Any

MODELS = ("srresnet", "srgan", "sr-ugan")  # of generators
DISCRIMINATORS = ("srgan", "sr-ugan", "unet")

# VGG19's layers in the order of torchvision's `features`; convI_J and reluI_J as in the VGG paper.
VGG19_LAYERS: dict[str, int] = {}
for _stage, _convs in enumerate((2, 2, 4, 4, 4), start=1):
    for _conv in range(1, _convs + 1):
        VGG19_LAYERS[f"conv{_stage}_{_conv}"] = len(VGG19_LAYERS)
        VGG19_LAYERS[f"relu{_stage}_{_conv}"] = len(VGG19_LAYERS)
    VGG19_LAYERS[f"pool{_stage}"] = len(VGG19_LAYERS)


@dataclass(frozen=True)
class Weights:
    """The weights of the generator's terms. The defaults are the report's Eq. (5)."""

    mse: float = 1.0
    content: float = 1.0
    adversarial: float = 1e-3
    # Class loss on the generator's prediction; 1e-3 in the author's later code, not in the report.
    classes: float = 0.0


def check_model(name: str) -> str:
    """Return the model's name. Raises ValueError where it is none of ours."""
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; accepted: {', '.join(MODELS)}")
    return name


def check_layer(name: str) -> str:
    """Return the name of a layer of VGG19. Raises ValueError where it has none such."""
    if name not in VGG19_LAYERS:
        raise ValueError(f"VGG19 has no layer {name!r}; accepted: {', '.join(VGG19_LAYERS)}")
    return name


# The arguments of a generator: the type of each, and the largest that a file may ask for.
LARGEST = {"scale": 4, "blocks": 64, "width": 1024, "wide": 1024}
SWITCHES = ("attention", "dense")


def check_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a generator as a file has them. Raises ValueError or TypeError for what is
    unknown, of another type or too large to be meant, before anything is built of it."""
    check_model(settings["model"])
    for name, value in settings.items():
        if name in LARGEST:
            least = 0 if name == "blocks" else 1
            if type(value) is not int or not least <= value <= LARGEST[name]:
                raise ValueError(f"{name} must be {least} to {LARGEST[name]}, not {value!r}")
        elif name in SWITCHES and type(value) is not bool:
            raise ValueError(f"{name} must be true or false, not {value!r}")
        elif name == "unet":
            widths = value if isinstance(value, list | tuple) else [None]
            if len(widths) > 8 or not all(type(w) is int and 1 <= w <= 1024 for w in widths):
                raise ValueError(f"unet must be up to 8 widths of 1 to 1024, not {value!r}")
        elif name not in ("model", *SWITCHES):
            raise ValueError(f"unknown setting {name!r}")
    return settings


def check_scale(scale: int) -> int:
    """Return the number of x2 stages. Raises ValueError unless scale is 2 or 4."""
    if scale not in (2, 4):
        raise ValueError(f"scale must be 2 or 4, not {scale}")
    return {2: 1, 4: 2}[scale]
