"""Pictures enlarged in tiles and plainly, at toy sizes: the same picture, and peak memory."""

import sys
import types
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image

from srkit.cli import main
from srkit.evaluation import bench_upscale, results, tables
from srkit.models import SRGANGenerator


def test_bench_upscale_times_the_tiles_of_another_program(monkeypatch):
    def tile_sr(model, scale, img, tile):
        """Of its form: tensors in and out, tiles that do not overlap."""
        assert tile == (64, 64) and img.shape == (1, 3, 96, 128)
        parts = [[model(img[..., y : y + 64, x : x + 64]) for x in (0, 64)] for y in (0, 64)]
        return torch.cat([torch.cat(row, -1) for row in parts], -2)

    module = types.SimpleNamespace(tile_sr=tile_sr)
    monkeypatch.setitem(sys.modules, bench_upscale.PEER, module)
    monkeypatch.setattr(bench_upscale.importlib.metadata, "version", lambda name: "1.2")
    image = Image.fromarray(np.zeros((96, 128, 3), np.uint8))
    work = bench_upscale.ways("srgan", True, image, (64, 96), "cpu")
    assert work["ccrestoration 1.2, fp32, tile 64"]().size == (256, 192)
    monkeypatch.setitem(sys.modules, bench_upscale.PEER, None)
    work = bench_upscale.ways("srgan", True, image, (64, 96), "cpu")
    assert not any("ccrestoration" in name for name in work)


def test_bench_upscale_compares_tiles_and_precisions_with_the_plain_run(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, bench_upscale.PEER, None)  # installed or not
    record = tmp_path / "rows.json"
    command = ["bench", "upscale", "--quick", "--rounds", "1", "--device", "cpu"]
    assert main([*command, "--record", str(record)]) == 0
    assert "| srgan: srkit, bf16, tile 64 |" in capsys.readouterr().out
    rows = results.load(record)
    assert {row["method"] for row in rows} == {"srgan", "sr-ugan"}
    assert main([*command, "--models", "sr-ugan"]) == 0
    assert "| srgan: " not in capsys.readouterr().out
    assert main([*command, "--models", "srresnet"]) == 2
    assert "no toy network of srresnet" in capsys.readouterr().err
    variants = {f"srkit, {kind}, tile {tile}" for kind in ("fp32", "bf16") for tile in (64, 96)}
    assert {row["variant"] for row in rows} == variants | {"plain"}
    metrics = {"megapixels/s", "rate / the plain run's", "peak memory (GiB)"}
    assert {row["metric"] for row in rows} == metrics
    header, body = tables.bench_table(rows)
    assert header[:3] == ["Program", "Work", "N"] and set(header[3:]) == metrics
    assert [line[0] for line in body][::5] == ["sr-ugan: plain", "srgan: plain"]
    assert body[0][header.index("rate / the plain run's")] == "1" and len(body) == 10
    values = {(row["method"], row["variant"], row["metric"]): row["value"] for row in rows}
    for method in ("srgan", "sr-ugan"):
        assert values[method, "plain", "rate / the plain run's"] == 1
        for variant in variants:  # 3 digits each
            speed, plain = (values[method, v, "megapixels/s"] for v in (variant, "plain"))
            rate = values[method, variant, "rate / the plain run's"]
            assert rate == pytest.approx(speed / plain, rel=0.02)


def test_bench_upscale_times_what_gives_the_plain_run_s_picture(rng, monkeypatch):
    monkeypatch.setitem(sys.modules, bench_upscale.PEER, None)  # installed or not
    network = SRGANGenerator(blocks=1, width=4)
    monkeypatch.setattr(bench_upscale, "build_generator", lambda _: deepcopy(network))
    image = Image.fromarray(rng.integers(0, 256, (96, 128, 3), dtype=np.uint8))
    work = bench_upscale.ways("srgan", True, image, (64,), "cpu")
    plain = np.asarray(work.pop("plain")()).astype(int)
    for name, way in work.items():
        way()  # finds out the overlap, before which all is well
        assert np.abs(np.asarray(way()) - plain).max() <= 3, name


def test_peak_memory_is_what_is_held_at_once():
    peak = bench_upscale.peak_memory(lambda: np.ones(2**26).sum(), "cpu")  # half a GiB
    assert 0.45 < peak < 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere freed memory goes back by itself")
def test_peak_memory_does_not_count_on_what_was_freed_before():
    kept = []

    def work():
        pieces = [np.ones(2**13) for _ in range(2**13)]  # half a GiB
        kept.append(pieces[-1])  # for which the heap keeps the others' memory

    assert bench_upscale.peak_memory(work, "cpu") > 0.45
    assert bench_upscale.peak_memory(work, "cpu") > 0.45
