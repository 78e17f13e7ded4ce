"""The results file: rows that do not change do not change it, and a repeated one is compared."""

import json
import multiprocessing
import subprocess

import numpy as np
import pytest
from PIL import Image

from srkit import paths
from srkit.cli import main
from srkit.evaluation import results, tables
from srkit.evaluation.results import Run, compare, load, only, quoted_rows, record, select, value


def row(number=22.5, method="bicubic", metric="PSNR", run=None, **facts):
    facts = {"dataset": "set", "n": 5, "scale": 2} | facts
    run = run or Run("report", "demo", commit="first")
    return run.row(method, metric, number, "Y, border 2", **facts)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "results.json"


def test_measuring_the_same_again_leaves_the_file_as_it_was(file):
    record(file, [row(22.5), row(30.125, "sr-ugan", weights="abc")])
    before = file.read_bytes()
    later = Run("report", "demo", commit="second")
    record(file, [row(30.125, "sr-ugan", weights="abc", run=later), row(22.5, run=later)])
    assert file.read_bytes() == before


def test_rounding_in_the_last_digits_is_the_same_value(file):
    record(file, [row(22.5)])
    before = file.read_bytes()
    record(file, [row(22.5005)])  # 2e-5 of it: another machine's rounding
    assert file.read_bytes() == before


def test_another_value_replaces_the_old_one(file):
    record(file, [row(22.5)])
    rows = record(file, [row(22.6, run=Run("report", "demo", commit="second"))])
    assert len(rows) == 1 and rows == load(file)
    assert (rows[0]["value"], rows[0]["commit"]) == (22.6, "second")


def test_the_same_value_from_other_weights_replaces_the_row(file):
    record(file, [row(weights="abc")])
    record(file, [row(weights="def")])
    assert [r["weights"] for r in load(file)] == ["def"]


@pytest.mark.parametrize("name", results.KEY)
def test_rows_that_differ_in_their_key_live_side_by_side(file, name):
    other = row() | {name: "another"}
    assert len(record(file, [row(), other])) == 2


def test_rows_are_in_one_order_however_they_came(tmp_path):
    rows = [row(method=method) for method in ("bicubic", "nearest", "sr-ugan")]
    record(tmp_path / "a.json", rows)
    for one in reversed(rows):
        record(tmp_path / "b.json", [one])
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def add_rows(file, first):
    for number in range(first, first + 20):
        tables.record(file, [row(number, dataset=f"set {number}")])


def test_two_writers_lose_no_row(file):
    started = multiprocessing.get_context("spawn")
    writers = [started.Process(target=add_rows, args=(file, n)) for n in (100, 200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    kept = {r["value"] for r in load(file)}
    assert kept == {*range(100, 120), *range(200, 220)}
    assert {f.name for f in file.parent.iterdir()} == {"results.json", "results.md"}


def test_quoted_rows_are_the_report_s_figure_3(file):
    figure_3 = {"nearest": 67.618, "bilinear": 71.617, "bicubic": 63.162, "sr-ugan": 22.123}
    rows = record(file, quoted_rows())
    assert {r["method"]: r["value"] for r in rows} == figure_3 | {"hr": 0}
    assert all(r["source"] == "quoted" and r["quoted_from"] == "Figure 3" for r in rows)
    assert all(r["metric"] == "FID" and "not stated" in r["protocol"] for r in rows)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_is_no_measurement(bad):
    with pytest.raises(ValueError, match=r"PSNR of bicubic is .*not a measurement"):
        row(bad)


def test_a_measured_row_says_all_that_is_needed_to_repeat_it():
    needed = {"commit", "seed", "preset", "stage", "torch", "device", "protocol", "n", "dataset"}
    assert needed <= row().keys()
    assert row(1 / 3)["value"] == 0.333333  # six digits
    assert isinstance(row(np.float64(2.0))["value"], float)
    assert row(interval=(1 / 3, 2 / 3))["interval"] == [0.333333, 0.666667]


def test_a_run_has_the_commit_that_it_began_with(monkeypatch, tmp_path):
    def git(*arguments):
        author = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(tmp_path), *author, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "srkit")
    git("init")
    git("commit", "--allow-empty", "-m", "one")
    first, run = git("rev-parse", "--short=12", "HEAD"), Run()
    git("commit", "--allow-empty", "-m", "two")
    assert row(run=run)["commit"] == first != Run().commit


@pytest.mark.parametrize("text", ["", "{", "[]", '{"row": []}', '{"rows": 5}', "null"])
def test_a_damaged_file_is_named_and_left_alone(file, text):
    file.write_text(text)
    for function in (load, lambda path: record(path, [row()])):
        with pytest.raises(ValueError, match=r"results\.json is damaged"):
            function(file)
    assert file.read_text() == text


def test_no_file_yet_means_no_rows(file):
    assert load(file) == [] and not file.exists()


def test_select_and_value_find_what_is_asked_for():
    rows = [row(1.0), row(2.0, "nearest", variant="blurred")]
    assert select(rows, method="nearest") == [rows[1]] and select(rows, variant=None) == [rows[0]]
    assert value(rows, method="nearest") == 2.0
    assert value(rows, method="srgan") is None is only(rows, method="srgan")
    with pytest.raises(ValueError, match=r"2 rows fit .*they differ in method, variant"):
        value(rows, metric="PSNR")


def test_the_file_is_plain_json_and_alone(file):
    record(file, [row()])
    assert json.loads(file.read_text())["rows"][0]["method"] == "bicubic"
    assert [path.name for path in file.parent.iterdir()] == ["results.json"]


def test_markdown_aligns_names_left_and_numbers_right():
    table = results.markdown(["Method", "dB"], [["Bicubic", "33.68"]])
    assert table == "| Method | dB |\n| :-- | --: |\n| Bicubic | 33.68 |\n"


# --- Measured again ------------------------------------------------------------------------------


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
    assert results.agrees(metric, old, new) is agree


def test_a_metric_without_a_tolerance_is_refused():
    with pytest.raises(ValueError, match="no tolerance for 'VMAF'"):
        results.agrees("VMAF", 1.0, 1.0)


def test_verdicts_tell_other_values_from_other_weights():
    recorded = [row(30.0), row(0.9, metric="SSIM"), row(0.2, metric="FID-768", weights="abc")]
    again = [row(30.001), row(0.8, metric="SSIM"), row(0.9, metric="FID-768", weights="def")]
    assert [line[-1] for line in compare(recorded, again)] == [
        "same",
        "OTHER VALUE",
        "other weights",
    ]


def test_a_row_is_compared_with_its_own_device_s_or_else_with_another_s():
    cpu, gpu = row(30.0), row(31.0, run=Run("report", "demo", device="cuda"))
    assert [line[-1] for line in compare([cpu, gpu], [gpu])] == ["same"]
    assert [line[2:] for line in compare([cpu], [gpu])] == [["30", "31", "OTHER VALUE"]]


def test_rows_that_nobody_recorded_are_refused_with_what_there_is():
    with pytest.raises(ValueError, match=r"has set \(N = 5, report\); give .* --name"):
        compare([row(30.0)], [row(30.0, dataset="others")])


def test_the_command_says_same_or_fails(tmp_path, capsys):
    Image.effect_noise((64, 64), 40).convert("RGB").save(tmp_path / "a.png")
    file = tmp_path / "rows.json"
    command = ["evaluate", "--data", str(tmp_path), "--methods", "bicubic", "--device", "cpu"]
    assert main([*command, "--record", str(file)]) == 0
    assert "# Results" in (tmp_path / "rows.md").read_text()
    assert main([*command, "--check", str(file)]) == 0
    assert "| bicubic | PSNR |" in capsys.readouterr().out
    changed = [r | {"value": r["value"] + 1} if r["metric"] == "PSNR" else r for r in load(file)]
    file.unlink()
    record(file, changed)
    assert main([*command, "--check", str(file)]) == 1
    assert "OTHER VALUE" in capsys.readouterr().out
