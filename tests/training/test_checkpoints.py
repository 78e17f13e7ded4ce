"""What a killed run leaves: checkpoints that are whole or named damaged, logs cut back to them."""

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
