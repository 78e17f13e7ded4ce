"""16 bits a colour: kept from file to file, by interpolation and by a network."""

import struct
import sys
import zlib

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms

from srkit.files import deep_colour
from srkit.files.deep_colour import DeepPicture, blank, in_8_bits
from srkit.files.picture_files import PictureError, check_fits, read_picture, write_picture
from srkit.upscale import upscale, visible_colours

pytestmark = pytest.mark.skipif(deep_colour.opencv() is None, reason="OpenCV is not installed")

BICUBIC = Image.Resampling.BICUBIC
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def deep_png(pixels: np.ndarray, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG of uint16 (H, W, 2 to 4), unfiltered, with more chunks."""
    height, width, channels = pixels.shape
    kind = {2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    whole = b"\x89PNG\r\n\x1a\n"
    data = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    for name, chunk in data:
        check = struct.pack(">I", zlib.crc32(name + chunk))
        whole += struct.pack(">I", len(chunk)) + name + chunk + check
    return whole


def smooth(channels: int) -> np.ndarray:
    """uint16 (16, 24, channels), all of whose values need more than 8 bits."""
    x, y = np.meshgrid(np.linspace(0, 1, 24), np.linspace(0, 1, 16))
    planes = [x, y, (x + y) / 2, 0.2 + 0.8 * x * y][:channels]
    return (np.stack(planes, -1) * 60_000 + 1_001).round().astype(np.uint16)


def store(path, pixels: np.ndarray, **tiff) -> None:
    """Write a file without the code that is tested."""
    if path.suffix == ".png":
        path.write_bytes(deep_png(pixels))
    elif path.suffix == ".ppm":
        height, width, _ = pixels.shape
        path.write_bytes(b"P6 %d %d 65535\n" % (width, height) + pixels.astype(">u2").tobytes())
    else:
        alpha = {"extrasamples": ["unassalpha"]} if pixels.shape[-1] == 4 else {}
        tifffile.imwrite(path, pixels, photometric="rgb", metadata=None, **alpha, **tiff)


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_a_colour_stay_so_from_file_to_file(tmp_path, suffix, channels, scale):
    source, target, pixels = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}", smooth(channels)
    store(source, pixels)
    image = read_picture(source)
    assert np.array_equal(np.asarray(image), pixels) and image.info["notes"] == []
    sr = upscale(image, "bicubic", scale)
    assert write_picture(sr, target) == []
    wanted = [  # of each band, by PIL in float32
        np.asarray(Image.fromarray(band.astype(np.float32)).resize(sr.size, BICUBIC))
        for band in np.moveaxis(pixels, -1, 0)
    ]
    cv2 = deep_colour.opencv()
    written = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3][:channels]]
    assert written.dtype == np.uint16 and written.shape == (16 * scale, 24 * scale, channels)
    assert np.abs(written - np.stack(wanted, -1)).max() < 1.5  # of 65,535; PIL rounds twice
    with Image.open(target) as opened:
        assert opened.mode == ("RGB", "RGBA")[channels - 3]
    if suffix == ".tif":
        assert np.array_equal(tifffile.imread(target), written)


def test_without_opencv_sixteen_bits_of_colour_are_said_to_become_eight(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    pixels = np.arange(24, dtype=np.uint16).reshape(1, 8, 3) * 257 + 4
    (tmp_path / "a.png").write_bytes(deep_png(pixels))
    image = read_picture(tmp_path / "a.png")
    assert image.mode == "RGB" and image.getpixel((1, 0)) == (3, 4, 5)  # the higher byte of each
    assert image.info["notes"] == ['16 bits a colour read as 8 (pip install "srkit[deep-colour]")']


@pytest.mark.parametrize("channels", [3, 4])
def test_a_png_of_several_strips_is_written_without_loss(tmp_path, rng, channels):
    pixels = rng.integers(0, 65_536, (150, 7, channels), dtype=np.uint16)
    assert write_picture(DeepPicture(pixels), tmp_path / "a.png") == []
    cv2 = deep_colour.opencv()
    written = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(written[..., [2, 1, 0, 3][:channels]], pixels)


def test_every_value_of_16_bits_is_rounded_to_the_nearest_of_8():
    values = np.arange(65_536, dtype=np.uint16).reshape(256, 256)
    eight = np.asarray(in_8_bits(DeepPicture(values)))
    assert np.array_equal(eight, (values / 257).round()) and values[0, 1] == 1


def test_grey_with_alpha_and_netpbm_are_read_too(tmp_path):
    pixels = smooth(3)
    store(tmp_path / "a.ppm", pixels)
    assert np.array_equal(np.asarray(read_picture(tmp_path / "a.ppm")), pixels)
    store(tmp_path / "a.png", pixels[..., :2])
    expected = pixels[..., [0, 0, 0, 1]]
    assert np.array_equal(np.asarray(read_picture(tmp_path / "a.png")), expected)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied_and_the_profile_carried_over(tmp_path, suffix, orientation):
    pixels, source, target = smooth(3), tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = orientation, "Maker"
    if suffix == ".png":
        source.write_bytes(deep_png(pixels, (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))))
    else:
        tags = [(274, "H", 1, orientation, True), (271, "s", 0, "Maker", True)]
        store(source, pixels, extratags=tags, iccprofile=SRGB)
    turned = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(pixels),
    }[orientation]  # as the EXIF standard has them
    image = read_picture(source)
    assert np.array_equal(np.asarray(image), turned)
    image.info["icc_profile"] = SRGB
    assert write_picture(image, target) == []
    with Image.open(target) as written:
        assert written.size == image.size and written.info["icc_profile"] == SRGB
        kept = written.getexif()
        assert kept.get(ExifTags.Base.Orientation, 1) == 1
        assert kept[ExifTags.Base.Make] == "Maker"


def test_the_inner_tables_of_exif_go_into_a_png_only_and_that_is_said(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.XResolution] = exif[ExifTags.Base.YResolution] = 300.0
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2020:01:02 03:04:05"
    chunk = (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    (tmp_path / "a.png").write_bytes(deep_png(smooth(3), chunk))
    image = read_picture(tmp_path / "a.png")
    assert write_picture(image, tmp_path / "b.png") == []
    with Image.open(tmp_path / "b.png") as written:
        inner = written.getexif().get_ifd(ExifTags.IFD.Exif)
        assert inner[ExifTags.Base.DateTimeOriginal] == "2020:01:02 03:04:05"
    said = ["EXIF of camera and place left out of TIFF of 16 bits a colour"]
    assert write_picture(image, tmp_path / "b.tif") == said
    with Image.open(tmp_path / "b.tif") as written:
        assert written.getexif()[ExifTags.Base.XResolution] == 300


def test_what_is_transparent_does_not_colour_the_edge():
    pixels = np.zeros((20, 20, 4), np.uint16)
    pixels[6:14, 6:14] = (64_000, 50_000, 30_001, 65_535)
    colours = np.asarray(visible_colours(DeepPicture(pixels)))
    assert np.array_equal(colours[6:14, 6:14], pixels[6:14, 6:14, :3])  # what is seen is exact
    assert np.abs(colours[4:16, 4:16].astype(int) - pixels[10, 10, :3]).max() <= 6 * 257


def test_a_format_of_8_bits_is_written_rounded_and_said(tmp_path):
    image = DeepPicture(smooth(4))
    image.info["notes"] = []
    said = ["16 bits became 8 in BMP", "alpha became white in BMP"]
    assert write_picture(image, tmp_path / "a.bmp") == said
    rounded = (smooth(3) / 257).round()
    assert np.array_equal(np.asarray(in_8_bits(DeepPicture(smooth(3)))), rounded)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_damaged_file_is_refused(tmp_path, suffix):
    whole = tmp_path / f"whole{suffix}"
    store(whole, smooth(3))
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with pytest.raises(PictureError, match=f"cut{suffix} is no readable picture"):
        read_picture(cut)


def test_separate_planes_are_refused_rather_than_misread(tmp_path):
    planes = np.ascontiguousarray(np.moveaxis(smooth(3), -1, 0))
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    with pytest.raises(PictureError, match="separate planes"):
        read_picture(tmp_path / "a.tif")


def test_they_need_twice_the_memory_and_webp_thrice(monkeypatch):
    class Free:
        available = 13 * 1_000 * 1_000

    monkeypatch.setattr("srkit.files.picture_files.psutil.virtual_memory", lambda: Free)
    check_fits((500, 500), 2)
    with pytest.raises(PictureError, match="GiB of memory"):
        check_fits((500, 500), 2, deep=True)
    with pytest.raises(PictureError, match="GiB of memory"):
        check_fits((500, 500), 2, ".webp")


def test_a_blank_picture_has_the_mode_asked_for():
    for mode in ("L", "RGB", "I;16", "RGB;16", "RGBA;16"):
        picture = blank(mode, (5, 4))
        assert picture.mode == mode and picture.size == (5, 4) and not np.asarray(picture).any()
