"""Files in every format and mode: what is read, carried over, refused and written."""

import itertools
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from srkit.files.picture_files import (
    FORMATS,
    PictureError,
    check_fits,
    listed,
    plan,
    prepared,
    read_picture,
    write_picture,
)
from srkit.upscale import upscale

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = SRGB[:16] + b"GRAY" + SRGB[20:]  # in name; nothing reads its curves
BICUBIC = Image.Resampling.BICUBIC
ORIENTATION, WIDTH = ExifTags.Base.Orientation, ExifTags.Base.ExifImageWidth


def png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG of these chunks."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, data in chunks:
        check = struct.pack(">I", zlib.crc32(name + data))
        parts.append(struct.pack(">I", len(data)) + name + data + check)
    return b"".join(parts)


def claiming(width: int, height: int) -> bytes:
    """A PNG that claims this size, and ends there."""
    return png([(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", b"")])


def gradient(mode: str) -> Image.Image:
    """A smooth picture of 24x16 in a mode, the same in all of them but for its colours."""
    x, y = np.meshgrid(np.linspace(0, 1, 24), np.linspace(0, 1, 16))
    red, green, blue, alpha = (255 * v for v in (x, y, (x + y) / 2, 0.2 + 0.8 * x * y))
    rgba = Image.fromarray(np.stack([red, green, blue, alpha], -1).round().astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray((60_000 * x * y).round().astype(np.uint16))
    if mode == "P with alpha":
        palette = rgba.convert("RGB").quantize(16)
        palette.info["transparency"] = 3
        return palette
    return rgba if mode == "RGBA" else rgba.convert("RGB").convert(mode)


# Mode -> the mode in which PIL alone is to resize the same picture.
EXPECTED = {"1": "L", "P": "RGB", "P with alpha": "RGBA", "CMYK": "RGB"}
EXPECTED |= {mode: mode for mode in ("L", "LA", "RGB", "RGBA", "I;16")}

STORED = [
    *itertools.product(["png"], ["1", "L", "LA", "P", "P with alpha", "RGB", "RGBA", "I;16"]),
    *itertools.product(["tif"], ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]),
    *itertools.product(["bmp"], ["1", "L", "P", "RGB"]),
    *itertools.product(["jpg"], ["L", "RGB", "CMYK"]),
    *itertools.product(["webp"], ["RGB", "RGBA"]),
]


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize(("suffix", "mode"), STORED)
def test_every_format_and_mode_is_enlarged_as_pil_does(tmp_path, suffix, mode, scale):
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    lossless = {"lossless": True, "exact": True} if suffix == "webp" else {}
    gradient(mode).save(source, **lossless)
    with Image.open(source) as stored:
        wanted = stored.convert(EXPECTED[mode]) if mode != "I;16" else stored.copy()
    wanted = wanted.resize((24 * scale, 16 * scale), BICUBIC)
    sr = upscale(read_picture(source), "bicubic", scale)
    assert sr.size == (24 * scale, 16 * scale) and sr.mode == EXPECTED[mode]
    assert np.abs(np.asarray(sr).astype(int) - np.asarray(wanted).astype(int)).max() <= 1
    write_picture(sr, target)
    with Image.open(target) as written:
        assert written.size == sr.size
        lossy = suffix in ("jpg", "webp")
        assert written.mode == sr.mode or (written.mode == "RGB" and suffix == "webp")
        difference = np.abs(np.asarray(written).astype(int) - np.asarray(sr).astype(int))
        assert difference.mean() <= (3 if lossy else 0)
    assert sorted(f.name for f in tmp_path.iterdir()) == [f"in.{suffix}", f"out.{suffix}"]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied_and_the_rest_carried_over(tmp_path, suffix, orientation):
    turns = [None, "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270"]
    turn = [*turns, "TRANSVERSE", "ROTATE_90"][orientation - 1]  # as the EXIF standard has them
    image, exif = gradient("RGB"), Image.Exif()
    exif[ORIENTATION], exif[ExifTags.Base.Make] = orientation, "Maker"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2020:01:02 03:04:05"
    exif.get_ifd(ExifTags.IFD.Exif)[WIDTH] = 24
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    exact = {"lossless": True} if suffix == "webp" else {}
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    image.save(source, exif=exif.tobytes(), icc_profile=SRGB, **exact)
    with Image.open(source) as stored:
        image = stored.copy() if suffix == "jpg" else image  # all the others are lossless
    upright = image.transpose(Image.Transpose[turn]) if turn else image
    sr = upscale(read_picture(source), "bicubic", 2)
    expected = np.asarray(upright.resize([2 * side for side in upright.size], BICUBIC))
    assert np.array_equal(np.asarray(sr), expected)
    assert write_picture(sr, target) == []
    with Image.open(target) as written:
        assert written.size == sr.size and written.info["icc_profile"] == SRGB
        kept = written.getexif()
        assert kept[ORIENTATION] == 1 and kept[ExifTags.Base.Make] == "Maker"
        inner, gps = kept.get_ifd(ExifTags.IFD.Exif), kept.get_ifd(ExifTags.IFD.GPSInfo)
        assert inner[ExifTags.Base.DateTimeOriginal] == "2020:01:02 03:04:05"
        assert gps[ExifTags.GPS.GPSLatitudeRef] == "N" and WIDTH not in inner  # no longer true


def test_exif_moves_from_a_tiff_to_a_jpeg_without_what_says_how_it_is_stored(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "me"
    gradient("RGB").save(tmp_path / "in.tif", exif=exif)
    write_picture(read_picture(tmp_path / "in.tif"), tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as written:
        assert dict(written.getexif()) == {ExifTags.Base.Artist: "me"}


def test_python_s_call_turns_and_carries_over_too(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    gradient("RGB").save(tmp_path / "in.jpg", exif=exif, icc_profile=SRGB)
    sr = upscale(Image.open(tmp_path / "in.jpg"))
    assert sr.size == (32, 48) and sr.info["icc_profile"] == SRGB


def test_what_a_format_cannot_hold_is_said(tmp_path):
    image = prepared(gradient("RGBA"))
    image.info |= {"icc_profile": SRGB, "exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}
    notes = write_picture(image, tmp_path / "a.bmp")
    said = ["alpha became white in BMP", "profile left out of BMP", "EXIF left out of BMP"]
    assert notes == said
    with Image.open(tmp_path / "a.bmp") as written:
        red, _, _ = written.getpixel((23, 0))  # red 255, alpha 51 of 255: 51 + 204 of white
        assert red == 255 and written.getpixel((0, 0)) == (204, 204, 204)
    assert write_picture(prepared(gradient("I;16")), tmp_path / "a.jpg") == [
        "16 bits became 8 in JPEG"
    ]
    with Image.open(tmp_path / "a.jpg") as written:
        assert abs(written.getpixel((23, 15)) - 60_000 / 257) <= 2  # JPEG's rounding


def test_a_profile_of_other_channels_is_left_out(tmp_path):
    image = prepared(gradient("L"))
    image.info["icc_profile"] = GREY
    assert write_picture(image, tmp_path / "a.png") == []
    assert write_picture(image, tmp_path / "a.webp") == ["profile left out of WEBP"]


def test_what_is_prepared_stays_so_and_nothing_else_is_taken_for_it():
    once = prepared(gradient("RGB"))
    assert prepared(once) is once
    assert prepared(once.convert("P")).mode == "RGB"  # which keeps `info`
    text = gradient("RGB")
    text.info["notes"] = "a text chunk of a PNG"
    assert prepared(text).info["notes"] == []


def exif_with_a_lost_value() -> bytes:
    """An artist in place, and a copyright of 99 letters that are not there."""
    entries = struct.pack("<HHI4s", 315, 2, 3, b"me") + struct.pack("<HHII", 33432, 2, 99, 9999)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + struct.pack("<I", 0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_of_damaged_exif_is_kept_what_can_be_read(tmp_path, suffix):
    gradient("RGB").save(tmp_path / f"in.{suffix}", exif=exif_with_a_lost_value())
    image = read_picture(tmp_path / f"in.{suffix}")
    assert image.info["notes"] == ["damaged EXIF, kept as far as it can be read"]
    write_picture(image, tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as written:
        assert dict(written.getexif()) == {ExifTags.Base.Artist: "me"}
    gradient("RGB").save(tmp_path / "bad.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xffjunk")
    assert "exif" not in read_picture(tmp_path / "bad.jpg").info


@pytest.mark.parametrize("suffix", ["webp", "tif", "png"])
def test_of_several_pictures_the_first_is_taken_and_said(tmp_path, suffix):
    first, second = Image.new("RGB", (8, 6), "red"), Image.new("RGB", (8, 6), "blue")
    exact = {"lossless": True} if suffix == "webp" else {}
    first.save(tmp_path / f"a.{suffix}", save_all=True, append_images=[second], **exact)
    image = read_picture(tmp_path / f"a.{suffix}")
    assert image.getpixel((3, 3)) == (255, 0, 0)
    assert image.info["notes"] == ["first of 2 pictures"]


@pytest.mark.parametrize("mode", ["F", "LAB", "I"])
def test_other_modes_are_refused(mode):
    image = Image.new(mode, (4, 4))
    if mode == "I":
        image.putpixel((0, 0), 70_000)
    with pytest.raises(PictureError, match="convert it to"):
        prepared(image)


# --- Bad files -----------------------------------------------------------------------------------


def bad_files(folder) -> dict[str, str]:
    """Writes one file of each kind of damage; name -> what is to be said."""
    gradient("RGB").resize((200, 200)).save(folder / "good.jpg")
    whole = (folder / "good.jpg").read_bytes()
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "head.jpg").write_bytes(whole[:30])
    (folder / "bomb.png").write_bytes(claiming(60_000, 60_000))
    (folder / "wide.png").write_bytes(claiming(0, 5))
    said = dict.fromkeys(["text.png", "cut.jpg", "head.jpg", "wide.png"], "no readable picture")
    return said | {"empty.jpg": "is empty", "bomb.png": "too large"}


def test_a_bad_file_is_named_with_its_reason(tmp_path):
    for name, reason in bad_files(tmp_path).items():
        with pytest.raises(PictureError, match=reason) as told:
            read_picture(tmp_path / name)
        assert name in str(told.value) and ":" in str(told.value)


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_netpbm_of_8_bits_is_read_and_written(tmp_path, mode):
    picture = Image.linear_gradient("L").convert(mode)
    picture.save(tmp_path / "a.ppm")
    image = read_picture(tmp_path / "a.ppm")
    assert np.array_equal(np.asarray(image), np.asarray(picture.convert(image.mode)))
    assert image.info["notes"] == write_picture(image, tmp_path / "b.ppm") == []


def test_a_result_that_would_not_fit_is_refused():
    with pytest.raises(PictureError, match=r"GiB of memory.*smaller scale"):
        check_fits((100, 100), 100_000)
    with pytest.raises(PictureError, match=r"16,383 a side of WEBP"):
        check_fits((5_000, 10), 4, ".webp")
    check_fits((4_000, 3_000), 1)
    with pytest.raises(PictureError, match="GiB"):
        upscale(Image.new("L", (10, 10)), "bicubic", 1_000_000)


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    target = tmp_path / "a.png"
    target.write_bytes(b"old")

    def full(self, file, *_, **__):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="no space left"):
        write_picture(prepared(gradient("RGB")), target)
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


# --- What is written where -----------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    """A folder of pictures whose names would collide as PNG."""
    for name in ("a.jpg", "a.png", "A.png", "sub/a.jpg", "sub/.hidden.jpg", "sub/note.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "in"


def test_subfolders_are_kept_and_names_never_collide(tree, tmp_path):
    out = tmp_path / "out"
    kept = {str(target.relative_to(out)) for _, target in plan([tree], out)[0]}
    assert len(kept) == 4 and {"a.jpg", "sub/a.jpg"} <= kept
    as_png = [str(t.relative_to(out)).casefold() for _, t in plan([tree], out, ".png")[0]]
    assert sorted(as_png) == ["a-2.png", "a-3.png", "a.png", "sub/a.png"]
    twice, _ = plan([tree / "a.jpg", tree / "sub" / "a.jpg", tree], out)
    assert len({str(target).casefold() for _, target in twice}) == len(twice) == 5


def test_one_picture_may_have_a_file_as_its_target(tree, tmp_path):
    source = tree / "a.jpg"
    for out, target in (("big.png", "big.png"), ("out", "out/a.jpg"), ("out.d/", "out.d/a.jpg")):
        assert plan([source], f"{tmp_path}/{out}") == ([(source, tmp_path / target)], [])


def test_what_was_written_into_the_folder_is_no_source(tree):
    (tree / "big").mkdir()
    (tree / "big" / "a.jpg").write_bytes(b"x")
    assert tree / "big" / "a.jpg" not in [source for source, _ in plan([tree], tree / "big")[0]]
    assert len(listed(tree, tree.parent)[0]) == 5  # a target above leaves nothing out


def test_a_hidden_folder_is_no_source(tree, tmp_path):
    (tree / ".hidden").mkdir()
    (tree / ".hidden" / "a.jpg").write_bytes(b"x")
    assert len(plan([tree], tmp_path / "out")[0]) == 4


def test_a_folder_that_cannot_be_read_is_refused_by_name(tree, tmp_path, forbid):
    forbid("sub")
    pairs, refused = plan([tree], tmp_path / "out")
    said = f"{tree / 'sub'} cannot be read (Permission denied): leave it out, or give yourself"
    assert len(pairs) == 3 and refused == [f"{said} the right to read it"]
    with pytest.raises(PictureError, match="sub cannot be read"):
        plan([tree / "sub"], tmp_path / "out")


@pytest.mark.parametrize(
    ("sources", "out", "said"),
    [
        (["in"], "in", "is a source and would be lost"),
        (["in/a.jpg"], "in/a.jpg", "is a source and would be lost"),
        (["in/a.jpg"], "in/sub/../a.jpg", "is a source and would be lost"),
        (["in/a.jpg", "in/sub/a.jpg"], "in", "is a source and would be lost"),
        (["in/none.jpg", "empty"], "out", r"no pictures under.* \(and 1 more"),
        (["in/none.jpg"], "out", "no picture or folder at"),
        (["empty"], "out", "no pictures under"),
        (["in/a.jpg"], "out.xyz", "ends with none of .jpg"),
        (["in/sub/note.txt"], "out", "ends with none of .jpg"),
        (["in/a.jpg"], "in/a.png/out.png", "is no folder"),
        (["in"], "in/a.jpg", "is no folder"),
    ],
)
def test_a_bad_plan_is_refused(tree, tmp_path, sources, out, said):
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError, match=said):
        plan([tmp_path / source for source in sources], tmp_path / out)
    assert not (tmp_path / "out").exists()


def test_what_is_refused_is_named_beside_what_is_done(tree, tmp_path):
    pairs, refused = plan([tree / "none.jpg", tree / "a.jpg", tree / "a.png"], tmp_path / "out")
    assert [source.name for source, _ in pairs] == ["a.jpg", "a.png"]
    assert len(refused) == 1 and "no picture or folder at" in refused[0]


def test_a_gif_becomes_a_png_of_its_first_picture(tmp_path):
    first, second = Image.new("P", (8, 6), 1), Image.new("P", (8, 6), 2)
    for picture in (first, second):
        picture.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    (tmp_path / "in").mkdir()
    first.save(tmp_path / "in" / "a.gif", save_all=True, append_images=[second])
    pairs, _ = plan([tmp_path / "in"], tmp_path / "out")
    assert pairs == [(tmp_path / "in" / "a.gif", tmp_path / "out" / "a.png")]
    image = read_picture(pairs[0][0])
    assert image.mode == "RGB" and image.getpixel((3, 3)) == (255, 0, 0)
    assert image.info["notes"] == ["first of 2 pictures"]


def test_every_format_can_be_read_and_written():
    Image.init()
    assert set(FORMATS.values()) <= set(Image.OPEN) & set(Image.SAVE)
