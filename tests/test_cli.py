"""`srkit train`: a run from the command line, and one line for each kind of bad input."""

import subprocess
import sys

import pytest
import torch
from PIL import Image
from torch import nn

from srkit import fid
from srkit.cli import main, parse_setting, parser
from srkit.cli.pictures import INTERPOLATIONS, LAYERS, MODELS, NETWORKS, PROTOCOLS
from srkit.fid import inception
from srkit.files import SrkitError
from srkit.models import VGG19, build_generator
from srkit.settings import Weights
from srkit.training.recipes import recipe
from srkit.training.run_folder import read_log
from srkit.weights import load_generator, methods, save_generator

SMOKE = ["train", "--preset", "smoke", "--device", "cpu"]


def refused(capsys, *arguments) -> str:
    """The one line on stderr of a command that ends with exit code 2."""
    assert main([*SMOKE, *map(str, arguments)]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("srkit: ") and printed.count("\n") == 1, printed
    return printed


@pytest.fixture
def folder(make_folder):
    return make_folder({f"{c}/{n}.png": (40, 36) for c in ("cat", "dog") for n in range(6)})


@pytest.fixture
def tiny_vgg(monkeypatch):
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    monkeypatch.setattr(
        "srkit.training.state.load_vgg19", lambda *_: VGG19(network, "relu1_1", "tiny")
    )


def test_smoke_training_with_the_real_networks_ends_well(tmp_path, capsys):
    out = tmp_path / "run"
    assert main([*SMOKE, "--out", str(out), "--set", "iterations=2"]) == 0
    printed = capsys.readouterr().out
    assert "Recipe(" in printed and str(out / "generator.safetensors") in printed
    _, metadata = load_generator(out / "generator.safetensors", "sr-ugan", 2)
    assert metadata["training"]["preset"] == "smoke"
    assert metadata["training"]["data"] == "embedded-train"
    assert "small content network" in metadata["training"]["content"]  # a test has no VGG19
    assert len(read_log(out)) == 2


def test_a_folder_a_scale_and_settings_are_passed_on(tmp_path, folder, tiny_vgg):
    arguments = ["--data", str(folder), "--model", "srgan", "--scale", "4", "--out", str(tmp_path)]
    assert main([*SMOKE, *arguments, "--set", "iterations=1", "--set", "width=4"]) == 0
    _, metadata = load_generator(tmp_path / "generator.safetensors", "srgan", 4)
    assert metadata["settings"]["width"] == 4
    assert metadata["training"]["classes"] == 2


def test_the_same_command_goes_on_and_another_is_refused(tmp_path, folder, capsys):
    command = [*SMOKE, "--model", "srresnet", "--data", str(folder), "--out", str(tmp_path)]
    assert main(command) == main(command) == 0
    assert main([*command, "--set", "batch=1"]) == 1
    printed = capsys.readouterr().err
    assert "batch 1 (now) and 2 (then)" in printed and "Traceback" not in printed


def test_an_interrupted_command_says_so_by_its_code(tmp_path, folder, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("srkit.training.loop.train_step", interrupt)
    command = [*SMOKE, "--model", "srresnet", "--data", str(folder), "--out", str(tmp_path)]
    assert main(command) == 130


def test_srgan_starts_from_srresnet_by_option(tmp_path, folder, tiny_vgg):
    common = [*SMOKE, "--data", str(folder)]
    first, second = tmp_path / "srresnet", tmp_path / "srgan"
    assert main([*common, "--model", "srresnet", "--out", str(first)]) == 0
    start = str(first / "generator.safetensors")
    assert main([*common, "--model", "srgan", "--out", str(second), "--start-from", start]) == 0
    _, metadata = load_generator(second / "generator.safetensors")
    assert metadata["training"]["recipe"]["start_from"].startswith("srresnet, sha256 ")


def test_one_command_trains_all_stages_or_the_last_alone(tmp_path, folder, tiny_vgg, capsys):
    common = [*SMOKE, "--data", str(folder), "--model", "srgan", "--out", str(tmp_path / "gan")]
    assert main([*common, "--from-scratch"]) == 0
    assert [path.name for path in tmp_path.iterdir() if path.name != "photos"] == ["gan"]
    assert main([*common[:-1], str(tmp_path / "both")]) == 0
    assert "stage 1 of 2: srresnet into" in capsys.readouterr().out
    assert (tmp_path / "train-srresnet-x2" / "generator.safetensors").is_file()


# --- Bad input -----------------------------------------------------------------------------------


def test_an_unknown_model_preset_or_scale(capsys, tmp_path):
    assert "accepted: srresnet, srgan, sr-ugan" in refused(capsys, "--model", "esrgan")
    assert "accepted: smoke, demo" in refused(capsys, "--preset", "huge")
    assert "2 or 4, not 3" in refused(capsys, "--scale", 3, "--out", tmp_path)


def test_a_missing_or_empty_folder(capsys, tmp_path):
    missing = tmp_path / "nowhere"
    assert str(missing) in refused(capsys, "--data", missing)
    assert str(tmp_path) in refused(capsys, "--data", tmp_path)
    assert str(missing) in refused(capsys, "--held-out", missing)


def test_a_folder_too_small_for_a_split_of_its_own(capsys, make_folder):
    root = make_folder({"only.png": (40, 40)})
    assert str(root) in refused(capsys, "--data", root)


def test_photographs_smaller_than_the_crop(capsys, tmp_path, make_folder):
    root = make_folder({f"{n:02}.png": (40, 40 if n else 31) for n in range(1, 12)}, "good")
    small = make_folder({f"{n:02}.png": (31, 40) for n in range(12)}, "small")
    out = tmp_path / "out"
    told = refused(capsys, "--data", small, "--out", out, "--model", "srresnet")
    assert "01.png (31x40)" in told and "--skip-small" in told
    assert "small" in refused(capsys, "--data", small, "--skip-small", "--out", out)
    (root / "99.png").write_bytes((small / "00.png").read_bytes())
    command = [*SMOKE, "--data", str(root), "--out", str(out), "--model", "srresnet"]
    assert main(command) == 2
    assert main([*command, "--skip-small"]) == 0


def test_an_unreadable_photograph(capsys, tmp_path, folder):
    (folder / "cat" / "bad.png").write_text("no picture")
    command = ["--data", folder, "--out", tmp_path / "out", "--model", "srresnet"]
    assert "bad.png: no readable image" in refused(capsys, *command, "--strict")
    assert main([*SMOKE, *map(str, command)]) == 0
    printed = capsys.readouterr()
    assert "10 photographs of 2 classes" in printed.out
    assert printed.err.count("bad.png: no readable image") == 1


def test_a_run_among_its_own_photographs_is_refused(capsys, folder):
    for out in (folder, folder / "runs" / "a"):
        told = refused(capsys, "--data", folder, "--out", out, "--model", "srresnet")
        assert f"--out {out} lies in the photographs' own folder" in told
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("option", ["--record", "--check"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is damaged"),
        ('{"rows": [1, 2]}', "row 0 has no method"),
        ('{"rows": [{"method": "a", "metric": "b", "source": "c", "value": NaN}]}', "value nan"),
        ("folder", "is a folder"),
    ],
)
def test_a_results_file_is_looked_at_before_the_work(
    capsys, tmp_path, monkeypatch, option, content, said
):
    def work(*_, **__):
        raise AssertionError("it began")

    monkeypatch.setattr("srkit.evaluation.measure.measure", work)
    file = tmp_path / "results.json"
    file.mkdir() if content == "folder" else file.write_text(content)
    assert main(["evaluate", "--photographs", "1", option, str(file)]) == 2
    printed = capsys.readouterr().err
    expected = "there is no such" if (option, content) == ("--check", "folder") else said
    assert str(file) in printed and expected in printed and printed.count("\n") == 1


def test_results_go_into_json_files(capsys, tmp_path):
    assert main(["evaluate", "--record", str(tmp_path / "results.md")]) == 2
    assert "results.md: results are JSON" in capsys.readouterr().err


def test_a_method_that_is_mistyped_is_refused_before_the_work(capsys, monkeypatch):
    monkeypatch.setattr("srkit.evaluation.measure.one_pass", lambda *_: 1 / 0)
    command = ["evaluate", "--photographs", "1", "--methods", "bicubic", "sr-ugna"]
    assert main(command) == 2
    assert "unknown model 'sr-ugna'; accepted" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--start-from", "--content"])
def test_a_missing_weights_file(capsys, tmp_path, option):
    missing = tmp_path / "nowhere.pth"
    assert str(missing) in refused(capsys, option, missing, "--out", tmp_path / "out")


def test_a_damaged_weights_file(capsys, tmp_path):
    bad = tmp_path / "bad.pth"
    bad.write_bytes(b"cut off")
    assert str(bad) in refused(capsys, "--content", bad, "--out", tmp_path / "out")


def test_a_device_that_is_not_there(capsys, tmp_path):
    assert "'warp'" in refused(capsys, "--device", "warp", "--out", tmp_path)
    if not torch.cuda.is_available():
        assert "no CUDA device" in refused(capsys, "--device", "cuda", "--out", tmp_path)


@pytest.mark.parametrize(
    "setting",
    [
        "batch",
        "batch=",
        "batch=abc",
        "batch=1.5",
        "batch=True",
        "batch=0",
        "crop=-32",
        "iterations=1e4",
        "learning_rate=fast",
        "class_loss=yes",
        "unet=8",
        "betas=0.9",
        "weights.mse=-1",
        "learning_rate=1e999",
        "blocks=100",
        "momentum=0.9",
        "scale=4",
        "model=srgan",
        "weights=(1,1,1)",
        "log_every=0",
        "=3",
        "",
    ],
)
def test_a_bad_setting(capsys, tmp_path, setting):
    told = refused(capsys, "--set", setting, "--out", tmp_path, "--model", "srresnet")
    assert setting.partition("=")[0] in told


@pytest.mark.parametrize("minutes", ["nan", "inf", "-1"])
def test_minutes_that_make_no_sense(capsys, tmp_path, minutes):
    told = refused(capsys, "--minutes", minutes, "--out", tmp_path / "out", "--model", "srresnet")
    assert f"minutes must be a number of 0 or more, not {float(minutes)}" in told
    assert not (tmp_path / "out").exists()


def test_an_error_of_several_lines_is_one_line(capsys, monkeypatch):
    def fail(*_, **__):
        raise OSError("first\nsecond")

    monkeypatch.setattr("srkit.data.sources.open_photos", fail)
    assert refused(capsys, "--model", "srresnet") == "srkit: first second\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("batch=16", 16),
        ("learning_rate=1e-4", 1e-4),
        ("learning_rate=1", 1),
        ("class_loss=False", False),
        ("compile=true", True),
        ("unet=(8, 16)", (8, 16)),
        ("per_class=None", None),
        ("per_class=180", 180),
        ("content_layer=relu3_1", "relu3_1"),
    ],
)
def test_a_good_setting(text, expected):
    assert parse_setting(text) == (text.partition("=")[0], expected)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--help"], 0, "pack      decode photographs once"),
        (["train", "--help"], 0, "--keep-out FOLDER"),
        (["upscale", "--help"], 0, "--precision {auto,bf16,fp32}"),
        (["train", "--colour"], 2, "unrecognized arguments: --colour"),
        (["bench", "speed"], 2, "invalid choice: 'speed'"),
        (["fid", "a", "b", "--protocol", "pil"], 2, "invalid choice: 'pil'"),
        (["fid", "a", "b", "--layer", "3"], 2, "invalid choice: 3"),
        ([], 2, "required: COMMAND"),
    ],
)
def test_help_and_errors_about_options_load_nothing_heavy(arguments, code, said):
    done = in_a_new_process(arguments)
    assert done.returncode == code
    assert said in done.stdout + done.stderr and "heavy: []" in done.stdout


def in_a_new_process(arguments: list[str]) -> subprocess.CompletedProcess:
    """A command that prints in the end which of the modules that take long it has loaded."""
    program = (
        "import sys\n"
        "from srkit.cli import main\n"
        "try:\n"
        "    sys.exit(main(sys.argv[1:]))\n"
        "finally:\n"
        "    heavy = {'torch', 'numpy', 'matplotlib', 'PIL', 'papermill'}\n"
        "    print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_every_command_has_its_function():
    options = {
        "report": [],
        "lab": [],
        "site": [],
        "upscale": ["a", "b"],
        "evaluate": [],
        "fid": ["a"],
    }
    options |= {"models": [], "distil": ["--out", "a.safetensors"]}
    options |= {"bench": ["fid"], "train": [], "ablation": [], "ship": ["run"]}
    for name, needed in (options | {"pack": ["--out", "packed"]}).items():
        assert parser().parse_args([name, *needed]).run.__name__ == f"run_{name}"


def test_a_weight_of_the_losses_can_be_set():
    changes = dict(parse_setting(text) for text in ("weights.classes=1e-3", "weights.mse=0"))
    plan = recipe("sr-ugan", "smoke", **changes)
    assert plan.weights == Weights(mse=0, content=1.0, adversarial=1e-3, classes=1e-3)
    with pytest.raises(ValueError, match=r"one of .*weights\.mse"):
        parse_setting("weights.colour=1")


def test_train_in_pieces_says_to_be_continued_and_ships_at_the_end(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("srkit.paths.CHECKPOINTS", tmp_path / "checkpoints")
    out = tmp_path / "runs" / "out"
    command = ["train", "--recipe", "srgan", "--preset", "smoke", "--content", "untrained"]
    command += ["--out", str(out), "--device", "cpu", "--set", "iterations=2", "--minutes", "0"]
    assert main(command) == 130  # to be continued
    said = capsys.readouterr().out
    assert "stage 1 of 2" in said and "stopped at step 1 and saved" in said
    assert main(command[:-2]) == 0
    (tmp_path / "checkpoints").mkdir()
    assert main(["ship", str(out)]) == 2
    assert "of the preset smoke: train" in capsys.readouterr().err
    assert main(["ship", str(out), "--force"]) == 0
    path = tmp_path / "checkpoints" / "srgan_x2.safetensors"
    training = load_generator(path, "srgan", 2)[1]["training"]
    assert training["iterations"] == 2 and training["minutes"] >= 0 and training["device"] == "CPU"


def test_the_same_command_twice_gives_the_same_bytes(tmp_path, folder, tiny_vgg):
    """On one machine with as many threads; checkpoints hold the folder's name nowhere."""
    made = []
    for name in ("one", "two"):
        out = tmp_path / name
        assert main([*SMOKE, "--data", str(folder), "--out", str(out / "run")]) == 0
        network = ["--checkpoint", str(out / "run" / "generator.safetensors"), "--device", "cpu"]
        assert main(["upscale", str(folder), "-o", str(out / "sr"), *network]) == 0
        results = ["--record", str(out / "a.json"), *network, "--methods", "bicubic"]
        assert main(["evaluate", "--data", str(folder), *results]) == 0
        files = (f for f in out.rglob("*") if f.is_file() and f.name != "times.jsonl")
        made.append({f.relative_to(out): f.read_bytes() for f in files})
    assert made[0].keys() == made[1].keys() and len(made[0]) > 15
    assert [f for f in made[0] if made[0][f] != made[1][f]] == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    command = ["train", "--recipe", "srresnet", "--preset", "smoke", "--device", "cpu"]
    assert main([*command, "--out", str(tmp_path / "file" / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("train --preset huge", "accepted: smoke, demo"),
        ("train --model esrgan", "unknown recipe 'esrgan'; accepted: srresnet"),
        ("train --data nowhere", "no photo folder at nowhere"),
        ("train --keep-out nowhere", "no photo folder at nowhere"),
        ("train --content nowhere.pth", "no file at nowhere.pth (--content)"),
        ("train --start-from nowhere", "no file at nowhere (--start-from)"),
        ("train --device warp", "unknown device 'warp'; accepted: auto, cpu, cuda"),
        ("train --minutes nan", "--minutes must be a number of 0 or more, not nan"),
        ("evaluate --methods sr-ugna", "unknown model 'sr-ugna'; accepted"),
        ("evaluate --photographs -3", "--photographs must be a number of 1 or more"),
        ("evaluate --scale 0", "--scale must be a number of 1 or more"),
        ("evaluate --checkpoint nowhere", "no file at nowhere (--checkpoint)"),
        ("evaluate --record a.txt", "results are JSON"),
        ("fid nowhere .", "no folder of photographs or saved statistics at nowhere"),
        ("fid .", "only with --save is A alone enough"),
        ("fid . . --batch 0", "--batch must be a number of 1 or more"),
        ("report --data nowhere", "no photo folder at nowhere"),
        ("ablation --seeds 0 -1", "--seeds must be a number of 0 or more, not -1"),
        ("pack --out a --short-side 0", "--short-side must be a number of 1 or more"),
        (f"pack --out {__file__}", "test_cli.py is no folder to write it in"),
        ("bench fid --rounds 0", "--rounds must be a number of 1 or more"),
        ("train --set batch=0", "batch must be 1 or more, not 0"),
        ("train --set content_layer=relu9_9", "VGG19 has no layer 'relu9_9'; accepted: conv1_1"),
        ("train --set-before batch=4", "sr-ugan in the preset demo has no stage before the last"),
        ("ablation --set-before batch=4", "has no stage before the last here; change it with"),
        ("report --only 07", "no notebook '07'; accepted: 01_interpolation_baselines"),
        ("report -p colour red", "unknown parameter 'colour'; accepted: content, data, device"),
        ("train --preset cpu --set-before crop=33", "crop must be a multiple of the scale"),
        ("train --set colour=1", "expected FIELD=VALUE with one of blocks"),
        ("train --model srgan-4x --scale 2", "is for 4x, not 2x"),
        ("train --out /proc/x", "--out /proc/x/lock cannot be written: /proc is no folder to"),
        ("train --data . --out here", "lies in the photographs' own folder"),
        ("ablation --variants nothing", "unknown variant 'nothing'; accepted: SR-UGAN, without"),
        ("ablation --data . --out here", "lies in the photographs' own folder"),
        ("evaluate --methods srgan --scale 3", "no 3x checkpoint of srgan; accepted: 2x and 4x"),
        ("evaluate --record /proc/x/a.json", "/proc is no folder to write it in"),
        ("fid . . --bootstrap 3", "--bootstrap must be a number of 10 or more"),
        ("fid . . --paired", "--paired is for --kid or --bootstrap"),
        ("fid . . --weights nowhere", "nothing at nowhere (--weights)"),
        ("pack --out a --short-side 9", "the embedded photographs are tiles of one size"),
        ("ship nowhere", "no nowhere/generator.safetensors: name the folder of a run"),
        ("models nothing", "unknown network 'nothing'; accepted: sr-ugan"),
    ],
)
def test_what_needs_no_torch_is_refused_before_it_is_loaded(arguments, said):
    done = in_a_new_process(arguments.split())
    assert done.returncode == 2 and "torch" not in done.stdout, done
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_what_fid_takes_is_what_there_is():
    assert list(PROTOCOLS) == list(fid.PROTOCOLS) and list(LAYERS) == list(inception.LAYERS)


def test_an_error_of_the_system_says_what_to_do(monkeypatch, capsys):
    error = OSError(5, "Input/output error", "photo.png")
    monkeypatch.setattr("srkit.evaluation.cards.overview", fails(error))
    assert main(["models"]) == 2
    said = "srkit: photo.png: Input/output error; see that it is there and yours, or name another"
    assert capsys.readouterr().err == f"{said}\n"


def test_all_errors_of_the_package_have_one_base(monkeypatch, capsys):
    from srkit.data import DataError
    from srkit.files import LockedError
    from srkit.files.picture_files import PictureError
    from srkit.notebook.report import NotebookError
    from srkit.training.recipe import TrainingError
    from srkit.weights import WeightsError

    input_errors = (DataError, LockedError, PictureError, WeightsError)
    codes = dict.fromkeys(input_errors, 2) | dict.fromkeys((NotebookError, TrainingError), 1)
    assert set(SrkitError.__subclasses__()) == set(codes)
    for error, code in codes.items():
        monkeypatch.setattr("srkit.evaluation.cards.overview", fails(error("why")))
        assert main(["models"]) == code and capsys.readouterr().err == "srkit: why\n"


def fails(error):
    def fail():
        raise error

    return fail


# --- upscale -------------------------------------------------------------------------------------


@pytest.fixture
def pictures(make_folder):
    """Three pictures, a damaged one between them, and one in a subfolder."""
    root = make_folder({"a.png": (13, 9), "c.jpg": (8, 8), "sub/a.png": (5, 4)})
    (root / "b.png").write_bytes((root / "a.png").read_bytes()[:100])
    return root


def size(path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_the_models_of_the_command_are_those_of_the_table():
    assert methods("interpolation") == list(INTERPOLATIONS)
    assert methods("network") == list(NETWORKS)
    assert methods("interpolation", "network", "peer") == list(MODELS)


@pytest.mark.parametrize("model", ["bicubic", "srgan"])
def test_one_bad_picture_does_not_stop_the_others(pictures, tmp_path, capsys, model):
    out = tmp_path / "out"
    assert main(["upscale", str(pictures), "-o", str(out), "--model", model]) == 2
    printed = capsys.readouterr()
    assert "3 done, 0 kept, 1 failed" in printed.out
    assert printed.err.startswith(f"srkit: {pictures / 'b.png'} is no readable picture")
    written = {str(f.relative_to(out)): size(f) for f in out.rglob("*.*")}
    assert written == {"a.png": (26, 18), "c.jpg": (16, 16), "sub/a.png": (10, 8)}


def test_a_source_that_is_refused_does_not_stop_the_others(pictures, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no picture")
    bad = [str(tmp_path / name) for name in ("none.png", "empty", "text.txt")]
    out = tmp_path / "out"
    command = ["upscale", *bad, str(pictures / "a.png"), "-o", str(out), "--model", "bicubic"]
    assert main(command) == 2
    printed = capsys.readouterr()
    assert "1 done, 0 kept, 3 failed" in printed.out
    lines = printed.err.splitlines()
    for said in ("no picture or folder at", "no pictures under", "ends with none of"):
        assert sum(line.startswith("srkit: ") and said in line for line in lines) == 1
    assert [f.name for f in out.iterdir()] == ["a.png"]


def test_what_is_there_is_kept_unless_forced(pictures, tmp_path, capsys):
    source, target = str(pictures / "a.png"), tmp_path / "big.png"
    command = ["upscale", source, str(target), "--model", "bicubic"]
    assert main(command) == 0
    assert main(command) == 2  # two sources, or a target that is there?
    assert "-o TARGET" in capsys.readouterr().err
    target.write_bytes(b"mine")
    command = ["upscale", source, "-o", str(target), "--model", "bicubic"]
    assert main(command) == 0 and target.read_bytes() == b"mine"
    assert "0 done, 1 kept" in capsys.readouterr().out
    assert main([*command, "--force"]) == 0 and size(target) == (26, 18)


def test_several_sources_twice_and_another_format(pictures, tmp_path):
    sources = [str(pictures / "a.png"), str(pictures / "sub")]
    out = tmp_path / "out"
    command = ["upscale", *sources, "-o", str(out), "--model", "srresnet", "--twice"]
    assert main([*command, "--format", "tif", "--precision", "fp32"]) == 0
    assert {f.name: size(f) for f in out.iterdir()} == {"a.tif": (52, 36), "a-2.tif": (20, 16)}


def test_a_checkpoint_brings_its_own_scale(pictures, tmp_path, capsys):
    settings = {"model": "srgan", "scale": 4, "blocks": 0, "width": 4}
    file = save_generator(tmp_path / "x.safetensors", build_generator(settings), settings, {})
    command = ["upscale", str(pictures / "a.png"), "-o", str(tmp_path / "big.png")]
    assert main([*command, "--checkpoint", str(file)]) == 0
    assert size(tmp_path / "big.png") == (52, 36)
    assert main([*command, "--force", "--checkpoint", str(file), "--scale", "2"]) == 2
    assert "not scale 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{a}", "-o", "{out}", "--model", "esrgan"], "unknown model 'esrgan'; accepted: nearest"),
        (["{a}", "-o", "{out}", "--scale", "0"], "--scale must be a number of 1 or more"),
        (
            ["{a}", "-o", "{out}", "--scale", "3"],
            "no 3x checkpoint of sr-ugan; accepted: 2x and 4x",
        ),
        (["{a}", "-o", "{out}", "--scale", "4", "--model", "srresnet"], "or 4x with --twice"),
        (["{a}", "-o", "{out}", "--scale", "2", "--twice"], "--twice enlarges 4 times, not 2"),
        (["{a}", "-o", "{out}", "--tile", "0"], "--tile must be a number of 1 or more"),
        (["{a}", "-o", "{out}", "--checkpoint", "{out}/none.pth"], "no file at"),
        (["{a}", "{a}"], "where to write? Say so with -o TARGET"),
        (["{a}"], "where to write?"),
        (["{a}", "{a}", "{a}"], "where to write?"),
        (["{root}/none.png", "{out}"], "no picture or folder at"),
        (["{a}", "{out}.xyz"], "ends with none of"),
        (["{a}", "{out}.png", "--format", "jpg"], "ends otherwise than --format says"),
        (["{a}", "-o", "{a}"], "is a source and would be lost"),
        (["{root}", "-o", "{root}"], "is a source and would be lost"),
        (["{a}", "-o", "{a}/below.png"], "is no folder"),
        (["{empty}", "-o", "{out}"], "no pictures under"),
    ],
)
def test_bad_arguments_of_upscale_are_one_line_without_torch(pictures, tmp_path, arguments, said):
    empty = tmp_path / "empty"
    empty.mkdir()
    names = {"a": pictures / "a.png", "root": pictures, "out": tmp_path / "out", "empty": empty}
    before = sorted(tmp_path.rglob("*"))
    done = in_a_new_process(["upscale", *(text.format(**names) for text in arguments)])
    assert done.returncode == 2 and "torch" not in done.stdout, done
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_single_picture_that_cannot_be_done_is_one_line(pictures, tmp_path, capsys):
    command = ["upscale", "-o", str(tmp_path / "out"), "--model", "bicubic"]
    assert main([*command, str(pictures / "b.png")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*command, str(pictures / "a.png"), "--scale", "100000"]) == 2
    printed = capsys.readouterr().err
    assert "a.png: 1300000x900000 pixels need" in printed and "smaller scale" in printed
    assert not (tmp_path / "out").exists()


def test_a_full_disk_fails_one_picture_and_leaves_nothing_half_written(
    pictures, tmp_path, capsys, monkeypatch
):
    save = Image.Image.save

    def full(self, file, *arguments, **options):
        if self.size == (16, 16):
            file.write(b"half")
            raise OSError(28, "No space left on device")
        save(self, file, *arguments, **options)

    monkeypatch.setattr(Image.Image, "save", full)
    (pictures / "b.png").unlink()
    out = tmp_path / "out"
    assert main(["upscale", str(pictures), "-o", str(out), "--model", "bicubic"]) == 2
    assert "c.jpg: no space left for" in capsys.readouterr().err
    assert sorted(f.name for f in out.rglob("*.*")) == ["a.png", "a.png"]


def test_killed_while_it_writes_it_leaves_whole_pictures_and_goes_on(make_folder, tmp_path):
    names, out = [f"{n}.png" for n in range(12)], tmp_path / "out"
    source = make_folder(dict.fromkeys(names, (400, 300)))
    arguments = ["upscale", str(source), "-o", str(out), "--model", "bicubic"]
    command = [sys.executable, "-m", "srkit", *arguments]
    for done in (1, 6):  # pictures that are there when it is killed
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as one:
            while one.poll() is None and len(list(out.glob("*.png"))) < done:
                pass
            one.kill()
        assert all(size(path) == (800, 600) for path in out.glob("*.png"))
    assert main(arguments) == 0
    assert sorted(path.name for path in out.glob("*.png")) == sorted(names)
    for path in out.glob("*.png"):
        with Image.open(path) as image:
            image.load()  # to its last byte


@pytest.mark.parametrize("fast", [True, False])
def test_the_command_takes_bf16_where_that_is_fast(pictures, tmp_path, monkeypatch, fast):
    taken = []
    monkeypatch.setattr("srkit.devices.has_fast_bf16", lambda device: fast)
    monkeypatch.setattr(
        "srkit.cli.pictures.upscale_files", lambda upscaler, *_: taken.append(upscaler.precision)
    )
    command = ["upscale", str(pictures / "a.png"), "-o", str(tmp_path / "out")]
    for precision in ("auto", "bf16", "fp32"):
        main([*command, "--precision", precision])
    assert taken == ["bf16" if fast else "fp32", "bf16", "fp32"]
