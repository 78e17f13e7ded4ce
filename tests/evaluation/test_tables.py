"""Tables: each cell is the number of the row that its line and column pick, in its own digits."""

from itertools import product

import pytest

from srkit.evaluation import results, tables
from srkit.evaluation.results import Run
from srkit.evaluation.tables import Column, pivot
from srkit.training.variants import FULL


def row(method, metric, number, stage="report", **facts):
    facts = {"dataset": "photos", "n": 5, "scale": 2} | facts
    return Run(stage, commit="abc").row(method, metric, number, "as stated", **facts)


def by_column(table, line=0):
    header, body = table
    return dict(zip(header, body[line], strict=True))


def test_a_line_and_a_column_pick_one_row():
    rows = [row("bicubic", "PSNR", 30.0), row("bicubic", "SSIM", 0.9), row("srgan", "PSNR", 31.0)]
    columns = [Column("dB", {"metric": "PSNR"}), Column("SSIM", {"metric": "SSIM"})]
    lines = [([name], {"method": name}) for name in ("bicubic", "srgan")]
    header, body = pivot(rows, ["Method"], lines, columns)
    assert header == ["Method", "dB", "SSIM"]
    assert body == [["bicubic", "30.00", "0.9000"], ["srgan", "31.00", "–"]]


def test_a_network_after_its_first_stage_is_called_so():
    recipes = {"srgan": "srgan-4x", "sr-ugan": "sr-ugan-mse-4x"}
    rows = [row(name, "PSNR", 30.0, scale=4, recipe=recipes[name]) for name in recipes]
    _, body = tables.method_table([*rows, row("bicubic", "PSNR", 29.0, scale=4)])
    names = [line[0] for line in body]
    assert names == ["Bicubic", "SRGAN native 4x", "SR-UGAN native 4x, MSE alone"]


def test_a_cell_that_two_rows_fit_is_refused_with_what_tells_them_apart():
    rows = [row("bicubic", "PSNR", 30.0, n=n) for n in (5, 9)]
    with pytest.raises(ValueError, match="differ in n"):
        tables.method_table(rows)


def test_one_metric_under_two_protocols_has_two_columns():
    rows = [row("bicubic", "FID-64", number) for number in (2.0, 3.0)]
    rows[1]["protocol"] = "of other weights"
    header, body = tables.method_table(rows)
    assert header[1:5] == ["FID-64", "/ bicubic"] * 2
    assert body[0][1:5] == ["2.000", "1.000", "3.000", "1.000"]


@pytest.mark.parametrize(
    ("metric", "ends", "shown"),
    [
        ("PSNR", None, "30.12"),
        ("SSIM", None, "30.1235"),
        ("Patch Frechet distance", None, "30.1"),
        ("KID-768", None, "30.1"),
        ("FID-64", (29.5, 31), "30.123 [29.500, 31.000]"),
        ("photographs/s", (31, 29.5), "30.1 [29.5, 31]"),
        ("FID-64", (30, 30), "30.123"),
    ],
)
def test_a_number_has_its_metric_s_digits_and_its_ends_in_brackets(metric, ends, shown):
    assert tables.show(30.123456, results.metric_of(metric).digits, ends) == shown


def test_metrics_stand_in_one_order_and_distances_have_ratios():
    names = ("Patch Frechet distance", "KID-768", "speed", "FID-64", "SSIM", "FID-192", "PSNR")
    columns = tables.metric_columns([row("bicubic", name, 1.0) for name in names])
    assert [column.heading for column in columns] == [
        *("PSNR (dB)", "SSIM", "FID-192", "/ bicubic", "FID-64", "/ bicubic", "KID-768"),
        *("Patch Frechet distance", "/ bicubic", "speed"),
    ]


def test_ratios_to_bicubic_are_shown_measured_and_quoted():
    name = "Patch Frechet distance"
    interval = {"interval": (15.0, 24.0), "ratio_interval": (0.2, 0.3)}
    rows = [row("bicubic", name, 80.0), row("sr-ugan", name, 20.0, **interval)]
    table = tables.method_table(rows)
    assert [line[0] for line in table[1]] == ["Bicubic", "SR-UGAN"]
    assert by_column(table)["/ bicubic"] == "1.000"
    line = by_column(table, 1)
    assert line[name] == "20.0 [15.0, 24.0]" and line["/ bicubic"] == "0.250 [0.200, 0.300]"
    assert line["FID, quoted"] == "22.123"
    assert line["/ bicubic, quoted"] == "0.350"  # 22.123 / 63.162


def test_a_brief_table_has_the_ratios_and_not_the_distances():
    rows = [row("bicubic", "PSNR", 30.0), row("bicubic", "FID-64", 2.0), row("hr", "FID-64", 0.0)]
    rows += [row("sr-ugan", "PSNR", 31.0), row("sr-ugan", "FID-64", 1.0)]
    header, body = tables.method_table(rows, brief=True)
    assert header == ["Method", "PSNR (dB)", "FID-64 / bicubic", "FID / bicubic, quoted"]
    assert body[1] == ["SR-UGAN", "31.00", "0.500", "0.350"]
    assert tables.by_method(rows, "FID-64") == {"bicubic": 2.0, "sr-ugan": 1.0}


def test_at_4x_the_labels_say_how_and_nothing_is_quoted():
    names = ("sr-ugan", "hr", "sr-ugan twice", "nearest")
    header, body = tables.method_table([row(name, "PSNR", 30.0, scale=4) for name in names])
    assert header == ["Method", "PSNR (dB)"]
    assert [line[0] for line in body] == [
        *("Nearest-neighbor", "SR-UGAN 2x, twice", "SR-UGAN native 4x", "HR (itself)")
    ]


def sweep():
    """FIDs of two methods by resize, layer, N and side: bicubic's are N times 1, 10 or 100."""
    rows = []
    settings = product((("pytorch", 1), ("tf", 10), ("clean", 100)), (192, 64), (2, 4))
    for (resize, times), layer, n in settings:
        facts = {"resize": resize, "layer": layer, "n": n, "side": 224, "network": "Inception"}
        rows.append(row("bicubic", f"FID-{layer}", n * times, "sensitivity", **facts))
        rows.append(row("sr-ugan", f"FID-{layer}", n * times / 2, "sensitivity", **facts))
    return rows


def test_the_sensitivity_table_has_a_line_a_setting_and_columns_by_protocol():
    header, body = tables.sensitivity_table(sweep())
    assert header[3:6] == ["bicubic, pytorch", "SR-UGAN / bicubic", "bicubic, tf"]
    assert [line[:3] for line in body] == [
        [f"FID-{layer}", n, "224"] for layer in (64, 192) for n in "24"
    ]
    assert body[1][3:] == ["4.000", "0.500", "40.000", "0.500", "400.000", "0.500"]


def test_a_factor_is_between_settings_that_differ_in_one_thing():
    values = tables.by_setting(sweep(), "sr-ugan")
    assert values["tf", 64, 4, 224] == 20 and len(values) == 12
    assert [tables.largest_factor(values, place) for place in range(4)] == [100, 1, 2, 1]


def test_the_ablation_shows_the_ends_over_seeds_and_ratios_to_bicubic():
    rows = [
        row("bicubic", "PSNR", 30.5, "ablation"),
        row("bicubic", "FID-64", 2.0, "ablation", interval=(1.0, 3.0)),
        row("sr-ugan", "FID-64", 3.0, "ablation", variant=FULL, values=[2.0, 4.0]),
    ]
    facts = {"variant": FULL, "values": [30.0, 31.0], "crops_seen": 1200}
    rows.append(row("sr-ugan", "PSNR", 30.5, "ablation", **facts))
    header, body = tables.ablation_table(rows)
    assert header == ["Variant", "Crops seen", "PSNR (dB)", "FID-64", "/ bicubic"]
    assert body == [
        ["bicubic", "–", "30.50", "2.000", "1.000"],  # brackets are for seeds here
        ["SR-UGAN", "1,200", "30.50 [30.00, 31.00]", "3.000 [2.000, 4.000]", "1.500"],
    ]


def test_each_set_scale_and_device_has_a_table_of_its_own(tmp_path, capsys):
    cpu = row("bicubic", "PSNR", 30.0)
    gpu = cpu | {"device": "cuda", "value": 31.0}
    rows = [cpu, gpu, row("bicubic", "PSNR", 25.0, scale=4), row("bicubic", "PSNR", 20.0, n=9)]
    everything = tables.record(tmp_path / "rows.json", rows)
    assert capsys.readouterr().out == "4 rows recorded in rows.json\n"
    text = (tmp_path / "rows.md").read_text(encoding="utf-8")
    assert text == tables.results_md(everything)
    assert text.count("\n## Methods: photos, 2x, N = 5\n") == 2
    for what in ("photos, 4x, N = 5\n", "photos, 2x, N = 9\n", "on cuda.", "on cpu."):
        assert what in text
    for number in ("30.00", "31.00", "25.00", "20.00"):
        assert text.count(f"| Bicubic | {number}") == 1
    assert "PSNR: as stated. Higher is better: PSNR." in text


def test_without_a_path_nothing_is_recorded(capsys):
    assert tables.record(None, [row("bicubic", "PSNR", 30.0)]) == []
    assert capsys.readouterr().out == ""
