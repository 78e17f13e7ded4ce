"""The command line: `python -m srkit COMMAND`, or `srkit COMMAND`.

Bad input ends with one line that says what was wrong, and exit code 2.
"""

import argparse
import sys
from collections.abc import Sequence
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

    report = commands.add_parser("report", help="run the notebooks in order, headlessly")
    report.add_argument("--preset", default="demo", help="smoke, demo, laptop, gpu or paper")
    _photo_options(report)
    report.add_argument("--only", nargs="+", default=[], metavar="NOTEBOOK", help="such as 05 06")
    report.add_argument("-p", "--parameter", nargs=2, action="append", default=[],
                        metavar=("NAME", "VALUE"), help="a notebook parameter")  # fmt: skip
    report.set_defaults(run=run_report)

    lab = commands.add_parser("lab", help="open JupyterLab on the notebooks")
    lab.add_argument("options", nargs="*", help="passed on to JupyterLab, after --")
    lab.set_defaults(run=run_lab)

    enlarge = commands.add_parser("upscale", help="enlarge a picture or a folder of pictures")
    enlarge.add_argument("source", type=Path, help="a picture, or a folder of pictures")
    enlarge.add_argument("target", type=Path, help="the file or folder to write")
    enlarge.add_argument("--model", default="sr-ugan", help="bicubic, ..., srgan or sr-ugan")
    enlarge.add_argument("--scale", type=int, default=2)
    enlarge.add_argument("--checkpoint", type=Path, help="instead of the shipped one")
    enlarge.add_argument("--device", default="auto", help="auto, cpu or cuda")
    enlarge.set_defaults(run=run_upscale)

    evaluate = commands.add_parser("evaluate", help="measure methods on photographs")
    _photo_options(evaluate)
    evaluate.add_argument("--name", help="of the data set in the rows; default: the folder's")
    evaluate.add_argument("--split", default="all", help="train, val or all")
    evaluate.add_argument("--scale", type=int, default=2)
    evaluate.add_argument("--methods", nargs="+", help="default: all that there are at this scale")
    evaluate.add_argument("--record", type=Path, metavar="FILE", help="add the rows to this file")
    evaluate.add_argument("--device", default="auto", help="auto, cpu or cuda")
    evaluate.set_defaults(run=run_evaluate)

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


def run_report(options: argparse.Namespace) -> int:
    """`srkit report`: execute the notebooks, then print the table and what was written."""
    from srkit.report import NotebookError, report, summary

    parameters = {name: parse_value(text) for name, text in options.parameter}
    try:
        report(options.preset, options.data, parameters, options.only)
    except NotebookError as error:
        print(f"\nsrkit report: {error}", file=sys.stderr)
        return 1
    print(summary(options.preset, options.data))
    return 0


def run_lab(options: argparse.Namespace) -> int:
    """`srkit lab`: JupyterLab on notebooks/, with this interpreter as its kernel."""
    import subprocess

    from srkit import paths
    from srkit.report import use_own_kernel

    use_own_kernel(paths.runs("lab") / "jupyter")
    command = [sys.executable, "-m", "jupyterlab", *options.options]
    return subprocess.call(command, cwd=paths.notebooks())


def run_upscale(options: argparse.Namespace) -> int:
    """`srkit upscale`: PNG or whatever the target's name says, one line a picture."""
    from PIL import Image

    from srkit.data import photo_files, read_photo
    from srkit.train import pick_device
    from srkit.upscale import upscale

    device = str(pick_device(options.device))
    if not options.source.exists():
        raise FileNotFoundError(f"no picture or folder at {options.source}")
    folder = options.source.is_dir()
    files = photo_files(options.source) if folder else [options.source]
    for file in files:
        target = options.target / f"{file.stem}.png" if folder else options.target
        picture = Image.fromarray(read_photo(file))
        sr = upscale(picture, options.model, options.scale, options.checkpoint, device)
        target.parent.mkdir(parents=True, exist_ok=True)
        sr.save(target)
        print(f"{file.name} {picture.width}x{picture.height} -> {target} {sr.width}x{sr.height}")
    return 0


def run_evaluate(options: argparse.Namespace) -> int:
    """`srkit evaluate`: print the table, and keep its rows where told to."""
    from srkit import results
    from srkit.data import open_photos
    from srkit.evaluate import available_methods, measure, table
    from srkit.session import available_inception
    from srkit.train import pick_device

    device = str(pick_device(options.device))
    photos = open_photos(options.data, options.split)
    photos.name = options.name or photos.name
    methods = options.methods or available_methods(options.scale)
    networks, note = available_inception(device)
    print(f"{photos.name}: {len(photos)} photographs, {options.scale}x, on {device}\n{note}")
    rows = measure(methods, photos, options.scale, networks, "evaluate", device=device)
    header, body = table(rows, methods, photos.name, options.scale, "evaluate")
    print(results.markdown(header, body), end="")
    if options.record:
        results.record(options.record, rows)
        print(f"{len(rows)} rows recorded in {options.record}")
    return 0


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
    from srkit.recipes import Recipe

    name, sign, after = text.partition("=")
    own = ("model", "scale", "weights")  # two have options; the third is no plain value
    known = {key: value for key, value in vars(Recipe()).items() if key not in own}
    if not sign or name not in known:
        raise ValueError(f"--set {text}: expected FIELD=VALUE with one of {', '.join(known)}")
    value, kind = parse_value(after), type(known[name])
    optional = (int, float, type(None))
    if type(value) not in {float: (int, float), type(None): optional}.get(kind, (kind,)):
        raise ValueError(f"--set {text}: {name} takes a value like {known[name]!r}, not {value!r}")
    return name, value


def parse_value(text: str) -> object:
    """A number, True, False, None or a tuple where the text is one; else the text itself."""
    import ast

    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    sys.exit(main())
