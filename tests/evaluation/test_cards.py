"""Model cards: one for each shipped network, with the numbers that results.json has."""

import re

import pytest

from srkit import paths
from srkit.cli import main
from srkit.evaluation import cards, results
from srkit.files import sha256
from srkit.paths import shipped
from srkit.weights import SMALL, load_generator, read_checkpoint, small_path

ROWS = results.load(paths.PACKAGE.parent / "figures" / "results.json")


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_network_has_a_card_of_its_own_metadata(name):
    text = cards.card(name)
    _, about = load_generator(paths.CHECKPOINTS / f"{name}.safetensors")
    training = about["training"]
    for fact in (about["sha256"][:12], training["data"], training["commit"]):
        assert fact in text
    assert f"{training['iterations']:,} updates of {training['recipe']['batch']} crops" in text
    for limit in ("invent", "Text", "faces", "JPEG artefacts"):
        assert limit in text
    assert max(map(len, text.splitlines())) < 200 and len(text.split()) < 350
    stages = re.findall(r"^Stage (\d+):", text, flags=re.MULTILINE)
    assert stages == [str(n + 1) for n in range(len(list(cards.stages_of(training))))]


@pytest.mark.parametrize("name", shipped())
def test_the_numbers_of_a_card_are_those_of_results_json(name):
    weights = sha256(paths.CHECKPOINTS / f"{name}.safetensors")[:12]
    pattern = r"Measured at (\d)x(?: \(.* twice\))? on (.*), N = ([\d,]+): (.*)"
    lines = re.findall(pattern, cards.card(name))
    assert lines
    seen = 0
    for scale, dataset, n, numbers in lines:
        where = {"stage": "evaluate", "scale": int(scale), "dataset": dataset}
        rows = results.select(ROWS, **where, n=int(n.replace(",", "")))
        shown = re.findall(r"([\w-]+) ([\d.]+)(?: \(bicubic ([\d.]+)\))?", numbers)
        assert {"PSNR", "SSIM"} <= {metric for metric, _, _ in shown}
        for metric, value, bicubic in shown:
            error = 0.5 * 10 ** -len(value.partition(".")[2]) * 1.001
            mine = [
                r["value"] for r in rows if r.get("weights") == weights and r["metric"] == metric
            ]
            assert any(abs(float(value) - kept) <= error for kept in mine), (metric, value)
            theirs = [
                r["value"] for r in rows if r["method"] == "bicubic" and r["metric"] == metric
            ]
            assert len(theirs) == 1 and abs(float(bicubic) - theirs[0]) <= error
            seen += 1
    kinds = ("PSNR", "SSIM", "FID")
    mine = results.select(ROWS, stage="evaluate", weights=weights)
    assert seen == sum(row["metric"].startswith(kinds) for row in mine)


def test_the_command_shows_them(capsys):
    assert main(["models"]) == 0
    *listed, _ = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [*shipped(), SMALL]
    assert main(["models", "sr-ugan"]) == 0
    printed = capsys.readouterr().out
    assert "SR-UGAN, 2x:" in printed and "SR-UGAN, 4x:" in printed and "large batch" not in printed
    assert main(["models", "esrgan"]) == 2
    assert "accepted: sr-ugan-large-batch_x2" in capsys.readouterr().err


def test_without_a_clone_the_card_says_where_the_numbers_are(monkeypatch):
    def nowhere():
        raise FileNotFoundError

    monkeypatch.setattr(paths, "root", nowhere)
    assert "in a clone's figures/results.json" in cards.card("srgan_x2")


def test_the_content_network_has_a_card_with_its_agreement():
    text, about = cards.cards(SMALL), read_checkpoint(small_path())[1]
    for fact in (about["teacher"], about["data"], about["commit"], f"{about['iterations']:,} upd"):
        assert fact in text
    cosine = about["agreement"]["relu2_2"]["small"]["gradient cosine"]
    assert f"relu2_2, small: gradient cosine {cosine:.3f}" in text
