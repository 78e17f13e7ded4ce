"""Each variant lacks the one thing it is named for; the command runs to its end."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image

from srkit.cli import main
from srkit.data import Photos
from srkit.evaluation import results
from srkit.evaluation.ablation import train_variants
from srkit.models import Attention, DenseBlock, UNetBlock, build_generator
from srkit.training.recipes import recipe
from srkit.training.variants import FULL, VARIANTS, variant
from srkit.weights import load_generator


@pytest.mark.parametrize("preset", ["demo", "laptop", "paper"])
@pytest.mark.parametrize("name", VARIANTS)
def test_all_variants_see_as_many_crops(name, preset):
    full, one = variant(FULL, preset), variant(name, preset)
    seen = [sum(stage.iterations * stage.batch for stage in stages) for stages in (full, one)]
    assert seen[0] == seen[1]
    assert one[-1].crop == full[-1].crop and one[-1].seed == full[-1].seed


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("without U-Net", {"unet"}),
        ("without attention", {"attention"}),
        ("residual for dense blocks", {"dense"}),
        ("without class head", {"class_loss"}),
        ("without MSE", {"weights"}),
        ("adversarial weight 0", {"weights", "class_loss"}),
        ("MSE alone", {"weights", "class_loss"}),
        ("four times the batch", {"batch", "iterations", "drop_at", "learning_rate", "ema"}),
        ("eq. (5) from the start", {"iterations", "drop_at"}),
    ],
)
def test_a_variant_differs_in_what_it_says(name, fields):
    full, one = asdict(variant(FULL, "laptop")[-1]), asdict(variant(name, "laptop")[-1])
    assert {field for field in full if full[field] != one[field]} == fields


def test_equation_5_from_the_start_has_one_stage_in_place_of_two():
    slow, fast = {"learning_rate": 1e-4}, {"learning_rate": 3e-4, "warmup": 7}
    full = variant(FULL, "laptop", before=fast, **slow)
    one = variant("eq. (5) from the start", "laptop", before=fast, **slow)
    assert one[0].learning_rate == 3e-4 and one[0].warmup == 7 and full[-1].learning_rate == 1e-4
    assert len(full) == 2 and len(one) == 1 and not one[0].start_from
    assert one[0].iterations == sum(stage.iterations for stage in full)
    assert one[0].drop_at / one[0].iterations == full[-1].drop_at / full[-1].iterations
    assert variant("eq. (5) from the start", "demo") == variant(FULL, "demo")  # MSE is never alone


def kinds(name: str) -> dict[type, int]:
    network = build_generator(variant(name, "smoke")[-1].settings())
    assert network(torch.rand(1, 3, 9, 11)).shape == (1, 3, 18, 22)
    counted = (Attention, DenseBlock, UNetBlock)
    return {kind: sum(isinstance(m, kind) for m in network.modules()) for kind in counted}


def test_the_networks_lack_what_they_should():
    full = kinds(FULL)
    assert full[Attention] == 3 + 2 + 1 and full[DenseBlock] == 2 and full[UNetBlock] == 6
    assert kinds("without attention") == full | {Attention: 0}
    residual = full | {DenseBlock: 0, UNetBlock: full[UNetBlock] + full[DenseBlock]}
    assert kinds("residual for dense blocks") == residual
    assert kinds("without U-Net") == {Attention: 1, DenseBlock: 2, UNetBlock: 0}


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="accepted: SR-UGAN, without U-Net"):
        variant("without everything", "smoke")


def test_variants_with_one_network_share_the_stage_before(tmp_path, rng, capsys):
    def noise(name):
        pixels = rng.integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)
        return Photos(name, list(pixels), [0, 1, 0], ["a", "b"])

    before = recipe("sr-ugan-mse", "smoke", iterations=1)
    changes = {FULL: {}, "without class head": {"class_loss": False}}
    plans = {n: [before, recipe("sr-ugan", "smoke", iterations=1, **c)] for n, c in changes.items()}
    run = results.Run("ablation", "smoke")
    files = train_variants(plans, [0], noise("train"), noise("val"), tmp_path, run, "untrained")
    assert capsys.readouterr().out.count("computed") == 3
    starts = {
        load_generator(path)[1]["training"]["recipe"]["start_from"] for path in files.values()
    }
    assert len(files) == 2 and len(starts) == 1 and starts.pop().startswith("sr-ugan, sha256")


@pytest.mark.slow
def test_the_command_trains_measures_and_records_means_over_seeds(tmp_path, capsys):
    for split in ("train", "val"):
        for number in range(3):
            folder = tmp_path / "photos" / split / f"class{number % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            noise = Image.effect_noise((72, 72), 30 + number + 9 * (split == "val"))
            noise.convert("RGB").save(folder / f"{number}.png")
    record = tmp_path / "rows.json"
    command = ["ablation", "--preset", "smoke", "--data", str(tmp_path / "photos"), "--seeds", "0"]
    command += ["1", "--variants", FULL, "without MSE", "--content", "untrained", "--device"]
    command += ["cpu", "--out", str(tmp_path / "out"), "--record", str(record), "--set"]
    command += ["iterations=2"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "| without MSE | 4 |" in out and "computing 2 updates" in out
    rows = results.select(results.load(record), metric="PSNR", stage="ablation", preset="smoke")
    names = {(r["method"], r.get("variant")) for r in rows}
    assert names == {("bicubic", None), ("sr-ugan", FULL), ("sr-ugan", "without MSE")}
    for one in rows:
        if "values" in one:
            assert one["seed"] == [0, 1] and len(set(one["values"])) == 2
            assert one["value"] == pytest.approx(sum(one["values"]) / 2, rel=1e-5)
            assert one["crops_seen"] == 4
    assert main(command) == 0
    assert "computing" not in capsys.readouterr().out, "finished runs are loaded"
