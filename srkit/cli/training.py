"""`srkit train`, `ablation`, `distil`, `ship` and `pack`."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srkit.cli.options import Commands, add_command, chosen_photos, settings_of
from srkit.training.recipe import Recipe
from srkit.training.recipes import RECIPES, stages
from srkit.training.variants import FULL, VARIANTS, variant

if TYPE_CHECKING:
    from srkit.data.photos import Photos


def add_train(commands: Commands) -> None:
    option = add_command(commands, run_train, "train a model by a recipe; resumes by itself")
    names = ", ".join(name for name in RECIPES if not name.endswith("-4x"))
    about = f"{names}; with -4x behind, native 4x"
    option("--recipe", "--model", dest="recipe", default="sr-ugan", help=about)
    option("--scale", type=int, help="2 or 4; default: the recipe's")
    option("--preset")
    option("--data")
    option("--held-out", help="folder of photographs to watch (default: the val split)")
    about = "refuse to train on these photographs, such as Set5's"
    option("--keep-out", nargs="+", default=[], metavar="FOLDER", help=about)
    option("--content")
    about = "generator checkpoint, in place of the stages before"
    option("--start-from", default="", help=about)
    about = "the recipe itself alone, from fresh weights"
    option("--from-scratch", action="store_true", help=about)
    option("--skip-small", action="store_true", help="leave out what the crop exceeds")
    option("--strict")
    about = "go on with a run although its photographs are others than before"
    option("--accept-changed-photos", dest="accept_changed", action="store_true", help=about)
    option("--out", type=Path, help="default: runs/PRESET/train-MODEL-xSCALE")
    option("--device")
    about = "loading processes; default: the cores on a GPU, else 0"
    option("--workers", type=int, default=-1, help=about)
    option("--minutes", type=float, help="save and stop after so long; the same command goes on")
    option("--tensorboard", action="store_true", help="log for TensorBoard too")
    option("--set", help="a field of the recipe, such as batch=16 or weights.mse=0")
    option("--set-before")


def run_train(options: Namespace) -> int:
    """`srkit train`: write runs/.../generator.safetensors and print where it is."""
    from srkit import paths

    changes = settings_of(options)
    if options.start_from:
        changes["start_from"] = options.start_from
    plans = stages(options.recipe, options.preset, options.scale, **changes)
    plans, plan = plans[-1:] if options.from_scratch else plans, plans[-1]
    check_stages(options, plans)
    out = options.out or paths.runs(options.preset) / plan.folder
    check_outside(out, [options.data, options.held_out or "", *options.keep_out])
    from srkit.training import distributed
    from srkit.training.loop import train_stages

    photos, held_out = photographs(options, plan)
    names = ("content", "device", "workers", "tensorboard", "minutes", "accept_changed")
    settings = {name: getattr(options, name) for name in names}
    first = distributed.first()
    if first:
        print(f"{plan}\n{len(photos)} photographs of {len(photos.classes)} classes; into {out}")
    settings["metadata"] = {"preset": options.preset, "commit": paths.commit()}
    try:
        path = train_stages(plans, photos, held_out, out, **settings)
    finally:
        distributed.leave()
    if first:
        print(f"wrote {path}")
    return 0


def check_stages(options: Namespace, plans: Sequence[Recipe]) -> None:
    """Raise ValueError where --set-before is to change stages that are not there."""
    if options.set_before and len(plans) == 1:
        raise ValueError(
            f"--set-before {options.set_before[0]}: {plans[0].name} in the preset {options.preset}"
            " has no stage before the last here; change it with --set, or leave that out"
        )


def check_outside(out: Path, sources: Sequence[str]) -> None:
    """Raise ValueError where a run would be written among the photographs that it is trained on or
    watched by, and its samples be taken for some of them."""
    for source in sources:
        folder = Path(source.rpartition(":")[2])
        if source and folder.is_dir() and out.resolve().is_relative_to(folder.resolve()):
            raise ValueError(
                f"--out {out} lies in the photographs' own folder {folder}, where its samples would"
                " be taken for photographs: name a folder outside of it"
            )


def photographs(options: Namespace, plan: Recipe) -> tuple["Photos", "Photos"]:
    """Those to train on, and those to watch."""
    from srkit.data.leakage import check_apart
    from srkit.data.sources import open_photos

    strict = options.strict
    photos = open_photos(options.data, "train", plan.per_class, plan.short_side, strict)
    source, split = options.held_out or options.data, "all" if options.held_out else "val"
    held_out = open_photos(source, split, strict=strict)
    for folder in options.keep_out:
        check_apart(photos, open_photos(folder, "all"))
    return photos.without_small(plan.crop) if options.skip_small else photos, held_out


def add_ablation(commands: Commands) -> None:
    option = add_command(commands, run_ablation, "SR-UGAN without each of its parts in turn")
    option("--preset")
    option("--data")
    option("--name", help="of the held-out photographs; default: the folder's")
    option("--photographs", type=int, help="held-out ones to measure; default: all")
    option("--strict")
    option("--seeds", type=int, nargs="+", default=[0])
    option("--variants", nargs="+", help="default: all")
    option("--content")
    option("--out", type=Path, help="default: runs/ablation-PRESET")
    option("--record")
    option("--device")
    option("--set", help="change a field of every recipe")
    option("--set-before")


def run_ablation(options: Namespace) -> int:
    """`srkit ablation`: train and measure the variants, print their table, keep the rows."""
    from srkit import paths

    changes, names = settings_of(options), options.variants or VARIANTS
    plans = {name: variant(name, options.preset, **changes) for name in names}
    if not options.variants:  # the whole, and all that differs from it in this preset
        plans = {name: plan for name, plan in plans.items() if name == FULL or plan != plans[FULL]}
    check_stages(options, max(plans.values(), key=len))
    out = options.out or paths.runs(f"ablation-{options.preset}")
    check_outside(out, [options.data])
    from srkit.data.sources import open_photos
    from srkit.devices import pick_device
    from srkit.evaluation import ablation, results, tables
    from srkit.evaluation.measure import available_inception

    device = str(pick_device(options.device))
    photos = open_photos(options.data, "train", strict=options.strict)
    held_out = chosen_photos(options, "val")
    networks, note = available_inception(device)
    print(f"{len(photos)} photographs, {len(held_out)} held out, on {device}; {note}")
    run = results.Run("ablation", options.preset, device=device)
    files = ablation.train_variants(
        plans, options.seeds, photos, held_out, out, run, options.content
    )
    rows = ablation.measure_variants(files, plans, held_out, networks, run)
    print(results.markdown(*tables.ablation_table(rows)), end="")
    tables.record(options.record, rows)
    return 0


def add_distil(commands: Commands) -> None:
    option = add_command(commands, run_distil, "train a small content network on VGG19's features")
    option("--data")
    option(
        "--content", default="torchvision", help="the VGG19 to learn from: torchvision or a file"
    )
    option("--updates", type=int, default=3_000)
    option("--seed", type=int, default=0)
    option("--photographs", type=int, default=32, help="held-out ones that measure how they agree")
    option("--out", dest="save", type=Path, required=True, help="a .safetensors for --content")
    option("--strict")
    option("--device")


def run_distil(options: Namespace) -> int:
    """`srkit distil`: write a small content network, with how far it agrees with VGG19 inside."""
    from srkit import paths
    from srkit.data.crops import centre_crops
    from srkit.data.leakage import check_apart
    from srkit.data.sources import open_photos
    from srkit.evaluation.agreement import agreement, told
    from srkit.training.distil import distil
    from srkit.weights import load_vgg19, save_small

    photos = open_photos(options.data, "train", strict=options.strict)
    held_out = open_photos(options.data, "val", strict=options.strict)
    check_apart(photos, held_out)
    teacher, commit = load_vgg19(options.content, "relu3_1"), paths.commit()
    network = distil(teacher, photos, options.updates, seed=options.seed, device=options.device)
    facts = {"teacher": teacher.name, "data": photos.name, "photographs": len(photos)}
    facts |= {"iterations": options.updates, "seed": options.seed, "commit": commit}
    hr = centre_crops(held_out, 96, options.photographs)
    facts |= {"held_out": f"{held_out.name}, {len(hr)} crops of {hr.shape[-1]}x{hr.shape[-1]}"}
    path = save_small(options.save, network, teacher.feature_scale, facts)
    found = agreement(str(path), options.content, hr)
    save_small(path, network, teacher.feature_scale, facts | {"agreement": found})
    print(f"{told(found)}wrote {path}")
    return 0


def add_ship(commands: Commands) -> None:
    option = add_command(commands, run_ship, "make a trained generator the shipped one of its name")
    option("folder", type=Path, help="a run's folder, such as runs/gpu/train-sr-ugan-x2")
    option("--name", help="default: the recipe's")
    option("--force", action="store_true", help="of a toy preset, or not trained to the end, too")


def run_ship(options: Namespace) -> int:
    """`srkit ship`: into the package's checkpoints, with the time that the run has taken."""
    source = options.folder / "generator.safetensors"
    if not source.is_file():
        raise ValueError(f"no {source}: name the folder of a run that has been trained")
    from srkit.training.run_folder import minutes_of
    from srkit.weights import load_generator, ship

    name = options.name or load_generator(source)[1]["training"].get("recipe", {}).get("name")
    if not isinstance(name, str):
        raise ValueError(f"{source} does not say the name of its recipe: give --name")
    facts = {"minutes": minutes_of(options.folder)}
    path = ship(source, name.removesuffix("-4x"), facts, options.force)
    print(f"shipped {path}")
    return 0


def add_pack(commands: Commands) -> None:
    option = add_command(commands, run_pack, "decode photographs once, for fast training")
    option("--data")
    option("--out", type=Path, required=True, help="train with --data packed:OUT")
    option("--strict")
    option("--split", nargs="+", default=["train", "val"], choices=["train", "val"])
    about = "resize the train split so, as a recipe's short_side does"
    option("--short-side", type=int, metavar="PIXELS", help=about)
    option("--per-class", type=int, help="of the train split, only so many a class")


def run_pack(options: Namespace) -> int:
    """`srkit pack`: a packed set a split, in OUT/train and OUT/val, where `packed:OUT` looks."""
    import time

    changes = {"per_class": options.per_class, "short_side": options.short_side}
    if options.data == "embedded" and any(changes.values()):
        raise ValueError(
            "the embedded photographs are tiles of one size: --short-side and --per-class do not"
            " apply to them"
        )
    if "train" not in options.split and any(changes.values()):
        raise ValueError("--short-side and --per-class are for the train split; val is kept whole")
    from srkit.data.packed import PIXELS, is_packed, pack
    from srkit.data.sources import open_photos

    sets = {}
    for split in dict.fromkeys(options.split):
        own = changes if split == "train" else {}
        sets[split] = open_photos(options.data, split, **own, strict=options.strict)
    there = {split: is_packed(photos, options.out / split) for split, photos in sets.items()}
    for split, photos in sets.items():
        began, folder = time.perf_counter(), options.out / split
        pack(photos, folder, progress=True)
        size, seconds = (folder / PIXELS).stat().st_size, time.perf_counter() - began
        took = "packed already" if there[split] else f"{seconds:.1f} s"
        print(f"{folder}: {len(photos)} photographs, {size:,} bytes, {took}")
    print(f"train on them with --data packed:{options.out}")
    return 0
