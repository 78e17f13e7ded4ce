"""No held-out photograph is trained on, under whatever name and in whatever form."""

import shutil

import numpy as np
import pytest
from PIL import Image

from srkit.cli import main
from srkit.data import DataError, Photos, embedded, open_photos, pack, photo_folder
from srkit.data.leakage import check_apart, hint
from srkit.training.loop import train
from srkit.training.recipes import recipe


@pytest.fixture
def folders(make_folder):
    training = make_folder({f"{n % 2}/{n}.png": (48, 48) for n in range(4)}, "training")
    held_out = make_folder({f"{n}.png": (48, 48) for n in range(3)}, "held_out")
    return training, held_out


def test_other_photographs_are_apart(folders):
    check_apart(*map(photo_folder, folders))
    check_apart(embedded("train"), embedded("val"))


def test_a_copy_under_another_name_is_found_and_both_are_named(folders):
    training, held_out = folders
    shutil.copy(held_out / "1.png", training / "0" / "innocent.png")
    with pytest.raises(DataError, match=r"0/innocent\.png of .* is held_out/1\.png") as caught:
        check_apart(*map(photo_folder, folders))
    assert "take it out" in str(caught.value)


def test_files_alike_in_size_and_middle_are_told_apart_by_their_whole(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    for name, value in (("a", 0), ("b", 255)):
        pixels[0, 0] = value
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "x.bmp")
    files = [tmp_path / name / "x.bmp" for name in "ab"]
    assert hint(files[0]) == hint(files[1]), "no test of the case that it is meant for"
    check_apart(*(Photos(f.parent.name, [f], [0], [""]) for f in files))


def test_a_packed_copy_is_found_though_it_was_resized(folders, tmp_path):
    training, held_out = folders
    shutil.copy(held_out / "2.png", training / "1" / "copy.png")
    pack(photo_folder(training, short_side=32), tmp_path / "packed" / "train")
    with pytest.raises(DataError, match=r"of .* is held_out/2\.png"):
        check_apart(open_photos(f"packed:{tmp_path / 'packed'}", "train"), photo_folder(held_out))


def test_training_refuses_before_anything_is_written(folders, tmp_path):
    training, held_out = folders
    shutil.copy(held_out / "0.png", training / "0" / "copy.png")
    plan, out = recipe("srresnet", "smoke", iterations=1), tmp_path / "out"
    with pytest.raises(DataError, match="held out"):
        train(plan, photo_folder(training), photo_folder(held_out), out, device="cpu")
    assert not out.exists()


def test_the_command_keeps_out_what_it_is_told_to(folders, tmp_path, capsys):
    training, held_out = folders
    shutil.copy(held_out / "0.png", training / "0" / "copy.png")
    command = ["train", "--recipe", "srresnet", "--preset", "smoke", "--data", str(training)]
    command += ["--out", str(tmp_path / "out"), "--device", "cpu", "--set", "iterations=1"]
    assert main([*command, "--keep-out", str(held_out)]) == 2
    assert "copy.png" in capsys.readouterr().err
