"""Folders as people have them: what is no photograph is left out, counted and listed once."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from srkit.data import DataError, open_photos, photo_files, readable
from srkit.data.photos import read_photo


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch):
    monkeypatch.setattr(readable, "_told", set())


@pytest.fixture
def picture(rng):
    return Image.fromarray(rng.integers(0, 256, (24, 20, 3), dtype=np.uint8))


def write(path, picture, how):
    """Write one odd file; `how` is what is odd about it."""
    content = {"truncated": "cut", "zero bytes": b"", "text": b"no picture"}.get(how)
    if how in ("CMYK", "P", "L", "RGBA", "LA", "1", "I;16", "YCbCr"):
        mode, picture = how, picture.convert("L") if how == "I;16" else picture
        picture.convert(mode).save(path)
    elif how == "EXIF":
        exif = Image.Exif()
        exif[0x0112] = 6  # turned by 90 degrees
        picture.save(path, exif=exif)
    elif how == "JPEG within":
        picture.save(path, format="JPEG")
    elif isinstance(how, tuple):
        picture.resize(how, Image.Resampling.NEAREST).save(path)
    elif how == "broken link":
        path.symlink_to(path.with_name("nowhere.png"))
    elif how == "bomb":
        path.write_bytes(png_header(70_000, 70_000))
    elif how == "SyntaxError":
        path.write_bytes(png_header(0, 0)[:16] + b"\0" * 30)
    else:
        picture.save(path)
        whole = path.read_bytes()
        cut = whole[: 2 * len(whole) // 3] if content == "cut" else content
        path.write_bytes(whole if cut is None else cut)


EMPTY = b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")) + b"\0\0\0\0IEND"


def png_header(width, height) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header)) + EMPTY


KEPT = [
    ("a.png", "plain"),
    ("a.jpg", "CMYK"),
    ("a.png", "P"),
    ("a.png", "RGBA"),
    ("a.png", "LA"),
    ("a.png", "1"),
    ("a.tif", "YCbCr"),
    ("a.jpg", "EXIF"),
    ("a.png", "JPEG within"),
    ("a.png", (20_000, 8)),
    ("Ελλάδα ü 猫.png", "plain"),
    ("A.JPEG", "plain"),
]
LEFT_OUT = [
    ("bad.png", "truncated", "no readable image"),
    ("bad.jpg", "truncated", "truncated"),
    ("bad.bmp", "truncated", "truncated"),
    ("bad.ppm", "truncated", "no readable image"),
    ("bad.tif", "truncated", "no readable image"),
    ("bad.webp", "truncated", "no readable image"),
    ("bad.png", "zero bytes", "cannot identify"),
    ("bad.jpg", "text", "cannot identify"),
    ("bad.png", "I;16", "the mode I;16, not 8-bit"),
    ("bad.png", (1, 1), "1x1 pixels are too few"),
    ("bad.png", (3, 900), "3x900 pixels are too few"),
    ("bad.png", "broken link", "a broken link"),
    ("bad.png", "bomb", "decompression bomb"),
    ("bad.png", "SyntaxError", "no readable image"),
    ("bad.gif", "plain", "a GIF"),
    (".hidden/bad.png", "plain", "a hidden folder"),
]


@pytest.mark.parametrize(("name", "how"), KEPT)
def test_odd_photographs_are_kept(tmp_path, picture, name, how, capsys):
    write(tmp_path / name, picture, "plain" if how == "I;16" else how)
    found = open_photos(str(tmp_path), "all", strict=True)
    width, height = how if isinstance(how, tuple) else (20, 24)  # EXIF turns nothing
    assert found[0].shape == (height, width, 3) and found[0].dtype == np.uint8
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("name", "how", "why"), LEFT_OUT)
def test_bad_photographs_are_left_out_and_listed_once(tmp_path, picture, name, how, why, capsys):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    write(tmp_path / name, picture, how)
    for number in range(3):
        picture.save(tmp_path / f"{number}.png")
    for _ in range(2):
        found = open_photos(str(tmp_path), "all")
        assert [item.name for item in found.items] == ["0.png", "1.png", "2.png"]
    said = capsys.readouterr().err
    assert said.count("bad" if "hidden" not in name else ".hidden") >= 1 and why in said
    assert said.count("left out 1 ") == 1 and said.count("\n") == 2


@pytest.mark.parametrize(("name", "how", "why"), [case for case in LEFT_OUT if "file" not in case])
def test_too_little_left_is_a_clear_error(tmp_path, picture, name, how, why):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    write(tmp_path / name, picture, how)
    with pytest.raises(DataError, match=r"none of 1 photographs is readable|no photographs under"):
        open_photos(str(tmp_path), "all")


def test_strict_ends_at_the_first(tmp_path, picture):
    for name in ("a.png", "b.png", "c.png"):
        write(tmp_path / name, picture, "plain" if name == "a.png" else "text")
    with pytest.raises(DataError, match=r"b\.png: no readable image.*\(--strict\)"):
        open_photos(str(tmp_path), "all", strict=True)


def test_many_bad_ones_are_counted(tmp_path, picture, capsys):
    for number in range(30):
        write(tmp_path / f"{number:02}.png", picture, "text" if number else "plain")
    assert len(open_photos(str(tmp_path), "all")) == 1
    said = capsys.readouterr().err
    assert said.startswith("left out 29 of 30") and "... and 19 more" in said
    assert said.count("no readable image") == 10


def test_an_unreadable_folder_is_named(tmp_path, picture, capsys, forbid):
    for folder in ("cat", "dog"):
        (tmp_path / folder).mkdir()
        picture.save(tmp_path / folder / "a.png")
    forbid("dog")
    assert [file.parent.name for file in photo_files(tmp_path)] == ["cat"]
    assert "dog: Permission denied" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [SyntaxError("broken"), ValueError("bad"), struct.error("short"), MemoryError(), KeyError(1)],
)
def test_whatever_pil_raises_names_the_file(tmp_path, picture, monkeypatch, error):
    picture.save(tmp_path / "a.png")

    def fail(*_):
        raise error

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(DataError, match=r"a\.png is no readable image: \w") as caught:
        read_photo(tmp_path / "a.png")
    assert "\n" not in str(caught.value)


def test_a_photograph_s_every_damage_is_named_or_read(tmp_path, picture, rng):
    for suffix in ("png", "jpg", "bmp", "ppm", "tif", "webp"):
        path = tmp_path / f"a.{suffix}"
        picture.save(path)
        whole = path.read_bytes()
        for _ in range(60):
            damaged = bytearray(whole)
            for place in rng.integers(0, min(len(whole), 200), 3):
                damaged[place] = rng.integers(256)
            path.write_bytes(
                damaged[: rng.integers(1, len(damaged))] if rng.random() < 0.3 else damaged
            )
            try:
                read_photo(path)
            except DataError as error:
                assert str(path) in str(error)
