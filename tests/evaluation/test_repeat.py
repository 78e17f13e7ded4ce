"""A repeated measurement is compared row by row, to each metric's tolerance."""

import pytest
from PIL import Image

from srkit.cli import main
from srkit.evaluation import repeat, results


def row(metric: str, value: float, **changes) -> dict:
    made = results.measured("bicubic", "photos", 3, 2, metric, "p", value, "evaluate", weights=None)
    return made | changes


@pytest.mark.parametrize(
    ("metric", "old", "new", "agree"),
    [
        ("PSNR", 30.0, 30.009, True),
        ("PSNR", 30.0, 30.02, False),
        ("SSIM", 0.9, 0.9003, False),
        ("FID-768", 0.2, 0.2019, True),
        ("FID-768", 0.2, 0.2021, False),
        ("Patch Frechet distance", 1000.0, 1011.0, False),
        ("KID-768", 0.0, 1e-6, True),
    ],
)
def test_each_metric_has_its_tolerance(metric, old, new, agree):
    assert repeat.within(metric, old, new) is agree


def test_verdicts_tell_other_values_from_other_weights():
    recorded = [row("PSNR", 30.0), row("SSIM", 0.9), row("FID-768", 0.2, weights="abc")]
    again = [row("PSNR", 30.001), row("SSIM", 0.8), row("FID-768", 0.9, weights="def")]
    verdicts = [line[-1] for line in repeat.compare(recorded, again)]
    assert verdicts == ["same", "OTHER VALUE", "other weights"]


def test_rows_that_nobody_recorded_are_refused_with_what_there_is():
    with pytest.raises(ValueError, match=r"has photos \(N = 3\); give .* --name"):
        repeat.compare([row("PSNR", 30.0)], [row("PSNR", 30.0, dataset="others")])


def test_a_metric_without_a_tolerance_is_refused():
    with pytest.raises(ValueError, match="no tolerance for 'LPIPS'"):
        repeat.within("LPIPS", 1.0, 1.0)


def test_the_command_says_same_or_fails(tmp_path, capsys):
    Image.effect_noise((64, 64), 40).convert("RGB").save(tmp_path / "a.png")
    record = tmp_path / "rows.json"
    command = ["evaluate", "--data", str(tmp_path), "--methods", "bicubic", "--device", "cpu"]
    assert main([*command, "--record", str(record)]) == 0
    assert main([*command, "--check", str(record)]) == 0
    assert "| bicubic | PSNR |" in capsys.readouterr().out
    rows = results.load(record)
    changed = [r | {"value": r["value"] + 1} if r["metric"] == "PSNR" else r for r in rows]
    record.unlink()
    results.record(record, changed)
    assert main([*command, "--check", str(record)]) == 1
    assert "OTHER VALUE" in capsys.readouterr().out
