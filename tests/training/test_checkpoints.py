"""What a killed run leaves: checkpoints that are whole or named damaged, logs cut back to them."""

import json

import pytest
import torch

from srkit.training import checkpoints, run_folder
from srkit.training.recipe import TrainingError


def save(folder, *steps):
    return [
        checkpoints.save(folder, step, {"step": step, "x": torch.ones(9) * step}) for step in steps
    ]


def test_the_last_two_checkpoints_are_kept_and_the_newest_is_loaded(tmp_path):
    save(tmp_path, 5, 10, 15)
    assert [checkpoints.step_of(path) for path in checkpoints.found(tmp_path)] == [15, 10]
    assert checkpoints.load(tmp_path)["step"] == 15
    assert not list(tmp_path.glob("*.part"))


def test_no_checkpoint_is_none(tmp_path):
    assert checkpoints.load(tmp_path) is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_newest_falls_back_to_the_one_before_aloud(tmp_path, damage, capsys):
    _, newest = save(tmp_path, 5, 10)
    content = newest.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    newest.write_bytes({"cut": content[:-20], "flipped": flipped, "empty": b""}[damage])
    assert checkpoints.load(tmp_path)["step"] == 5
    out = capsys.readouterr().out
    assert f"{newest.name} is damaged" in out and "going on from checkpoint-0000005" in out
    run_folder.cut_back(tmp_path, 5)
    assert [checkpoints.step_of(path) for path in checkpoints.found(tmp_path)] == [5]


def test_only_damaged_ones_are_refused_and_left_where_they_are(tmp_path):
    for path in save(tmp_path, 5, 10):
        path.write_bytes(b"no")
    with pytest.raises(TrainingError, match=r"every checkpoint in .* is damaged"):
        checkpoints.load(tmp_path)
    assert len(checkpoints.found(tmp_path)) == 2


def test_a_checkpoint_that_was_being_written_does_not_count(tmp_path):
    save(tmp_path, 5)
    (tmp_path / "checkpoint.part").write_bytes(b"half")
    assert checkpoints.load(tmp_path)["step"] == 5
    run_folder.cut_back(tmp_path, 5)
    assert not (tmp_path / "checkpoint.part").exists()


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
