"""Pictures of 16 bits a colour, for which PIL has no mode: OpenCV reads them, an optional extra:
`pip install "srkit[deep-colour]"`. TIFF is written by tifffile, PNG here.
"""

import importlib
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

import numpy as np
from PIL import ExifTags, Image

EXTRA = 'pip install "srkit[deep-colour]"'
BITS_PER_SAMPLE, PLANES = 258, 284  # tags of TIFF
RESOLUTIONS = (ExifTags.Base.XResolution, ExifTags.Base.YResolution)
RGBA_OF_BGRA = [2, 1, 0, 3]  # OpenCV's order


class Picture(Protocol):
    """What PIL's pictures and DeepPictures have alike."""

    info: Any

    @property
    def mode(self) -> str: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    def crop(self, box: tuple[int, int, int, int]) -> "Picture": ...
    def paste(self, part: Any, at: tuple[int, int], mask: Image.Image | None) -> None: ...
    def resize(self, size: tuple[int, int], resample: Image.Resampling) -> "Picture": ...
    def getchannel(self, channel: str) -> Image.Image: ...
    def putalpha(self, alpha: Image.Image) -> None: ...


@dataclass
class DeepPicture:
    """uint16 (H, W) of grey or (H, W, 3 or 4) of colours and alpha. Its properties and methods are
    those of PIL's pictures, by the same names. (PIL has I;16 for grey, but pastes it wrongly.)"""

    array: np.ndarray
    info: dict[Any, Any] = field(default_factory=dict)

    @property
    def mode(self) -> str:
        return {1: "I;16", 3: "RGB;16", 4: "RGBA;16"}[self.array[0, 0].size]

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height

    @property
    def width(self) -> int:
        return self.array.shape[1]

    @property
    def height(self) -> int:
        return self.array.shape[0]

    def crop(self, box: tuple[int, int, int, int]) -> "DeepPicture":
        left, top, right, bottom = box
        return DeepPicture(self.array[top:bottom, left:right])

    def paste(self, part: Any, at: tuple[int, int], mask: Image.Image | None) -> None:
        (left, top), strip = at, 64
        for y in range(0, part.height, strip):  # so few rows at once in float32
            new = part.array[y : y + strip]
            old = self.array[top + y : top + y + len(new), left : left + part.width]
            if mask is not None:
                share = np.asarray(mask.crop((0, y, mask.width, y + len(new))), np.float32) / 255
                share = share.reshape(new.shape[:2] + (1,) * (new.ndim - 2))
                new = np.rint(old + (new.astype(np.float32) - old) * share)
            old[:] = new

    def resize(self, size: tuple[int, int], resample: Image.Resampling) -> "DeepPicture":
        bands = self.bands()
        sr = np.empty((size[1], size[0], len(bands)), np.uint16)
        for number, band in enumerate(bands):  # one at a time in memory
            sr[..., number] = np.asarray(band.resize(size, resample))
        return DeepPicture(sr)

    def bands(self) -> list[Image.Image]:
        """Each of its colours, and its alpha, as I;16."""
        planes = np.moveaxis(np.atleast_3d(self.array), -1, 0)
        return [Image.fromarray(np.ascontiguousarray(plane)) for plane in planes]

    def getchannel(self, channel: str) -> Image.Image:
        return self.bands()["RGBA".index(channel)]

    def putalpha(self, alpha: Image.Image) -> None:
        self.array = np.dstack([self.array[..., :3], np.asarray(alpha)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = np.asarray(self.array, dtype)
        return array.copy() if copy else array


AnyPicture = TypeVar("AnyPicture", Image.Image, DeepPicture, Picture)


def blank(mode: str, size: tuple[int, int]) -> Picture:
    """A black picture; of 16 bits a DeepPicture."""
    if not mode.endswith(";16"):
        return Image.new(mode, size)
    colours = {"I;16": (), "RGB;16": (3,), "RGBA;16": (4,)}[mode]
    return DeepPicture(np.zeros((*size[::-1], *colours), np.uint16))


def in_8_bits(picture: Picture) -> Image.Image:
    """A picture of 16 bits with 8 of them, rounded."""
    array = np.minimum(np.asarray(picture), 65_535 - 128)  # so that no sum exceeds 16 bits
    array += 128
    array //= 257
    return Image.fromarray(array.astype(np.uint8))


# --- Files ---------------------------------------------------------------------------------------


def opencv() -> Any:
    """OpenCV, silent, or None where it is not installed."""
    try:
        cv2 = importlib.import_module("cv2")
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        return cv2
    except Exception:  # whatever a half-installed one fails at
        return None


def is_deep(image: Image.Image) -> bool:
    """Whether a file's picture, of which no pixels are read yet, has 16 bits a colour."""
    tiles = getattr(image, "tile", None)
    if not tiles or image.mode in ("L", "1") or image.mode.startswith("I"):
        return False
    if image.format == "TIFF":
        return max(image.tag_v2.get(BITS_PER_SAMPLE, (8,))) == 16  # type: ignore[attr-defined]
    return ";16" in str(tiles) or (tiles[0].codec_name == "ppm" and tiles[0].args[1] > 255)


def in_planes(image: Image.Image) -> bool:
    """Whether a TIFF has its colours one after the other, which PIL and
    OpenCV misread if they are deep."""
    return image.format == "TIFF" and image.tag_v2.get(PLANES) == 2  # type: ignore[attr-defined]


def can_read_deep(image: Image.Image) -> bool:
    """Whether `read_deep` can read a file's picture."""
    deep = image.mode in ("RGB", "RGBA") and is_deep(image) and not in_planes(image)
    return deep and opencv() is not None


def read_deep(path: Path, orientation: int) -> np.ndarray:
    """A file's pixels, upright: uint16 (H, W, 3 or 4). Raises ValueError where OpenCV cannot read
    them."""
    cv2 = opencv()
    array = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.dtype != np.uint16 or array.ndim != 3:
        raise ValueError("its pixels of 16 bits a colour are damaged")
    rgba = upright(array, orientation)[..., RGBA_OF_BGRA[: array.shape[-1]]]
    return np.ascontiguousarray(rgba)


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels, (H, W, C), as EXIF's orientation wants them seen; a view of them."""
    if orientation in (5, 6, 7, 8):  # 1 to 4 with rows and columns exchanged
        array, orientation = array.swapaxes(0, 1), orientation - 4
    turned = {2: array[:, ::-1], 3: array[::-1, ::-1], 4: array[::-1]}
    return turned.get(orientation, array)


def write_deep(picture: Picture, file: BinaryIO, kind: str, carried: dict[str, Any]) -> None:
    """Write PNG or TIFF with the icc_profile and exif that are `carried`; a TIFF gets of EXIF what
    stands in its own table (`inner_exif`)."""
    array = np.asarray(picture)
    profile, exif = carried.get("icc_profile") or b"", carried.get("exif", b"")
    (write_tiff if kind == "TIFF" else write_png)(array, file, profile, exif)


def write_png(array: np.ndarray, file: BinaryIO, profile: bytes, exif: bytes) -> None:
    """Write a PNG of 16 bits a strip of rows at a time, where OpenCV has it in memory four times:
    each byte as what it differs by from the pixel on the left (filter 1, Sub)."""
    (height, width, bands), strip = array.shape, 64

    def chunk(kind: bytes, data: bytes) -> None:
        checked = kind + data
        file.write(struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked)))

    file.write(b"\x89PNG\r\n\x1a\n")
    colour_type = {3: 2, 4: 6}[bands]
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
    if profile:
        chunk(b"iCCP", b"ICC\0\0" + zlib.compress(profile))
    if exif:
        chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    packer = zlib.compressobj(4, strategy=zlib.Z_FILTERED)
    for top in range(0, height, strip):
        rows = array[top : top + strip].astype(">u2").view(np.uint8).reshape(-1, width * 2 * bands)
        filtered = np.ones((len(rows), 1 + rows.shape[1]), np.uint8)  # 1 begins a row
        filtered[:, 1:] = rows
        filtered[:, 1 + 2 * bands :] -= rows[:, : -2 * bands]
        chunk(b"IDAT", packer.compress(filtered.tobytes()))
    chunk(b"IDAT", packer.flush())
    chunk(b"IEND", b"")


def write_tiff(array: np.ndarray, file: BinaryIO, profile: bytes, exif: bytes) -> None:
    """Write a TIFF of 16 bits, losslessly compressed."""
    import tifffile

    tags = exif_from(exif)
    texts = {tag: text for tag, text in tags.items() if isinstance(text, str)}
    how: dict[str, Any] = {"extrasamples": ["unassalpha"]} if array.shape[-1] == 4 else {}
    if ExifTags.Base.XResolution in tags:
        how["resolution"] = tuple(float(tags.get(tag, 1)) for tag in RESOLUTIONS)
        how["resolutionunit"] = tags.get(ExifTags.Base.ResolutionUnit, 2)
    tifffile.imwrite(
        file,
        array,
        photometric="rgb",
        compression="zlib",
        predictor=True,
        metadata=None,
        software=False,
        iccprofile=profile or None,
        extratags=[(tag, "s", 0, text.encode(), True) for tag, text in texts.items()],
        **how,
    )


def exif_from(data: bytes) -> Image.Exif:
    """EXIF as PIL has it."""
    exif = Image.Exif()
    exif.load(data)
    return exif


def inner_exif(data: bytes) -> bool:
    """Whether there are tables in an EXIF beside its first: of the camera, or of the place."""
    exif = exif_from(data)
    return any(exif.get_ifd(table) for table in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo))
