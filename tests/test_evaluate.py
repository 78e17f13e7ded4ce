"""Rows and tables: each number is the one that its own code gives, in the right place."""

import numpy as np
import pytest
from PIL import Image

from srkit import evaluate, metrics, results, session
from srkit.__main__ import main
from srkit.data import Photos, bicubic_lr_pil
from srkit.upscale import upscale


def photos(count: int = 2, size: int = 64) -> Photos:
    values = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    smooth = [
        np.array(Image.fromarray(v).resize((size, size + 3)).resize((size, size))) for v in values
    ]
    return Photos("noise", smooth, [0] * count, ["noise"])


def test_psnr_row_is_the_mean_over_photographs():
    some = photos()
    rows = evaluate.measure(["bilinear"], some, 2, preset="smoke")
    expected = []
    for number in range(len(some)):
        hr = Image.fromarray(some[number])
        expected.append(metrics.psnr(upscale(bicubic_lr_pil(hr, 2), "bilinear", 2), hr, "y", 2))
    found = results.value(rows, method="bilinear", metric="PSNR")
    assert found == pytest.approx(np.mean(expected), rel=1e-5)  # rows keep 6 digits


def test_hr_against_itself_is_zero_and_every_row_is_stamped():
    rows = evaluate.measure(["nearest"], photos(), 2, preset="smoke", seed=3)
    assert results.value(rows, method="hr", metric="Patch Frechet distance") == 0
    for row in rows:
        assert row["source"] == "measured" and row["n"] == 2 and row["seed"] == 3
        assert row["protocol"] and row["torch"] and "commit" in row and row["device"] == "cpu"


def test_nothing_without_inception_is_called_fid():
    rows = evaluate.measure(["nearest"], photos(), 2, preset="smoke")
    assert not any("FID" in row["metric"] for row in rows)


def test_twice_is_the_2x_method_applied_two_times():
    lr = Image.fromarray(photos()[0])
    once = upscale(upscale(lr, "nearest", 2), "nearest", 2)
    assert np.array_equal(evaluate.enlarge(lr, "nearest twice", 4), once)
    with pytest.raises(ValueError, match="4 times"):
        evaluate.enlarge(lr, "nearest twice", 2)


def test_table_puts_the_quote_beside_the_measurement():
    rows = evaluate.measure(["nearest", "bicubic"], photos(), 2, preset="smoke")
    header, body = evaluate.table(rows, ["nearest", "bicubic"], "noise", 2, "smoke")
    line = dict(zip(header, body[0], strict=True))
    assert line["FID, quoted"] == "67.618"
    assert line["/ bicubic, quoted"] == f"{67.618 / 63.162:.3f}"
    own, base = (
        results.value(rows, method=m, metric="Patch Frechet distance")
        for m in ("nearest", "bicubic")
    )
    assert line["/ bicubic"] == f"{own / base:.3f}"


def test_held_out_crops_take_other_classes_first():
    values = [np.full((64, 64, 3), v, dtype=np.uint8) for v in (10, 20, 30, 40)]
    crops = evaluate.held_out_crops(Photos("p", values, [0, 0, 1, 2], ["a", "b", "c"]), 3, 32)
    assert [round(float(c.mean()) * 255) for c in crops] == [10, 30, 40]


def test_session_leaves_out_what_is_too_small_aloud(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SRKIT_ROOT", str(tmp_path))
    (tmp_path / "notebooks").mkdir()
    folder = tmp_path / "photos" / "val"
    folder.mkdir(parents=True)
    for name, size in (("large", 160), ("small", 40)):
        Image.new("RGB", (size, size)).save(folder / f"{name}.png")
    begun = session.begin("smoke", str(folder.parent))
    assert len(begun.photos("val")) == 1
    assert "1 of 2 photographs left out" in capsys.readouterr().out


def test_evaluate_command_prints_the_table_and_records_rows(tmp_path, capsys):
    Image.fromarray(photos(1, 96)[0]).save(tmp_path / "a.png")
    record = tmp_path / "rows.json"
    command = ["evaluate", "--data", str(tmp_path), "--methods", "nearest", "bicubic"]
    assert main([*command, "--record", str(record), "--device", "cpu"]) == 0
    assert "| Bicubic |" in capsys.readouterr().out
    assert {row["method"] for row in results.load(record)} == {"nearest", "bicubic", "hr"}
    assert main([*command[:3], "--methods", "magic"]) == 2
    assert "magic" in capsys.readouterr().err


def test_upscale_command_writes_pictures_of_the_right_size(tmp_path, capsys):
    Image.new("RGB", (37, 53), (9, 99, 199)).save(tmp_path / "in.png")
    target = tmp_path / "out.png"
    assert main(["upscale", str(tmp_path / "in.png"), str(target), "--model", "bicubic"]) == 0
    with Image.open(target) as made:
        assert made.size == (74, 106)
    assert main(["upscale", str(tmp_path / "none.png"), str(target)]) == 2
    assert "none.png" in capsys.readouterr().err
