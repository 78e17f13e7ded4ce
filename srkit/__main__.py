"""The command line: `python -m srkit COMMAND`, or `srkit COMMAND`.

Bad input ends with one line that says what was wrong, and exit code 2.
"""

import argparse
import sys
from collections.abc import Sequence

from srkit.options import parse_setting, parse_value, parser

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
    from srkit.updates import pick_device
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
    from srkit import repeat, results
    from srkit.data import open_photos
    from srkit.evaluate import available_methods, measure, sensitivity, table
    from srkit.session import available_inception
    from srkit.updates import pick_device

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
        rows = sensitivity(photos, networks[0], sizes=sizes, device=device)
    else:
        rows = measure(methods, photos, options.scale, networks, "evaluate", device=device)
        header, body = table(rows, methods, photos.name, options.scale, "evaluate")
        print(results.markdown(header, body), end="")
    if options.record:
        results.record(options.record, rows)
        print(f"{len(rows)} rows recorded in {options.record}")
    if options.check:
        text, same = repeat.check(options.check, rows)
        print(f"\nAgainst {options.check}:\n{text}", end="")
        return 0 if same else 1
    return 0


def run_fid(options: argparse.Namespace) -> int:
    """`srkit fid`: the value with all that it depends on, as text or as one JSON object."""
    import json
    import warnings

    from srkit.compare import compare

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
    from srkit import results
    from srkit.bench import bench_fid, summary
    from srkit.bench_train import bench_train

    if options.what == "fid":
        rows = bench_fid(
            options.data, options.weights, options.rounds, options.quick, options.device or "cpu"
        )
    else:
        device = options.device or "auto"
        rows = bench_train(options.batch, options.rounds, options.quick, device)
    print(summary(rows), end="")
    if options.record:
        results.record(options.record, rows)
        print(f"{len(rows)} rows recorded in {options.record}")
    return 0


def run_train(options: argparse.Namespace) -> int:
    """`srkit train`: write runs/.../generator.safetensors and print where it is."""
    from srkit import parallel, paths
    from srkit.data import open_photos
    from srkit.heldout import check_apart
    from srkit.recipes import recipe
    from srkit.results import commit
    from srkit.train import TrainingError, train

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
    first = parallel.first()
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
        parallel.leave()
    if first:
        print(f"wrote {path}")
    return 0


def run_ablation(options: argparse.Namespace) -> int:
    """`srkit ablation`: train and measure the variants, print their table, keep the rows."""
    from srkit import paths, results
    from srkit.ablation import VARIANTS, ablate, table
    from srkit.data import open_photos
    from srkit.session import available_inception
    from srkit.train import TrainingError
    from srkit.updates import pick_device

    device = str(pick_device(options.device))
    changes = dict(parse_setting(text) for text in options.set)
    photos = open_photos(options.data, "train")
    held_out = open_photos(options.data, "val").spread(options.photographs)
    held_out.name = options.name or held_out.name
    networks, note = available_inception(device)
    out = options.out or paths.runs(f"ablation-{options.preset}")
    print(f"{len(photos)} photographs, {len(held_out)} held out, on {device}; {note}")
    try:
        rows = ablate(
            photos, held_out, out, options.preset, options.seeds, options.variants or [*VARIANTS],
            networks, options.content, device, changes,
        )  # fmt: skip
    except TrainingError as error:
        print(f"srkit ablation: {error}", file=sys.stderr)
        return 1
    print(results.markdown(*table(rows, held_out.name)), end="")
    if options.record:
        results.record(options.record, rows)
        print(f"{len(rows)} rows recorded in {options.record}")
    return 0


def run_ship(options: argparse.Namespace) -> int:
    """`srkit ship`: into the package's checkpoints, with the time that the run has taken."""
    from srkit.runfiles import minutes_of
    from srkit.weights import load_generator, ship

    source = options.folder / "generator.safetensors"
    name = options.name or load_generator(source)[1]["training"]["recipe"]["name"]
    path = ship(source, name.removesuffix("-4x"), {"minutes": minutes_of(options.folder)})
    print(f"shipped {path}")
    return 0


def run_pack(options: argparse.Namespace) -> int:
    """`srkit pack`: a packed set a split, in OUT/train and OUT/val, where `packed:OUT` looks."""
    import time

    from srkit.data import open_photos
    from srkit.packed import PIXELS, is_packed, pack

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


COMMANDS = {
    "report": run_report, "lab": run_lab, "upscale": run_upscale, "evaluate": run_evaluate,
    "fid": run_fid, "bench": run_bench, "train": run_train, "ablation": run_ablation,
    "ship": run_ship, "pack": run_pack,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
