"""The command line: `python -m srkit COMMAND`, or `srkit COMMAND`.

Bad input ends with one line that says what was wrong, and exit code 2.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

USER_ERRORS = (ValueError, OSError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 for a run that failed, 2 for bad input."""
    options = parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except USER_ERRORS as error:
        print(f"srkit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def run_report(options: argparse.Namespace) -> int:
    """`srkit report`: execute the notebooks, then print the table and what was written."""
    from srkit.notebook.report import NotebookError, report, summary

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
    from srkit.notebook.report import use_own_kernel

    use_own_kernel(paths.runs("lab") / "jupyter")
    command = [sys.executable, "-m", "jupyterlab", *options.options]
    return subprocess.call(command, cwd=paths.notebooks())


def run_upscale(options: argparse.Namespace) -> int:
    """`srkit upscale`: PNG or whatever the target's name says, one line a picture."""
    from PIL import Image

    from srkit.data.photos import read_photo
    from srkit.data.sources import photo_files
    from srkit.devices import pick_device
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
    from srkit.data.sources import open_photos
    from srkit.devices import pick_device
    from srkit.evaluation import results, tables
    from srkit.evaluation.measure import (
        available_inception,
        available_methods,
        measure,
        sensitivity,
    )

    device = str(pick_device(options.device))
    photos = open_photos(options.data, options.split).spread(options.photographs)
    photos.name = options.name or photos.name
    methods = options.methods or available_methods(options.scale)
    networks, note = available_inception(device, every_layer=options.sensitivity)
    print(f"{photos.name}: {len(photos)} photographs, {options.scale}x, on {device}\n{note}")
    if options.sensitivity:
        if not networks:
            raise ValueError(note)
        sizes = sorted({max(2, len(photos) // part) for part in (4, 2, 1)})
        run = results.Run("sensitivity", device=device)
        rows = sensitivity(photos, networks[0], run, sizes=sizes)
    else:
        run = results.Run("evaluate", device=device)
        rows = measure(methods, photos, options.scale, run, networks)
        print(results.markdown(*tables.method_table(rows, methods)), end="")
    tables.record(options.record, rows)
    if options.check:
        text, same = results.check(options.check, rows)
        print(f"\nAgainst {options.check}:\n{text}", end="")
        return 0 if same else 1
    return 0


def run_fid(options: argparse.Namespace) -> int:
    """`srkit fid`: the value with all that it depends on, as text or as one JSON object."""
    import json
    import warnings

    from srkit.fid.folders import compare

    if options.b is None and options.save is None:
        raise ValueError("fid compares A with B; only with --save is A alone enough")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = compare(
            options.a, options.b, options.protocol, options.layer, options.weights, options.save,
            options.kid, options.bootstrap, options.paired, options.batch, options.device,
        )  # fmt: skip
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        print(f"srkit: warning: {message}", file=sys.stderr)
    print(json.dumps(found.as_dict()) if options.json else found)
    return 0


def run_bench(options: argparse.Namespace) -> int:
    """`srkit bench`: a table of ratios, and its rows where told to."""
    from srkit.evaluation import tables
    from srkit.evaluation.bench_fid import bench_fid, summary
    from srkit.evaluation.bench_training import bench_train

    if options.what == "fid":
        rows = bench_fid(
            options.data, options.weights, options.rounds, options.quick, options.device or "cpu"
        )
    else:
        device = options.device or "auto"
        rows = bench_train(options.batch, options.rounds, options.quick, device)
    print(summary(rows), end="")
    tables.record(options.record, rows)
    return 0


def run_train(options: argparse.Namespace) -> int:
    """`srkit train`: write runs/.../generator.safetensors and print where it is."""
    from srkit import paths
    from srkit.data.leakage import check_apart
    from srkit.data.sources import open_photos
    from srkit.paths import commit
    from srkit.training import distributed
    from srkit.training.loop import train
    from srkit.training.recipes import TrainingError, recipe

    changes = dict(parse_setting(text) for text in options.set)
    if options.start_from:
        changes["start_from"] = options.start_from
    plan = recipe(options.recipe, options.preset, options.scale, **changes)
    photos = open_photos(options.data, "train", plan.per_class, plan.short_side)
    held_out = open_photos(options.held_out or options.data, "all" if options.held_out else "val")
    for folder in options.keep_out:
        check_apart(photos, open_photos(folder, "all"))
    if options.skip_small:
        photos = photos.without_small(plan.crop)
    out = options.out or paths.runs(options.preset) / plan.folder
    first = distributed.first()
    if first:
        if plan.start_recipe and not plan.start_from:
            print(
                f"note: {plan.name} is meant to go on from {plan.start_recipe}'s generator"
                " (--start-from FILE); this run starts from fresh weights"
            )
        print(f"{plan}\n{len(photos)} photographs of {len(photos.classes)} classes; into {out}")
    facts = {"preset": options.preset, "commit": commit()}
    try:
        path = train(
            plan, photos, held_out, out, options.content, options.device, options.workers, facts,
            tensorboard=options.tensorboard, minutes=options.minutes,
        )  # fmt: skip
    except TrainingError as error:
        print(f"srkit train: {error}", file=sys.stderr)
        return 1
    finally:
        distributed.leave()
    if first:
        print(f"wrote {path}")
    return 0


def run_ablation(options: argparse.Namespace) -> int:
    """`srkit ablation`: train and measure the variants, print their table, keep the rows."""
    from srkit import paths
    from srkit.data.sources import open_photos
    from srkit.devices import pick_device
    from srkit.evaluation import results, tables
    from srkit.evaluation.ablation import VARIANTS, measure_variants, train_variants, variant
    from srkit.evaluation.measure import available_inception
    from srkit.training.recipes import TrainingError

    device = str(pick_device(options.device))
    changes = dict(parse_setting(text) for text in options.set)
    photos = open_photos(options.data, "train")
    held_out = open_photos(options.data, "val").spread(options.photographs)
    held_out.name = options.name or held_out.name
    networks, note = available_inception(device)
    out = options.out or paths.runs(f"ablation-{options.preset}")
    print(f"{len(photos)} photographs, {len(held_out)} held out, on {device}; {note}")
    run = results.Run("ablation", options.preset, device=device)
    names = options.variants or VARIANTS
    plans = {name: variant(name, options.preset, **changes) for name in names}
    try:
        files = train_variants(plans, options.seeds, photos, held_out, out, run, options.content)
    except TrainingError as error:
        print(f"srkit ablation: {error}", file=sys.stderr)
        return 1
    rows = measure_variants(files, plans, held_out, networks, run)
    print(results.markdown(*tables.ablation_table(rows)), end="")
    tables.record(options.record, rows)
    return 0


def run_ship(options: argparse.Namespace) -> int:
    """`srkit ship`: into the package's checkpoints, with the time that the run has taken."""
    from srkit.training.run_folder import minutes_of
    from srkit.weights import load_generator, ship

    source = options.folder / "generator.safetensors"
    name = options.name or load_generator(source)[1]["training"]["recipe"]["name"]
    path = ship(source, name.removesuffix("-4x"), {"minutes": minutes_of(options.folder)})
    print(f"shipped {path}")
    return 0


def run_pack(options: argparse.Namespace) -> int:
    """`srkit pack`: a packed set a split, in OUT/train and OUT/val, where `packed:OUT` looks."""
    import time

    from srkit.data.packed import PIXELS, is_packed, pack
    from srkit.data.sources import open_photos

    changes = {"per_class": options.per_class, "short_side": options.short_side}
    if options.data == "embedded" and any(changes.values()):
        raise ValueError("the embedded photographs are tiles of one size: --short-side and"
                         " --per-class do not apply to them")  # fmt: skip
    if "train" not in options.split and any(changes.values()):
        raise ValueError("--short-side and --per-class are for the train split; val is kept whole")
    sets = {s: open_photos(options.data, s, **changes if s == "train" else {})
            for s in dict.fromkeys(options.split)}  # fmt: skip
    there = {split: is_packed(photos, options.out / split) for split, photos in sets.items()}
    for split, photos in sets.items():
        began, folder = time.perf_counter(), options.out / split
        pack(photos, folder, progress=True)
        size, seconds = (folder / PIXELS).stat().st_size, time.perf_counter() - began
        took = "packed already" if there[split] else f"{seconds:.1f} s"
        print(f"{folder}: {len(photos)} photographs, {size:,} bytes, {took}")
    print(f"train on them with --data packed:{options.out}")
    return 0


def parser() -> argparse.ArgumentParser:
    """All commands and their options. Imports stay light: `--help` loads no torch."""
    top = argparse.ArgumentParser(prog="srkit", description="The command line of srkit.")
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    report = commands.add_parser("report", help="run the notebooks in order, headlessly")
    report.add_argument("--preset", default="demo", help="smoke, demo, laptop, gpu or paper")
    _photo_options(report)
    report.add_argument("--only", nargs="+", default=[], metavar="NOTEBOOK", help="such as 05 06")
    report.add_argument("-p", "--parameter", nargs=2, action="append", default=[],
                        metavar=("NAME", "VALUE"), help="a notebook parameter")  # fmt: skip
    report.set_defaults(command="report")

    lab = commands.add_parser("lab", help="open JupyterLab on the notebooks")
    lab.add_argument("options", nargs="*", help="passed on to JupyterLab, after --")
    lab.set_defaults(command="lab")

    enlarge = commands.add_parser("upscale", help="enlarge a picture or a folder of pictures")
    enlarge.add_argument("source", type=Path, help="a picture, or a folder of pictures")
    enlarge.add_argument("target", type=Path, help="the file or folder to write")
    enlarge.add_argument("--model", default="sr-ugan", help="bicubic, ..., srgan or sr-ugan")
    enlarge.add_argument("--scale", type=int, default=2)
    enlarge.add_argument("--checkpoint", type=Path, help="instead of the shipped one")
    enlarge.add_argument("--device", default="auto", help="auto, cpu or cuda")
    enlarge.set_defaults(command="upscale")

    evaluate = commands.add_parser("evaluate", help="measure methods on photographs")
    _photo_options(evaluate)
    evaluate.add_argument("--name", help="of the data set in the rows; default: the folder's")
    evaluate.add_argument("--split", default="all", help="train, val or all")
    evaluate.add_argument("--photographs", type=int, help="how many to measure; default: all")
    evaluate.add_argument("--scale", type=int, default=2)
    evaluate.add_argument("--methods", nargs="+", help="default: all that there are at this scale")
    evaluate.add_argument("--sensitivity", action="store_true",
                          help="FID by protocol, layer, N and resolution instead")  # fmt: skip
    evaluate.add_argument("--check", type=Path, metavar="FILE",
                          help="compare with its rows; exit code 1 if they differ")  # fmt: skip
    evaluate.add_argument("--record", type=Path, metavar="FILE", help="add the rows to this file")
    evaluate.add_argument("--device", default="auto", help="auto, cpu or cuda")
    evaluate.set_defaults(command="evaluate")

    fid = commands.add_parser("fid", help="the FID between two sets of photographs")
    fid.add_argument("a", metavar="A", help="folder of photographs, or saved statistics (.npz)")
    fid.add_argument("b", metavar="B", nargs="?", help="the same; may be left out with --save")
    fid.add_argument("--protocol", help="pytorch, tf or clean; default: the files', or pytorch")
    fid.add_argument("--layer", type=int, help="2048, 768, 192 or 64; default: the files', or 2048")
    fid.add_argument("--weights", help="Inception file or its folder; default: $SRKIT_INCEPTION,"
                     " torch's cache, or a download (91 MB)")  # fmt: skip
    fid.add_argument("--save", type=Path, metavar="FILE", help="keep A's statistics as .npz")
    fid.add_argument("--kid", action="store_true", help="add the Kernel Inception Distance")
    fid.add_argument(
        "--bootstrap", type=int, metavar="ROUNDS", help="add a 95%% interval; 10 or more"
    )
    fid.add_argument("--paired", action="store_true",
                     help="same photographs by name; with --kid, --bootstrap")  # fmt: skip
    fid.add_argument("--batch", type=int, default=32, help="photographs at once")
    fid.add_argument("--json", action="store_true", help="one JSON object instead of text")
    fid.add_argument("--device", default="auto", help="auto, cpu or cuda")
    fid.set_defaults(command="fid")

    bench = commands.add_parser("bench", help="measure speed against other programs")
    bench.add_argument("what", choices=["fid", "train"])
    bench.add_argument("--weights", help="Inception file; default: untrained, which takes as long")
    bench.add_argument("--data", default="embedded", help="the photographs to time on")
    bench.add_argument("--quick", action="store_true", help="toy sizes, to see that it runs")
    bench.add_argument("--batch", type=int, help="of bench train; default: 32 on a GPU, else 1")
    bench.add_argument("--rounds", type=int, default=5, help="alternated repetitions")
    bench.add_argument("--record", type=Path, metavar="FILE", help="add the rows to this file")
    bench.add_argument("--device", help="auto, cpu or cuda; default: cpu for fid, auto for train")
    bench.set_defaults(command="bench")

    train = commands.add_parser("train", help="train a model by a recipe; resumes by itself")
    train.add_argument("--recipe", "--model", dest="recipe", default="sr-ugan",
                       help="srresnet, srgan, sr-ugan, modern, ...")  # fmt: skip
    train.add_argument("--scale", type=int, help="2 or 4; default: the recipe's")
    train.add_argument("--preset", default="demo", help="smoke, demo, laptop, gpu or paper")
    _photo_options(train)
    train.add_argument("--held-out", help="folder of photographs to watch (default: the val split)")
    train.add_argument("--keep-out", nargs="+", default=[], metavar="FOLDER",
                       help="refuse to train on these photographs, such as Set5's")  # fmt: skip
    train.add_argument("--content", default="auto", help="VGG19: torchvision, untrained or a file")
    train.add_argument("--start-from", default="", help="generator checkpoint to start from")
    train.add_argument("--skip-small", action="store_true", help="leave out what the crop exceeds")
    train.add_argument("--out", type=Path, help="default: runs/PRESET/train-MODEL-xSCALE")
    train.add_argument("--device", default="auto", help="auto, cpu or cuda")
    train.add_argument("--workers", type=int, default=-1,
                       help="loading processes; default: the cores on a GPU, else 0")  # fmt: skip
    train.add_argument("--minutes", type=float,
                       help="save and stop after so long; the same command goes on")  # fmt: skip
    train.add_argument("--tensorboard", action="store_true", help="log for TensorBoard too")
    train.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE",
                       help="a field of the recipe, such as batch=16 or weights.mse=0")  # fmt: skip
    train.set_defaults(command="train")

    ablation = commands.add_parser("ablation", help="SR-UGAN without each of its parts in turn")
    ablation.add_argument("--preset", default="demo", help="smoke, demo, laptop, gpu or paper")
    _photo_options(ablation)
    ablation.add_argument("--name", help="of the held-out photographs; default: the folder's")
    ablation.add_argument("--photographs", type=int, help="held-out ones to measure; default: all")
    ablation.add_argument("--seeds", type=int, nargs="+", default=[0])
    ablation.add_argument("--variants", nargs="+", help="default: all")
    ablation.add_argument(
        "--content", default="auto", help="VGG19: torchvision, untrained or a file"
    )
    ablation.add_argument("--out", type=Path, help="default: runs/ablation-PRESET")
    ablation.add_argument("--record", type=Path, metavar="FILE", help="add the rows to this file")
    ablation.add_argument("--device", default="auto", help="auto, cpu or cuda")
    ablation.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE",
                          help="change a field of every recipe")  # fmt: skip
    ablation.set_defaults(command="ablation")

    ship = commands.add_parser("ship", help="make a trained generator the shipped one of its name")
    ship.add_argument("folder", type=Path, help="a run's folder, such as runs/gpu/train-sr-ugan-x2")
    ship.add_argument("--name", help="default: the recipe's")
    ship.set_defaults(command="ship")

    pack = commands.add_parser("pack", help="decode photographs once, for fast training")
    _photo_options(pack)
    pack.add_argument("--out", type=Path, required=True, help="train with --data packed:OUT")
    pack.add_argument("--split", nargs="+", default=["train", "val"], choices=["train", "val"])
    pack.add_argument("--short-side", type=int, metavar="PIXELS",
                      help="resize the train split so, as a recipe's short_side does")  # fmt: skip
    pack.add_argument("--per-class", type=int, help="of the train split, only so many a class")
    pack.set_defaults(command="pack")
    return top


def _photo_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data", default="embedded",
        help="embedded, a photo folder, imagenette[:FOLDER], imagenet:FOLDER or packed:FOLDER",
    )  # fmt: skip


def parse_setting(text: str) -> tuple[str, object]:
    """ "batch=16" as ("batch", 16). Raises ValueError on an unknown field or a bad value."""
    from srkit.training.recipes import Recipe

    name, sign, after = text.partition("=")
    plain = vars(Recipe())
    own = ("name", "model", "scale", "weights")  # options choose these; weights are below
    known = {key: value for key, value in plain.items() if key not in own}
    known |= {f"weights.{key}": value for key, value in vars(plain["weights"]).items()}
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


COMMANDS = {
    "report": run_report, "lab": run_lab, "upscale": run_upscale, "evaluate": run_evaluate,
    "fid": run_fid, "bench": run_bench, "train": run_train, "ablation": run_ablation,
    "ship": run_ship, "pack": run_pack,
}  # fmt: skip
