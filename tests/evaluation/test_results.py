"""The results file: rows that do not change do not change it."""

import json

import numpy as np
import pytest

from srkit.evaluation import results, tables
from srkit.evaluation.results import load, measured, quoted_rows, record, select, value


def row(figure=22.5, method="bicubic", **more):
    return measured(method, "set", 5, 2, "PSNR", "Y, border 2", figure, "demo", **more)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "results.json"


def test_measuring_the_same_again_leaves_the_file_as_it_was(file, monkeypatch):
    monkeypatch.setattr(results, "commit", lambda: "first")
    record(file, [row(22.5), row(30.125, "sr-ugan", weights="abc")])
    before = file.read_bytes()
    monkeypatch.setattr(results, "commit", lambda: "second")
    record(file, [row(30.125, "sr-ugan", weights="abc", device="cuda"), row(22.5)])
    assert file.read_bytes() == before
    assert {r["commit"] for r in load(file)} == {"first"}


def test_rounding_in_the_last_digits_is_the_same_value(file):
    record(file, [row(22.5)])
    before = file.read_bytes()
    record(file, [row(22.5005)])  # 2e-5 of it: another machine's rounding
    assert file.read_bytes() == before


def test_another_value_replaces_the_old_one(file, monkeypatch):
    record(file, [row(22.5)])
    monkeypatch.setattr(results, "commit", lambda: "second")
    rows = record(file, [row(22.6)])
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


def test_nothing_is_left_aside(file):
    record(file, [row()])
    assert [path.name for path in file.parent.iterdir()] == ["results.json"]


def test_quoted_rows_are_the_report_s_figure_3():
    figure_3 = {"nearest": 67.618, "bilinear": 71.617, "bicubic": 63.162, "sr-ugan": 22.123}
    rows = quoted_rows()
    assert {r["method"]: r["value"] for r in rows} == figure_3 | {"hr": 0}
    assert all(r["source"] == "quoted" and r["quoted_from"] == "Figure 3" for r in rows)
    assert all(r["metric"] == "FID" and "not stated" in r["protocol"] for r in rows)


def test_quoted_rows_survive_the_file(file):
    assert sorted(map(str, record(file, quoted_rows()))) == sorted(map(str, quoted_rows()))
    assert value(load(file), method="sr-ugan", source="quoted") == 22.123


def test_the_table_shows_ratios_to_bicubic_measured_and_quoted():
    name = "Patch Frechet distance"
    rows = [
        measured(method, "set", 5, 2, name, "protocol", figure, "demo")
        for method, figure in (("bicubic", 80.0), ("sr-ugan", 20.0))
    ]
    header, body = tables.table(rows, ["bicubic", "sr-ugan"], "set", 2, "demo")
    lines = {line[0]: dict(zip(header, line, strict=True)) for line in body}
    assert lines["Bicubic"]["/ bicubic"] == "1.000"
    assert lines["SR-UGAN"]["/ bicubic"] == "0.250"
    assert lines["SR-UGAN"]["/ bicubic, quoted"] == "0.350"  # 22.123 / 63.162
    assert lines["SR-UGAN"]["FID, quoted"] == "22.123"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_is_no_measurement(bad):
    with pytest.raises(ValueError, match=r"PSNR of bicubic is .*not a measurement"):
        row(bad)


def test_a_measured_row_says_all_that_is_needed_to_repeat_it():
    needed = {"commit", "seed", "preset", "torch", "device", "protocol", "n", "dataset"}
    assert needed <= row().keys()
    assert row(1 / 3)["value"] == 0.333333  # six digits
    assert isinstance(row(np.float64(2.0))["value"], float)


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
    rows = [row(1.0), row(2.0, "nearest")]
    assert select(rows, method="nearest") == [rows[1]]
    assert value(rows, method="nearest") == 2.0
    assert value(rows, method="srgan") is None
    with pytest.raises(ValueError, match="2 rows fit"):
        value(rows, metric="PSNR")


def test_the_file_is_plain_json(file):
    record(file, [row()])
    assert json.loads(file.read_text())["rows"][0]["method"] == "bicubic"


def test_markdown_aligns_names_left_and_numbers_right():
    table = results.markdown(["Method", "dB"], [["Bicubic", "33.68"]])
    assert table == "| Method | dB |\n| :-- | --: |\n| Bicubic | 33.68 |\n"
