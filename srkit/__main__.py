"""The command line: `python -m srkit COMMAND`, or `srkit COMMAND`.

Bad input ends with one line that says what was wrong, and exit code 2.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

USER_ERRORS = (ValueError, FileNotFoundError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 for a run that failed, 2 for bad input."""
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except USER_ERRORS as error:
        print(f"srkit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """All commands and their options. Imports stay light: `--help` loads no torch."""
    top = argparse.ArgumentParser(prog="srkit", description=__doc__.splitlines()[0])
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    train = commands.add_parser("train", help="train a model by a recipe; resumes by itself")
    train.add_argument("--model", default="sr-ugan", help="srresnet, srgan or sr-ugan")
    train.add_argument("--scale", type=int, default=2, help="2 or 4")
    train.add_argument("--preset", default="demo", help="smoke, demo, laptop, gpu or paper")
    _photo_options(train)
    train.add_argument("--held-out", help="folder of photographs to watch (default: the val split)")
    train.add_argument("--content", default="auto", help="VGG19: torchvision, untrained or a file")
    train.add_argument("--start-from", default="", help="generator checkpoint to start from")
    train.add_argument("--skip-small", action="store_true", help="leave out what the crop exceeds")
    train.add_argument("--out", type=Path, help="default: runs/PRESET/train-MODEL-xSCALE")
    train.add_argument("--device", default="auto", help="auto, cpu or cuda")
    train.add_argument("--workers", type=int, default=0, help="data loading processes")
    train.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE",
                       help="change a field of the recipe, such as batch=16")  # fmt: skip
    train.set_defaults(run=run_train)
    return top


def _photo_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data", default="embedded",
        help="embedded, a photo folder, imagenette[:FOLDER] or imagenet:FOLDER",
    )  # fmt: skip


def run_train(options: argparse.Namespace) -> int:
    """`srkit train`: write runs/.../generator.safetensors and print where it is."""
    from srkit import paths
    from srkit.data import open_photos
    from srkit.recipes import recipe
    from srkit.results import commit
    from srkit.train import TrainingError, train

    changes = dict(parse_setting(text) for text in options.set)
    if options.start_from:
        changes["start_from"] = options.start_from
    plan = recipe(options.model, options.preset, options.scale, **changes)
    photos = open_photos(options.data, "train", plan.per_class, plan.short_side)
    held_out = open_photos(options.held_out or options.data, "all" if options.held_out else "val")
    if options.skip_small:
        photos = photos.without_small(plan.crop)
    name = f"train-{plan.model}-x{plan.scale}"
    out = options.out or paths.runs(options.preset) / name
    print(f"{plan}\n{len(photos)} photographs of {len(photos.classes)} classes; writing to {out}")
    facts = {"preset": options.preset, "commit": commit()}
    try:
        path = train(
            plan, photos, held_out, out, options.content, options.device, options.workers, facts
        )
    except TrainingError as error:
        print(f"srkit train: {error}", file=sys.stderr)
        return 1
    print(f"wrote {path}")
    return 0


def parse_setting(text: str) -> tuple[str, object]:
    """ "batch=16" as ("batch", 16). Raises ValueError on an unknown field or a bad value."""
    import ast

    from srkit.recipes import Recipe

    name, sign, value = text.partition("=")
    known = [field.name for field in fields(Recipe)]
    if not sign or name not in known:
        raise ValueError(f"--set {text}: expected FIELD=VALUE with one of {', '.join(known)}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


if __name__ == "__main__":
    sys.exit(main())
