"""Sessions: runs are loaded only where they are the same run, and photographs fit the recipe."""

from dataclasses import replace

import numpy as np
import pytest

from srkit import devices, paths
from srkit.data import DataError, Photos
from srkit.notebook import figures
from srkit.notebook.session import Session, begin
from srkit.training.loop import finished, train_or_load
from srkit.training.recipes import recipe
from srkit.weights import trained_path


def photos(side=40, seed=0) -> Photos:
    pixels = np.random.default_rng(seed).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    return Photos("noise", list(pixels), [0, 1], ["a", "b"])


def test_a_finished_run_is_loaded_and_any_other_is_computed(tmp_path):
    plan, out = recipe("srresnet", "smoke", iterations=2, drop_at=1), tmp_path / "run"

    def run(plan=plan, train=None) -> tuple[bytes, bool]:
        path, computed = train_or_load(plan, train or photos(), photos(seed=9), out, device="cpu")
        assert path == out / "generator.safetensors"
        return path.read_bytes(), computed

    first, computed = run()
    assert computed and run() == (first, False)
    for changed in ({"plan": replace(plan, seed=1)}, {"train": photos(seed=5)}):
        other, computed = run(**changed)
        assert computed and other != first
        assert run(**changed) == (other, False)
        assert run() == (first, False), "the first run comes back"
    assert len(list(tmp_path.iterdir())) == 3, "no run is thrown away"


def test_an_interrupted_run_is_not_taken_for_a_finished_one(tmp_path):
    plan = recipe("srresnet", "smoke", iterations=6, checkpoint_every=2)
    arguments = (plan, photos(), photos(seed=9), tmp_path / "run")

    def stop(state, row, sr) -> None:
        if state.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_or_load(*arguments, device="cpu", on_sample=stop)
    path, computed = train_or_load(*arguments, device="cpu")
    assert computed and finished(path.parent)["iterations"] == 6


def test_what_a_reader_trained_stands_beside_what_is_shipped(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setenv("SRKIT_ROOT", str(tmp_path))
    for preset, beside in (("smoke", True), ("cpu", False)):  # cpu's own network is its SR-UGAN
        here = Session(preset, "embedded", 0, "cpu", tmp_path)
        assert here.yours() == {}
        file = trained_path("sr-ugan", 2, preset)
        file.parent.mkdir(parents=True)
        file.touch()
        assert here.yours() == ({"sr-ugan-yours": file} if beside else {})


def test_photographs_smaller_than_the_crop_are_left_out_aloud(make_folder, capsys):
    folder = make_folder({"train/a.png": (40, 40), "train/b.png": (20, 40), "val/c.png": (40, 40)})
    here = Session("smoke", str(folder), 0, "cpu", folder)
    assert len(here.training_photos(recipe("srresnet", "smoke"))) == 1
    assert "left out 1 of 2" in capsys.readouterr().out
    with pytest.raises(DataError, match="smaller than the crop"):
        here.training_photos(recipe("srresnet", "smoke", crop=64))


def test_photographs_too_small_to_be_shown_are_left_out_aloud(make_folder, capsys):
    folder = make_folder({"val/large.png": (160, 160), "val/small.png": (40, 40)})
    assert len(Session("smoke", str(folder), 0, "cpu", folder).photos("val")) == 1
    assert "left out 1 of 2" in capsys.readouterr().out


def test_long_presets_ask_for_the_real_vgg19(monkeypatch, make_folder, tmp_path):
    folder = make_folder({"a.png": (40, 40), "b.png": (40, 40), "c.png": (40, 40)})
    asked = []
    fake = lambda *a, content, **_: asked.append(content) or (a[3], True)
    monkeypatch.setattr("srkit.notebook.session.train_or_load", fake)
    for preset in ("smoke", "gpu"):
        Session(preset, str(folder), 0, "cpu", tmp_path).train(recipe("sr-ugan", "smoke"))
    assert asked == ["auto", "torchvision"]


def test_begin_refuses_an_unknown_preset():
    with pytest.raises(ValueError, match="smoke, demo"):
        begin("huge")


def test_a_committed_figure_of_another_machine_is_kept_where_this_ones_differs(
    tmp_path, monkeypatch, capsys
):
    committed, own = tmp_path / "figures", tmp_path / "runs" / "figures"
    committed.mkdir()
    monkeypatch.setattr(paths, "figures", lambda *_: committed)
    monkeypatch.setattr(paths, "runs", lambda preset: tmp_path / "runs")
    session, name = begin("demo"), "fig9.png"
    first, second = (figures.table([title], [["1"]]) for title in ("first", "second"))

    figures.save(first, committed / name, "another machine")
    kept = (committed / name).read_bytes()
    assert session.save(second, name) == own / name
    assert "is from another machine, and kept; this one: " in capsys.readouterr().out
    assert session.save(first, name) == committed / name  # the same picture: nothing to say
    assert "kept" not in capsys.readouterr().out
    assert (committed / name).read_bytes() == kept

    (committed / name).unlink()
    assert session.save(second, name) == committed / name
    assert session.save(first, name) == committed / name  # its own it replaces
    assert figures.same_picture(committed / name, own / name)
    assert figures.source_of(committed / name) == devices.machine("cpu")
