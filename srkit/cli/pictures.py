"""`srkit upscale`, `evaluate`, `fid` and `bench`."""

import sys
from argparse import Namespace
from pathlib import Path

from srkit.cli.options import Commands, add_command, chosen_photos


def add_upscale(commands: Commands) -> None:
    option = add_command(commands, run_upscale, "enlarge a picture or a folder of pictures")
    option("source", type=Path, help="a picture, or a folder of pictures")
    option("target", type=Path, help="the file or folder to write")
    option("--model", default="sr-ugan", help="bicubic, ..., srgan or sr-ugan")
    option("--scale", type=int, default=2)
    option("--checkpoint", type=Path, help="instead of the shipped one")
    option("--device")


def run_upscale(options: Namespace) -> int:
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
    for file in photo_files(options.source) if folder else [options.source]:
        target = options.target / f"{file.stem}.png" if folder else options.target
        picture = Image.fromarray(read_photo(file))
        sr = upscale(picture, options.model, options.scale, options.checkpoint, device)
        target.parent.mkdir(parents=True, exist_ok=True)
        sr.save(target)
        print(f"{file.name} {picture.width}x{picture.height} -> {target} {sr.width}x{sr.height}")
    return 0


def add_evaluate(commands: Commands) -> None:
    option = add_command(commands, run_evaluate, "measure methods on photographs")
    option("--data")
    option("--name", help="of the data set in the rows; default: the folder's")
    option("--split", default="all", help="train, val or all")
    option("--strict")
    option("--photographs", type=int, help="how many to measure; default: all")
    option("--scale", type=int, default=2)
    option("--methods", nargs="+", help="default: all that there are at this scale")
    about = "FID by protocol, layer, N and resolution instead"
    option("--sensitivity", action="store_true", help=about)
    about = "compare with its rows; exit code 1 if they differ"
    option("--check", type=Path, metavar="FILE", help=about)
    option("--record")
    option("--device")


def run_evaluate(options: Namespace) -> int:
    """`srkit evaluate`: print the table, and keep its rows where told to."""
    from srkit.devices import pick_device
    from srkit.evaluation import measure, results, tables

    device, scale = str(pick_device(options.device)), options.scale
    photos = chosen_photos(options, options.split)
    methods = options.methods or measure.available_methods(scale)
    networks, note = measure.available_inception(device, every_layer=options.sensitivity)
    print(f"{photos.name}: {len(photos)} photographs, {scale}x, on {device}\n{note}")
    if options.sensitivity:
        if not networks:
            raise ValueError(note)
        sizes = sorted({max(2, len(photos) // part) for part in (4, 2, 1)})
        run = results.Run("sensitivity", device=device)
        rows = measure.sensitivity(photos, networks[0], run, sizes=sizes)
    else:
        run = results.Run("evaluate", device=device)
        rows = measure.measure(methods, photos, scale, run, networks)
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
    option("--protocol", help="pytorch, tf or clean; default: the files', or pytorch")
    option("--layer", type=int, help="2048, 768, 192 or 64; default: the files', or 2048")
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
    import json
    import warnings

    from srkit.fid.folders import compare

    if options.b is None and options.save is None:
        raise ValueError("fid compares A with B; only with --save is A alone enough")
    names = ("protocol", "layer", "weights", "save", "paired", "batch", "device", "strict")
    settings = {name: getattr(options, name) for name in names}
    settings |= {"with_kid": options.kid, "rounds": options.bootstrap}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        comparison = compare(options.a, options.b, **settings)
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        print(f"srkit: warning: {message}", file=sys.stderr)
    print(json.dumps(comparison.as_dict()) if options.json else comparison)
    return 0


def add_bench(commands: Commands) -> None:
    option = add_command(commands, run_bench, "measure speed against other programs")
    option("what", choices=["fid", "train"])
    option("--weights", help="Inception file; default: untrained, which takes as long")
    option("--data", help="the photographs to time on")
    option("--quick", action="store_true", help="toy sizes, to see that it runs")
    option("--batch", type=int, help="of bench train; default: 32 on a GPU, else 1")
    option("--rounds", type=int, default=5, help="alternated repetitions")
    option("--record")
    option("--device", default=None, help="auto, cpu or cuda; default: cpu for fid, auto for train")


def run_bench(options: Namespace) -> int:
    """`srkit bench`: a table of ratios, and its rows where told to."""
    from srkit.evaluation import tables
    from srkit.evaluation.bench_fid import bench_fid, summary
    from srkit.evaluation.bench_training import bench_train

    rounds, quick = options.rounds, options.quick
    if options.what == "fid":
        rows = bench_fid(options.data, options.weights, rounds, quick, options.device or "cpu")
    else:
        rows = bench_train(options.batch, rounds, quick, options.device or "auto")
    print(summary(rows), end="")
    tables.record(options.record, rows)
    return 0
