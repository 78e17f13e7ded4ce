"""The methods that are compared: how tables and figures show each, and what it is loaded from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """What enlarges: how tables and figures show it, and how it is loaded."""

    label: str
    colour: str
    kind: str  # "interpolation", "network" (ours), "own" (the reader's), "peer" (others'), "truth"
    source: str = ""  # a network's model, or the variable that names a peer's file or folder


METHODS = {
    "nearest": Method("Nearest-neighbor", "#8c8c8c", "interpolation"),
    "bilinear": Method("Bilinear", "#b8860b", "interpolation"),
    "bicubic": Method("Bicubic", "#5b7aa9", "interpolation"),
    "srresnet": Method("SRResNet", "#3c9d6d", "network", "srresnet"),
    "srgan": Method("SRGAN", "#d1772e", "network", "srgan"),
    "sr-ugan": Method("SR-UGAN", "#b0304f", "network", "sr-ugan"),
    "sr-ugan-large-batch": Method("SR-UGAN, large batch", "#7a3f98", "network", "sr-ugan"),
    "sr-ugan-yours": Method("SR-UGAN, yours", "#e58fa6", "own", "sr-ugan"),
    "leftthomas-srgan": Method("SRGAN of leftthomas (peer)", "#3a3a3a", "peer", "SRKIT_LEFTTHOMAS"),
    "hr": Method("HR (itself)", "#222222", "truth"),
}

TWICE = " twice"  # "sr-ugan twice" is the 2x network applied to its own output


def methods(*kinds: str) -> list[str]:
    """The names of the methods of these kinds, in the order of tables."""
    return [name for name, method in METHODS.items() if method.kind in kinds]


LABELS = {name: method.label for name, method in METHODS.items()}
LABELS |= {name + TWICE: f"{LABELS[name]} 2x, twice" for name in methods("network")}


def mse_alone(recipe: str | None) -> bool:
    """Whether a recipe, by its name, is a GAN's first stage, MSE alone ("sr-ugan-mse-4x")."""
    return recipe is not None and recipe.removesuffix("-4x").endswith("-mse")


def label(method: str, scale: int | None = 2, recipe: str | None = None) -> str:
    """A method's label in tables; at 4x a network says that it enlarges so by itself, and by the
    name of its `recipe` that it was trained on MSE alone, as its first stage is. A checkpoint of
    anybody's is called as its file is."""
    native = method in methods("network") and scale not in (2, None)
    shown = f"{LABELS[method]} native {scale}x" if native else LABELS.get(method, method)
    return f"{shown}, MSE alone" if mse_alone(recipe) else shown
