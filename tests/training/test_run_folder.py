"""A run's folder: cut back to a checkpoint, and what resuming refuses."""

import json
from dataclasses import asdict, replace

import pytest
from smoke_runs import files, interrupt_at, photos, run, saved, smoke

from srkit.data import Photos
from srkit.losses import Weights
from srkit.training import checkpoints, loop, run_folder
from srkit.training.recipe import TrainingError
from srkit.weights import load_generator, load_state

pytestmark = pytest.mark.usefixtures("tiny_vgg")


def test_logs_and_samples_are_cut_back_to_a_step(tmp_path):
    (tmp_path / "samples").mkdir()
    for step in (2, 4, 6):
        (tmp_path / "samples" / f"step_{step:07d}.png").touch()
        for name in ("log.jsonl", "times.jsonl"):
            with (tmp_path / name).open("a") as file:
                file.write(json.dumps({"step": step}) + "\n")
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 8, "ms')  # killed while it wrote
    run_folder.cut_back(tmp_path, 4)
    for name in ("log.jsonl", "times.jsonl"):
        assert run_folder.read_rows(tmp_path / name) == [{"step": 2}, {"step": 4}]
    assert sorted(f.stem for f in (tmp_path / "samples").iterdir()) == [
        "step_0000002",
        "step_0000004",
    ]


@pytest.mark.parametrize("line", [b"Expecting}", b'{"mse": 1}', b'{"step": 2, "m', b"\xff\xfe}"])
def test_a_damaged_line_of_a_log_is_named(tmp_path, line):
    (tmp_path / "log.jsonl").write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 3}\n')
    with pytest.raises(TrainingError, match=r"line 2 of .*log\.jsonl is damaged"):
        run_folder.cut_back(tmp_path, 3)


def test_differences_are_named_with_both_values():
    found = run_folder.differences({"batch": 16, "crop": 64, "new": 1}, {"batch": 8, "crop": 64})
    assert found == "batch 16 (now) and 8 (then), new 1 (now) and None (then)"
    assert run_folder.differences({"a": (1, 2)}, {"a": [1, 2]}) == ""


def test_minutes_are_summed_over_the_parts_of_a_run(tmp_path):
    seconds = [30, 60, 20, 50, 10]  # begun again twice
    rows = "".join(f'{{"step": {n}, "seconds": {s}}}\n' for n, s in enumerate(seconds, start=1))
    (tmp_path / "times.jsonl").write_text(rows)
    assert run_folder.minutes_of(tmp_path) == pytest.approx((60 + 50 + 10) / 60, abs=0.05)


def test_a_half_written_log_line_is_dropped_on_resume(tmp_path):
    run(smoke(), tmp_path)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 7, "ms')
    run(smoke(), tmp_path)
    assert [row["step"] for row in run_folder.read_log(tmp_path)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("field", "value"), [("batch", 1), ("seed", 3), ("weights", Weights(2, 0, 0)), ("width", 4)]
)
def test_resuming_with_another_recipe_is_refused_by_field(tmp_path, field, value):
    run(smoke(iterations=1), tmp_path)
    with pytest.raises(TrainingError, match=rf"other settings: {field} .* \(now\) and"):
        run(replace(smoke(iterations=1), **{field: value}), tmp_path)


def test_resuming_on_other_photographs_is_refused(tmp_path):
    run(smoke(), tmp_path)
    other = (smoke(), photos(seed=9), photos(2), tmp_path)
    said = r"photographs: added 40x40 \w+, .*, removed 40x40 .*; --accept-changed-photos goes on"
    with pytest.raises(TrainingError, match=said):
        loop.train(*other, device="cpu")
    next(tmp_path.glob("photographs-*.txt")).unlink()  # as an earlier srkit left it
    with pytest.raises(TrainingError, match="photographs: other ones"):
        loop.train(*other, device="cpu")


def test_a_run_whose_photographs_changed_says_how_and_goes_on_when_told_to(tmp_path, capsys):
    names = ["a.png", "bb.png", "ccc.png"]
    out, held_out = tmp_path / "out", photos(2, seed=1)
    with pytest.raises(KeyboardInterrupt):
        first = files(tmp_path / "set", names)
        loop.train(smoke(), first, held_out, out, device="cpu", on_sample=interrupt_at(3))
    changed = files(tmp_path / "set", ["a.png", "ccc.png", "dddd.png"])
    with pytest.raises(TrainingError, match=r"added set/dddd\.png .*, removed set/bb\.png"):
        loop.train(smoke(), changed, held_out, out, device="cpu")
    loop.train(smoke(), changed, held_out, out, device="cpu", accept_changed=True)
    assert "going on although the photographs: added" in capsys.readouterr().out
    assert saved(out)["step"] == 6 and saved(out)["facts"]["photographs_changed"]
    loop.train(smoke(), changed, held_out, out, device="cpu")  # these are its own by now
    other = Photos("files", changed.items, [0, 1, 0], ["a", "b"])  # of another class
    with pytest.raises(TrainingError, match=r"classes 2 \(now\) and 1 \(then\)"):
        loop.train(smoke(), other, held_out, out, device="cpu", accept_changed=True)


@pytest.mark.parametrize("part", ["step", "facts", "generator", "ema"])
@pytest.mark.parametrize("value", [None, [1, 2], {}])
def test_a_checkpoint_without_its_parts_is_named(tmp_path, part, value):
    plan = smoke(iterations=1)
    run(plan, tmp_path)
    content = saved(tmp_path) | {part: value}
    if value is None:
        del content[part]
    checkpoints.save(tmp_path, 2, content)
    with pytest.raises(TrainingError, match=r"newest checkpoint in .* lacks a part"):
        run(plan, tmp_path)


def test_a_run_from_before_a_field_was_there_goes_on(tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        run(smoke("sr-ugan"), tmp_path, on_sample=interrupt_at(3))
    (newest, *_) = checkpoints.found(tmp_path)
    held = load_state(newest)
    del held["facts"]["recipe"]["attention"], held["facts"]["recipe"]["dense"]
    checkpoints.save(tmp_path, 3, held)
    newest.unlink(missing_ok=True)
    run(smoke("sr-ugan"), tmp_path)
    assert saved(tmp_path)["step"] == 6


def test_a_start_that_has_gone_since_does_not_matter(tmp_path):
    path = run(smoke(), tmp_path / "start")
    gone = lambda *_: path.unlink(missing_ok=True)
    plan = smoke("srgan", start_from=str(path))
    found = load_generator(run(plan, tmp_path / "srgan", on_sample=gone))[1]["training"]
    assert not path.exists() and found["start"]["iterations"] == 6 == found["iterations"]


def test_a_recipe_survives_its_checkpoint(tmp_path):
    run(smoke("sr-ugan"), tmp_path)
    assert saved(tmp_path)["facts"]["recipe"] == asdict(smoke("sr-ugan"))
