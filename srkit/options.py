"""The command line's options: what `python -m srkit COMMAND` understands."""

import argparse
from pathlib import Path


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
    from srkit.recipes import Recipe

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
