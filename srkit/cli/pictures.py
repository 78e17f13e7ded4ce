"""`srkit upscale`, `models`, `evaluate`, `fid` and `bench`."""

import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from srkit.cli.options import Commands, add_command, check_name, chosen_photos
from srkit.settings import MODELS as GENERATORS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from srkit.evaluation.results import Row
    from srkit.files.picture_files import Plan
    from srkit.upscale import Upscaler


INTERPOLATIONS = ("nearest", "bilinear", "bicubic")
NETWORKS = ("srresnet", "srgan", "sr-ugan", "sr-ugan-large-batch")
MODELS = (*INTERPOLATIONS, *NETWORKS, "leftthomas-srgan")  # as METHODS, which is slow to import

PROTOCOLS, LAYERS = ("pytorch", "tf", "clean"), (64, 192, 768, 2048)  # those of srkit.fid

# What a picture can fail at while the others go on; RuntimeError is torch's, out of memory.
PICTURE_ERRORS = (ValueError, OSError, MemoryError, RuntimeError)

BAR = "{l_bar}{bar}| {n:.1f}/{total:.1f} MP [{elapsed}<{remaining}, {rate_fmt}]"


def add_upscale(commands: Commands) -> None:
    option = add_command(commands, run_upscale, "enlarge pictures, and folders of pictures")
    about = "pictures and folders; or, without -o, one and a target that is not there yet"
    option("sources", nargs="+", metavar="SOURCE", help=about)
    about = "folder to write to; for one picture also a file"
    option("-o", "--out", metavar="TARGET", help=about)
    formats = ("jpg", "png", "webp", "tif", "bmp")
    option("--format", choices=formats, help="of what is written; default: each source's")
    option("--model", metavar="NAME", help=f"{', '.join(MODELS)}; default: sr-ugan")
    option("--scale", type=int, help="2 or 4, of interpolations any; default: 2")
    option("--twice", action="store_true", help="apply the 2x network two times for 4x")
    about = "a network in place of the shipped one, ours or of any kind that spandrel knows"
    option("--checkpoint", type=Path, metavar="FILE", help=about)
    about = "auto is bf16 where that is fast, at most 1 of 255 from fp32 nearly everywhere"
    option("--precision", choices=("auto", "bf16", "fp32"), default="auto", help=about)
    about = "pixels a side that a network takes at once; default: by the free memory"
    option("--tile", type=int, metavar="PIXELS", help=about)
    option("--force", action="store_true", help="replace targets that are there")
    option("--device")


def run_upscale(options: Namespace) -> int:
    """`srkit upscale`: a line a picture, a summary, and the exit code: 0 where all is done, 2 where
    a picture failed. Bad arguments are found before torch is loaded."""
    model, scale = model_and_scale(options)
    sources, out = sources_and_target(options)
    from srkit.files.picture_files import plan

    work = plan(sources, out, f".{options.format}" if options.format else "")
    from srkit.devices import has_fast_bf16, pick_device
    from srkit.upscale import Upscaler, checkpoint_scale

    device, precision = pick_device(options.device), options.precision
    if precision == "auto":
        precision = "bf16" if has_fast_bf16(device) else "fp32"
    scale = scale or checkpoint_scale(options.checkpoint)
    more = (str(device), options.tile, precision, options.twice)
    return upscale_files(Upscaler(model, scale, options.checkpoint, *more), work, options.force)


def model_and_scale(options: Namespace) -> tuple[str, int | None]:
    """The model, "" for what a checkpoint holds, and the scale, None for the checkpoint's. Raises
    ValueError where there is no such model, or not at that scale."""
    file, model = options.checkpoint, options.model or ("" if options.checkpoint else "sr-ugan")
    if model:
        check_name("model", model, MODELS)
    scale = options.scale or (4 if options.twice else None if file else 2)
    if options.twice and scale != 4:
        raise ValueError(f"--twice enlarges 4 times, not {scale}")
    if scale and not file:
        check_has_checkpoint(model, 2 if options.twice else scale, "with --twice")
    return model, scale


def check_has_checkpoint(model: str, scale: int, twice: str) -> None:
    """Raise ValueError where a network of ours has no shipped checkpoint of a scale; `twice` says
    how its 2x one is applied two times."""
    from srkit.paths import shipped

    there = [int(name[-1]) for name in shipped() if name[:-3] == model]
    if model in NETWORKS and scale not in there:
        known = " and ".join(f"{one}x" for one in there) or "none"
        more = f", or 4x {twice}" if scale == 4 and 2 in there else ""
        raise ValueError(f"no {scale}x checkpoint of {model}; accepted: {known}{more}")


def sources_and_target(options: Namespace) -> tuple[list[Path], str]:
    """The sources, and where to write: -o, or the last of two where nothing of that name is there.
    Raises ValueError where nobody said."""
    names, out = list(options.sources), options.out
    if out is None and len(names) == 2 and not Path(names[1]).exists():
        out = names.pop()
    if out is None:
        there = f"; {names[-1]} is there already" if len(names) == 2 else ""
        raise ValueError(f"where to write? Say so with -o TARGET{there}")
    return [Path(name) for name in names], out


def upscale_files(upscaler: "Upscaler", work: "Plan", force: bool) -> int:
    """Each source enlarged into its target; the exit code."""
    from tqdm import tqdm

    pairs, refused = work
    if upscaler.model not in INTERPOLATIONS:
        upscaler.loaded()
    millions = {source: megapixels(source) for source, _ in pairs}
    each = 5 if upscaler.twice else 1  # the second pass has four times the pixels
    failed = list(refused)
    done = kept = 0
    total = each * sum(millions.values())
    with tqdm(total=total, unit="MP", disable=None, bar_format=BAR) as bar:
        upscaler = replace(upscaler, progress=lambda pixels: bar.update(pixels / 1e6))
        end = 0.0
        for source, target in pairs:
            end += each * millions[source]
            try:
                if target.exists() and not force:
                    kept += 1
                    bar.write(f"{source} kept: {target} is there; replace it with --force")
                else:
                    bar.write(upscale_file(upscaler, source, target))
                    done += 1
            except PICTURE_ERRORS as error:
                failed.append(str(error) if str(source) in str(error) else f"{source}: {error}")
                bar.write(f"{source} failed")
            bar.update(end - bar.n)
    if len(pairs) == len(failed) == 1 and not refused:
        raise ValueError(failed[0])
    print(f"{done} done, {kept} kept, {len(failed)} failed")
    for line in failed:
        print(f"srkit: {line}", file=sys.stderr)
    return 2 if failed else 0


def megapixels(source: Path) -> float:
    """By a picture's header; 0 where it has none, which is said when its turn comes."""
    from srkit.files.picture_files import PictureError, open_picture

    try:
        with open_picture(source) as image:
            return image.width * image.height / 1e6
    except PictureError:
        return 0.0


def upscale_file(upscaler: "Upscaler", source: Path, target: Path) -> str:
    """Enlarge one file; returns a line about it. Raises PICTURE_ERRORS."""
    from srkit.files.deep_colour import is_deep
    from srkit.files.picture_files import check_fits, open_picture, read_picture, write_picture

    with open_picture(source) as header:
        check_fits(header.size, upscaler.scale, target.suffix, is_deep(header))
    image = read_picture(source)
    sr = upscaler.enlarged(image)
    notes = [*sr.info.get("notes", ()), *write_picture(sr, target)]
    about = f" ({', '.join(notes)})" if notes else ""
    sizes = [f"{width}x{height}" for width, height in (image.size, sr.size)]
    return f"{source} {sizes[0]} -> {target} {sizes[1]}{about}"


def add_models(commands: Commands) -> None:
    option = add_command(commands, run_models, "what the shipped networks are, and their limits")
    option("name", nargs="?", help="such as sr-ugan or sr-ugan_x4; default: all, a line each")


def run_models(options: Namespace) -> int:
    """`srkit models`: the model card of one network, or a list of all."""
    from srkit.paths import shipped

    if options.name:
        names = (*shipped(), *dict.fromkeys(name[:-3] for name in shipped()), "vgg19-small")
        check_name("network", options.name, names)
    from srkit.evaluation.cards import cards, overview

    print(cards(options.name) if options.name else overview(), end="")
    return 0


def add_evaluate(commands: Commands) -> None:
    option = add_command(commands, run_evaluate, "measure methods on photographs")
    option("--data")
    option("--name", help="of the data set in the rows; default: the folder's")
    option("--split", default="all", choices=("train", "val", "all"))
    option("--strict")
    option("--photographs", type=int, help="how many to measure; default: all")
    option("--scale", type=int, default=2)
    option("--methods", nargs="+", help="default: all that there are at this scale")
    about = "measure this network too, ours or of any kind that spandrel knows"
    option("--checkpoint", type=Path, metavar="FILE", help=about)
    about = "FID by protocol, layer, N and resolution instead"
    option("--sensitivity", action="store_true", help=about)
    about = "with a checkerboard of so many levels of 255 laid over the predictions (2x, FID)"
    option("--checkerboard", type=int, nargs="+", metavar="LEVELS", help=about)
    about = "compare with its rows; exit code 1 if they differ"
    option("--check", type=Path, metavar="FILE", help=about)
    option("--record")
    option("--device")


def run_evaluate(options: Namespace) -> int:
    """`srkit evaluate`: print the table, and keep its rows where told to."""
    for method in options.methods or ():
        name = method.removesuffix(" twice")
        check_name("model", name, (*MODELS, "hr"))
        check_has_checkpoint(name, options.scale if name == method else 2, f"as '{name} twice'")
    if options.checkerboard and (options.scale != 2 or options.checkpoint):
        raise ValueError(
            "--checkerboard takes methods by name at 2x: no --scale 4, no --checkpoint"
        )
    from srkit.devices import pick_device
    from srkit.evaluation import lpips, measure, patterns, results, tables

    device, scale = str(pick_device(options.device)), options.scale
    photos = chosen_photos(options, options.split)
    methods = options.methods or measure.available_methods(scale)
    files = {options.checkpoint.stem: options.checkpoint} if options.checkpoint else {}
    measure.check_checkpoints(files, scale)
    methods = [*methods, *files]
    networks, note = measure.available_inception(device, every_layer=options.sensitivity)
    print(f"{photos.name}: {len(photos)} photographs, {scale}x, on {device}\n{note}")
    if not networks and (options.sensitivity or options.checkerboard):
        raise ValueError(note)
    if options.checkerboard:
        run = results.Run("checkerboard", device=device)
        rows = patterns.checkerboard(photos, methods, options.checkerboard, networks[0], run)
        print(results.markdown(*tables.checkerboard_table(rows)), end="")
    elif options.sensitivity:
        sizes = sorted({max(2, len(photos) // part) for part in (4, 2, 1)})
        run = results.Run("sensitivity", device=device)
        rows = measure.sensitivity(photos, networks[0], run, sizes=sizes)
    else:
        run = results.Run("evaluate", device=device)
        perceptual, about = lpips.available_lpips(device)
        print(about)
        rows = measure.measure(methods, photos, scale, run, networks, files, perceptual)
        print(results.markdown(*tables.method_table(rows, methods)), end="")
    tables.record(options.record, rows)
    if options.check:
        text, same = results.check(options.check, rows)
        print(f"\nAgainst {options.check}:\n{text}", end="")
        return 0 if same else 1
    return 0


def add_fid(commands: Commands) -> None:
    option = add_command(commands, run_fid, "the FID between two sets of photographs")
    option("a", metavar="A", help="folder of photographs, or saved statistics (.npz)")
    option("b", metavar="B", nargs="?", help="the same; may be left out with --save")
    about = "what pictures are resized by; default: the files', or pytorch"
    option("--protocol", choices=PROTOCOLS, help=about)
    option("--layer", type=int, choices=LAYERS, help="default: the files', or 2048")
    default = "$SRKIT_INCEPTION, torch's cache, or a download (91 MB)"
    option("--weights", help=f"Inception file or its folder; default: {default}")
    option("--save", type=Path, metavar="FILE", help="keep A's statistics as .npz")
    option("--kid", action="store_true", help="add the Kernel Inception Distance")
    option("--bootstrap", type=int, metavar="ROUNDS", help="add a 95%% interval; 10 or more")
    about = "same photographs by name; with --kid, --bootstrap"
    option("--paired", action="store_true", help=about)
    option("--strict")
    option("--batch", type=int, default=32, help="photographs at once")
    option("--json", action="store_true", help="one JSON object instead of text")
    option("--device")


def run_fid(options: Namespace) -> int:
    """`srkit fid`: the value with all that it depends on, as text or as one JSON object."""
    if options.b is None and options.save is None:
        raise ValueError("fid compares A with B; only with --save is A alone enough")
    for path in filter(None, (options.a, options.b)):
        if not Path(path).exists():
            raise ValueError(f"no folder of photographs or saved statistics at {path}")
    if options.paired and not (options.kid or options.bootstrap):
        raise ValueError("--paired is for --kid or --bootstrap; an FID knows no pairs")
    import dataclasses
    import json
    import warnings

    from srkit.fid.folders import Settings, compare

    names = [field.name for field in dataclasses.fields(Settings)]
    settings = Settings(**{name: getattr(options, name) for name in names})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        comparison = compare(options.a, options.b, options.save, settings)
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        print(f"srkit: warning: {message}", file=sys.stderr)
    print(json.dumps(comparison.as_dict()) if options.json else comparison)
    return 0


def add_bench(commands: Commands) -> None:
    option = add_command(commands, run_bench, "measure speed against other programs")
    option("what", choices=["fid", "train", "upscale"])
    option("--weights", help="Inception file; default: untrained, which takes as long")
    option("--data", help="the photographs to time on")
    option("--quick", action="store_true", help="toy sizes, to see that it runs")
    option("--batch", type=int, help="of bench train; default: 32 on a GPU, else 1")
    option("--models", nargs="+", choices=GENERATORS, help="of bench upscale; default: all")
    option("--rounds", type=int, default=5, help="alternated repetitions")
    option("--record")
    option("--device", default=None, help="auto, cpu or cuda; default: cpu for fid, else auto")


def run_bench(options: Namespace) -> int:
    """`srkit bench`: a table of ratios, and its rows where told to."""
    from srkit.evaluation import tables
    from srkit.evaluation.bench_fid import bench_fid, summary
    from srkit.evaluation.bench_training import bench_train
    from srkit.evaluation.bench_upscale import TOY, bench_upscale

    rounds, quick = options.rounds, options.quick
    device = options.device or ("cpu" if options.what == "fid" else "auto")
    parts: Iterable[list[Row]]
    if options.what == "fid":
        parts = [bench_fid(options.data, options.weights, rounds, quick, device)]
    elif options.what == "upscale":
        models = options.models or (TOY if quick else GENERATORS)
        parts = (bench_upscale(model, rounds, quick, device) for model in models)
    else:
        parts = [bench_train(options.batch, rounds, quick, device)]
    for rows in parts:  # each recorded as soon as it is there
        print(summary(rows), end="", flush=True)
        tables.record(options.record, rows)
    return 0
