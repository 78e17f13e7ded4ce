"""What the commands share: options that several have alike, and what is done with their values."""

import argparse
import ast
import math
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from srkit.data.photos import Photos

Commands = argparse._SubParsersAction  # what add_subparsers returns; argparse has no public name
Option = Callable[..., None]

PHOTOS = "embedded, a photo folder, imagenette[:FOLDER], imagenet:FOLDER or packed:FOLDER"

# What an option of this name is in every command, but for what the command says itself.
COMMON: dict[str, dict[str, Any]] = {
    "--data": {"default": "embedded", "help": PHOTOS},
    "--preset": {"default": "demo", "help": "smoke, demo, laptop, cpu, gpu or paper"},
    "--content": {"default": "auto", "help": "VGG19: torchvision, small, untrained or a file"},
    "--record": {"type": Path, "metavar": "FILE", "help": "add the rows to this file"},
    "--device": {"default": "auto", "help": "auto, cpu or cuda"},
    "--strict": {"action": "store_true", "help": "end at a bad photograph, not leave it out"},
    "--set": {"action": "append", "default": [], "metavar": "FIELD=VALUE"},
    "--set-before": {
        "action": "append",
        "default": [],
        "metavar": "FIELD=VALUE",
        "help": "a field of the stages before the last, such as iterations=20000",
    },
}


def add_command(commands: Commands, run: Callable[[Namespace], int], about: str) -> Option:
    """The command that a function `run_x` carries out; returns what adds an option to it."""
    command = commands.add_parser(run.__name__.removeprefix("run_"), help=about)
    command.set_defaults(run=run)

    def option(*names: str, **settings: Any) -> None:
        command.add_argument(*names, **COMMON.get(names[0], {}) | settings)

    return option


def chosen_photos(options: Namespace, split: str) -> "Photos":
    """The photographs of a split of --data, as many as --photographs and called as --name says."""
    from srkit.data.sources import open_photos

    photos = open_photos(options.data, split, strict=options.strict).evenly_spaced(
        options.photographs
    )
    return replace(photos, name=options.name or photos.name)


# The least value of the options that take numbers.
LEAST = {"scale": 1, "photographs": 1, "rounds": 1, "batch": 1, "tile": 1, "minutes": 0}
LEAST |= {"bootstrap": 10, "seeds": 0, "short_side": 1, "per_class": 1, "workers": -1}

NO_FILE = ("auto", "torchvision", "small", "untrained")  # what --content takes that is none


def check_inputs(options: Namespace) -> None:
    """Raise ValueError for what can be seen before torch is loaded, which takes seconds: a preset
    or device of no such name, a number too small, a folder or file that is not there."""
    from srkit.files import check_writable
    from srkit.paths import check_preset

    given = {name: value for name, value in vars(options).items() if value not in (None, "")}
    if "preset" in given:
        check_preset(given["preset"])
    if "device" in given:
        check_name("device", given["device"].partition(":")[0], ("auto", "cpu", "cuda"))
    for name, least in LEAST.items():
        values = given.get(name, [])
        for value in values if isinstance(values, list) else [values]:
            if not least <= value < math.inf:
                option = f"--{name.replace('_', '-')}"
                raise ValueError(f"{option} must be a number of {least} or more, not {value}")
    for name in ("data", "held_out"):
        check_photos(given.get(name, "embedded"))
    for folder in given.get("keep_out", []):
        check_photos(folder)
    for name in ("content", "start_from", "checkpoint"):
        file = given.get(name, "auto")
        if file not in NO_FILE and not Path(file).is_file():
            raise ValueError(f"no file at {file} (--{name.replace('_', '-')}): name another")
    if not Path(weights := given.get("weights", ".")).exists():
        raise ValueError(f"nothing at {weights} (--weights): name an Inception file or its folder")
    if isinstance(out := given.get("out"), Path):  # a folder, of all but upscale
        check_writable(out / "lock", "--out")


def check_photos(data: str) -> None:
    """Raise ValueError where `open_photos` would find no such folder."""
    kind, _, folder = data.partition(":")
    named = kind in ("embedded", "imagenette") or (folder and kind in ("imagenet", "packed"))
    if not named and not Path(data).is_dir():
        raise ValueError(f"no photo folder at {data}: accepted are {PHOTOS}")


def check_name(what: str, name: str, accepted: Sequence[str]) -> None:
    """Raise ValueError where a name is none of those accepted."""
    if name not in accepted:
        raise ValueError(f"unknown {what} {name!r}; accepted: {', '.join(accepted)}")


def check_outputs(options: Namespace) -> None:
    """Raise ValueError, naming the option, where a file that is to be written at the end of the
    work cannot be, or one that is added to or compared with is damaged or absent."""
    from srkit.files import check_writable

    for name in ("record", "check", "save"):
        file = getattr(options, name, None)
        if file is None:
            continue
        if name != "check":
            check_writable(file, f"--{name}")
            if name == "record" and file.suffix != ".json":  # the tables go beside it, as .md
                raise ValueError(f"--record {file}: results are JSON, name a file such as a.json")
        elif not file.is_file():
            raise ValueError(f"--check {file}: there is no such results file; name another")
        if name != "save" and file.is_file():
            from srkit.evaluation import results

            results.load(file)


def settings_of(options: Namespace) -> dict[str, Any]:
    """The changes that --set and --set-before ask for, as arguments of `recipes.stages`."""
    before = dict(parse_setting(text) for text in options.set_before)
    return dict(parse_setting(text) for text in options.set) | {"before": before}


def parse_setting(text: str) -> tuple[str, object]:
    """ "batch=16" as ("batch", 16). Raises ValueError on an unknown field or a bad value."""
    from srkit.training.recipe import Recipe

    name, sign, after = text.partition("=")
    fields = vars(Recipe())
    elsewhere = ("name", "model", "scale", "weights")  # options choose these; weights are below
    known = {key: value for key, value in fields.items() if key not in elsewhere}
    known |= {f"weights.{key}": value for key, value in vars(fields["weights"]).items()}
    if not sign or name not in known:
        raise ValueError(f"--set {text}: expected FIELD=VALUE with one of {', '.join(known)}")
    value, kind = parse_value(after), type(known[name])
    accepted = {float: (int, float), type(None): (int, float, type(None))}.get(kind, (kind,))
    if type(value) not in accepted:
        raise ValueError(f"--set {text}: {name} takes a value like {known[name]!r}, not {value!r}")
    return name, value


def parse_value(text: str) -> object:
    """A number, true, False, None or a tuple where the text is one; else the text itself."""
    word = text.capitalize() if text.lower() in ("true", "false", "none") else text
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return text
