"""Where photographs come from: a download that broke off, and folders of very many entries."""

import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srkit.data import DataError, open_photos, photo_files
from srkit.files import sha256


@pytest.fixture
def picture(rng):
    return Image.fromarray(rng.integers(0, 256, (24, 20, 3), dtype=np.uint8))


@pytest.fixture
def imagenette(tmp_path, picture, monkeypatch):
    """An archive like Imagenette's, and where it would be downloaded to from a list of parts."""
    pictures = tmp_path / "imagenette2" / "val" / "n01440764"
    pictures.mkdir(parents=True)
    picture.save(pictures / "a.JPEG")
    archive = tmp_path / "whole.tgz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(tmp_path / "imagenette2", "imagenette2")
    begun = []

    def fetch(url, part):
        begun.append(part.stat().st_size if part.is_file() else 0)
        if len(begun) == 1:
            part.write_bytes(archive.read_bytes()[:100])
            raise OSError("timed out")
        part.write_bytes(archive.read_bytes())

    monkeypatch.setattr("srkit.files.fetch", fetch)
    monkeypatch.setattr("srkit.data.sources.IMAGENETTE_SHA256", sha256(archive))
    return begun


def test_imagenette_goes_on_with_a_download_that_broke_off(tmp_path, imagenette):
    folder = tmp_path / "set"
    with pytest.raises(DataError, match=r"timed out.*; to have it downloaded name a folder"):
        open_photos(f"imagenette:{folder}", "val")
    (folder / "imagenette2.part").mkdir()  # as unpacking leaves it that is killed
    assert len(open_photos(f"imagenette:{folder}", "val")) == 1
    assert imagenette == [0, 100]
    assert sorted(f.name for f in folder.iterdir()) == ["imagenette2", "imagenette2.tgz"]
    open_photos(f"imagenette:{folder}", "val")
    assert len(imagenette) == 2


def test_imagenette_takes_over_what_torchvision_began_and_leaves_other_folders_alone(
    tmp_path, imagenette
):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "imagenette2.tgz").write_bytes(b"begun")
    with pytest.raises(DataError, match="timed out"):
        open_photos(f"imagenette:{folder}", "val")
    assert imagenette == [5]
    with pytest.raises(DataError, match=r"not found\.; to have it downloaded name a folder"):
        open_photos(f"imagenette:{tmp_path / 'imagenette2'}", "val")
    assert imagenette == [5]


def test_a_folder_of_very_many_entries_is_listed_in_seconds(tmp_path, monkeypatch, capsys):
    names = [f"{n}.{'jpg' if n % 2 else 'gif'}" for n in range(200_000)]
    monkeypatch.setattr("os.walk", lambda *_, **__: [(str(tmp_path), [], names)])
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    began = time.monotonic()
    assert len(photo_files(tmp_path)) == 100_000
    assert time.monotonic() - began < 30
    assert capsys.readouterr().err.count("\n") < 20
