"""Pictures in files, with what they carry: orientation, profile, EXIF, alpha, 16 bits.

What is to be enlarged has one of five modes: L, LA, RGB, RGBA or I;16 (`prepared`), or is a
`DeepPicture`. Its profile and EXIF lie in PIL's own `image.info`, what had to be changed or left
out in `info["notes"]`.
Nothing here loads torch, so that a command can refuse bad arguments at once.
"""

import io
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from srkit.files.deep_colour import (
    EXTRA,
    DeepPicture,
    Picture,
    can_read_deep,
    in_8_bits,
    in_planes,
    inner_exif,
    is_deep,
    opencv,
    read_deep,
    write_deep,
)
from srkit.files.writing import SrkitError, check_writable, replacing

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".tif": "TIFF"}
FORMATS |= {".tiff": "TIFF", ".bmp": "BMP", ".ppm": "PPM", ".pgm": "PPM"}

ALSO_READ = {".gif": ".png"}  # and what is written of it

Plan = tuple[list[tuple[Path, Path]], list[str]]

MODES = ("L", "LA", "RGB", "RGBA", "I;16")
ALPHA = ("PNG", "WEBP", "TIFF")  # the formats that hold it
SIXTEEN_BITS = ("PNG", "TIFF")
METADATA = ("JPEG", "PNG", "WEBP", "TIFF")
CARRIED = ("icc_profile", "exif")
LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}

# What a result takes by the pixel at its peak, measured at 2x: RGBA, and 16 bits with alpha. PIL's
# encoder of WebP has it several times.
MOST_BYTES, MOST_BYTES_DEEP = {"WEBP": 42}, 27

OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "PNG": {"compress_level": 4},  # a third of the time of the default, 2% larger
}

# The tags of a TIFF that say something of the photograph, not of how its pixels are stored.
KEPT_OF_TIFF = {270, 271, 272, 274, 282, 283, 296, 305, 306, 315, 33432, 34665, 34853}


class PictureError(SrkitError, ValueError):
    """A picture that cannot be read, enlarged or written; the message says why and what to do."""


# --- Reading -------------------------------------------------------------------------------------


def open_picture(path: Path) -> Image.Image:
    """A file's picture with its header read and its pixels not. Raises PictureError where it is
    none, or so large that it may be an attack (PIL's limit, 179 megapixels)."""
    try:
        if not path.stat().st_size:
            raise PictureError(f"{path} is empty (0 bytes): copy it again from where it came")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of half the limit, and of damaged EXIF
            return Image.open(path)
    except Image.DecompressionBombError as error:
        what = f"{path} is too large to be opened safely: {str(error).rstrip('.')}"
        raise PictureError(f"{what}; cut it into smaller ones with another program") from error
    except PictureError:
        raise
    except Exception as error:  # decoders raise what they like at damaged headers
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> PictureError:
    """What is said of a file that a decoder fails at."""
    why = str(error) or type(error).__name__
    why = "of no known format" if isinstance(error, UnidentifiedImageError) else why
    return PictureError(f"{path} is no readable picture ({why}): leave it out, or save it anew")


def read_picture(path: Path) -> Picture:
    """A file's first picture, `prepared`, or with all its 16 bits a colour. Raises PictureError."""
    with open_picture(path) as image:
        try:
            if can_read_deep(image):
                turn = 1 if image.format == "TIFF" else orientation(image)  # OpenCV turns those
                return DeepPicture(read_deep(path, turn), carried(image))
            return prepared(image)  # its pixels are read here
        except (PictureError, MemoryError):
            raise
        except Exception as error:
            raise unreadable(path, error) from error


def prepared(image: Picture) -> Picture:
    """A picture upright and in a mode that can be enlarged: L, LA, RGB, RGBA or I;16.

    `info` keeps the profile and the EXIF with its orientation reset, and gains "notes". A CMYK
    picture becomes sRGB. What is prepared already, and a DeepPicture, is returned as it is.
    Raises PictureError for 32-bit and LAB pictures.
    """
    if not isinstance(image, Image.Image):
        return image
    if image.mode in MODES and isinstance(image.info.get("notes"), list):
        return image
    deep = is_deep(image)  # before its EXIF is asked for, which may read its pixels
    info = carried(image)
    if deep:
        if in_planes(image):
            raise PictureError("16 bits a colour in separate planes: save it with them together")
        info["notes"].append("16 bits a colour read as 8" + (f" ({EXTRA})" * (opencv() is None)))
    upright = ImageOps.exif_transpose(image)
    if image.mode == "CMYK":
        info["notes"].append("CMYK became RGB")
        plain, profile = cmyk_as_srgb(upright, info.pop("icc_profile", None))
        info |= {"icc_profile": profile} if profile else {}
    else:
        plain = in_plain_mode(upright)
    plain.info = info
    return plain


def carried(image: Image.Image) -> dict[Any, Any]:
    """What goes along with a file's pixels: notes, and its profile and EXIF where it has them."""
    notes: list[str] = []
    if (frames := getattr(image, "n_frames", 1)) > 1:
        notes.append(f"first of {frames} pictures")
    profile, exif = image.info.get("icc_profile"), exif_of(image, notes)
    found = {"notes": notes, "icc_profile": profile, "exif": exif}
    return {key: value for key, value in found.items() if value or key == "notes"}


def orientation(image: Image.Image) -> int:
    """EXIF's: 1 where it says nothing."""
    return image.getexif().get(ExifTags.Base.Orientation, 1)


def exif_of(image: Image.Image, notes: list[str]) -> bytes:
    """A picture's EXIF with its orientation reset and without its old size; b"" where there is none
    or it cannot be read. Notes where it is damaged."""
    inner_tables, failed = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo), False
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        try:
            exif = image.getexif()
            if "exif" in image.info:  # read anew, as complaints may have been made at opening
                exif = Image.Exif()
                exif.load(image.info["exif"])
            tags = set(exif) & KEPT_OF_TIFF if image.format == "TIFF" else set(exif)
            kept = Image.Exif()
            kept.update({tag: exif[tag] for tag in tags - {*inner_tables}})
            kept.update({ifd: inner for ifd in inner_tables if (inner := dict(exif.get_ifd(ifd)))})
            for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight):
                kept.get(ExifTags.IFD.Exif, {}).pop(tag, None)
            if ExifTags.Base.Orientation in kept:
                kept[ExifTags.Base.Orientation] = 1
            exif_bytes = kept.tobytes() if len(kept) else b""
        except Exception:  # as many kinds as there are ways to damage it
            exif_bytes, failed = b"", True
    if failed or complaints:
        notes.append("damaged EXIF, kept as far as it can be read")
    return exif_bytes


def in_plain_mode(image: Image.Image) -> Image.Image:
    """A picture as L, LA, RGB, RGBA or I;16."""
    mode = image.mode
    if mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65_535:
            raise PictureError("a picture of 32 bits: convert it to 16 or 8 bits first")
        return image if mode == "I;16" else Image.fromarray(values.astype(np.uint16))
    if mode in ("F", "LAB"):
        raise PictureError(f"a picture of the mode {mode}: convert it to RGB or 16-bit grey first")
    if "transparency" in image.info or mode in ("PA", "La", "RGBa"):
        return image.convert("LA" if mode in ("1", "L", "La") else "RGBA")
    if mode == "1":
        return image.convert("L")
    return image if mode in MODES else image.convert("RGB")


def cmyk_as_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """CMYK by its profile as sRGB and sRGB's profile; without one, or with a damaged one, by PIL's
    rule and None."""
    if profile:
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            converted = None
        if converted is not None:
            return converted, srgb.tobytes()
    return image.convert("RGB"), None


# --- What can be done ----------------------------------------------------------------------------


def check_fits(size: tuple[int, int], scale: int, suffix: str = ".png", deep: bool = False) -> None:
    """Raise PictureError where the enlarged picture fits neither its format nor the free memory;
    `deep` is one of 16 bits a colour."""
    width, height = (side * scale for side in size)
    kind, free = FORMATS[suffix.lower()], psutil.virtual_memory().available
    if max(width, height) > LONGEST_SIDE.get(kind, 1 << 31):
        raise PictureError(
            f"{width}x{height} pixels exceed the {LONGEST_SIDE[kind]:,} a side of {kind}: write"
            " PNG or TIFF, or choose a smaller scale"
        )
    if (needed := (MOST_BYTES_DEEP if deep else MOST_BYTES.get(kind, 12)) * width * height) > free:
        raise PictureError(
            f"{width}x{height} pixels need {needed / 2**30:,.1f} GiB of memory, {free / 2**30:.1f}"
            " are free: choose a smaller scale, or cut the picture up"
        )


def plan(sources: Sequence[Path], out: str | Path, suffix: str = "") -> Plan:
    """Each picture to read, and the file to write, no two of them alike; and a line for each source
    that is refused: one that is absent, or whose target cannot be written.

    `out` is the one target where there is one picture and `out` ends like a picture's name; else a
    folder, below which the subfolders of a source folder are kept. A target's suffix is `suffix`,
    or its source's, of GIF .png. Raises PictureError where nothing is left to do, or a source would
    be written over.
    """
    folder, refused = Path(out), []
    single = len(sources) == 1 and not sources[0].is_dir() and not folder.is_dir()
    if single and folder.suffix and not str(out).endswith(("/", os.sep)):
        if suffix and folder.suffix.lower() in FORMATS.keys() - {suffix}:
            raise PictureError(f"{folder} ends otherwise than --format says: leave one of them out")
        found = [(sources[0], folder)]
    else:
        found = []
        for source in sources:
            try:
                files, unreadable = listed(source, folder)
                found += [(file, folder / named(at, suffix)) for file, at in files]
                refused += unreadable
            except PictureError as error:
                refused.append(str(error))
    originals, pairs = {source.resolve() for source, _ in found}, []
    for source, target in distinct(found):
        if target.resolve() in originals:
            raise PictureError(f"{target} is a source and would be lost: write elsewhere (-o)")
        try:
            check_pair(source, target)
            pairs.append((source, target))
        except ValueError as error:
            refused.append(str(error))
    if not pairs:
        more = f" (and {len(refused) - 1} more like it)" if len(refused) > 1 else ""
        raise PictureError(refused[0] + more)
    return pairs, refused


def named(path: Path, suffix: str) -> Path:
    """A target's path: of its source's, or with another suffix."""
    return path.with_suffix(suffix or ALSO_READ.get(path.suffix.lower(), path.suffix))


def check_pair(source: Path, target: Path) -> None:
    """Raise ValueError where a source is absent, or its target cannot be written."""
    if not source.is_file():
        raise PictureError(f"no picture or folder at {source}: see that the name is right")
    if target.suffix.lower() not in FORMATS:
        raise PictureError(f"{target} ends with none of {', '.join(FORMATS)}: name a format")
    check_writable(target, "-o")


def listed(source: Path, out: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """The pictures of a source, each with its path below the source folder, and a line for each
    folder that cannot be read; what lies in `out`, or is hidden, is none."""
    if not source.is_dir():
        return [(source, Path(source.name))], []
    known, refused, files = [*FORMATS, *ALSO_READ], list[str](), list[Path]()

    def unreadable(error: OSError) -> None:
        what = f"{error.filename} cannot be read ({error.strerror})"
        refused.append(f"{what}: leave it out, or give yourself the right to read it")

    root, out = source.resolve(), out.resolve()
    for folder, inner, names in os.walk(source, onerror=unreadable):
        at = root / Path(folder).relative_to(source)
        inner[:] = [name for name in inner if name[0] != "." and at / name != out]
        found = (Path(folder, name) for name in names if name[0] != ".")
        files += [file for file in found if file.suffix.lower() in known and file.is_file()]
    if not files and not refused:
        raise PictureError(f"no pictures under {source}; looked for {', '.join(known)}")
    return [(file, file.relative_to(source)) for file in sorted(files)], refused


def distinct(pairs: Iterable[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """The pairs, where a target's name was taken, whatever its case, with a number behind it."""
    taken: set[str] = set()
    numbered = []
    for source, target in dict.fromkeys(pairs):
        name, number = target, 1
        while str(name).casefold() in taken:
            number += 1
            name = target.with_stem(f"{target.stem}-{number}")
        taken.add(str(name).casefold())
        numbered.append((source, name))
    return numbered


# --- Writing -------------------------------------------------------------------------------------


def write_picture(image: Picture, path: Path) -> list[str]:
    """Write a `prepared` picture whole or not at all, with its profile and EXIF; returns what the
    format could not hold, as notes. Raises OSError where that fails."""
    kind = FORMATS[path.suffix.lower()]
    image, notes = as_format(image, kind)
    extra: dict[str, Any] = {key: image.info[key] for key in CARRIED if key in image.info}
    profile, exif = extra.get("icc_profile"), extra.get("exif", b"")
    space = b"GRAY" if image.mode in ("L", "LA", "I;16") and kind != "WEBP" else b"RGB "
    if profile and (kind not in METADATA or profile[16:20] != space):
        notes.append(f"profile left out of {kind}")
        extra["icc_profile"] = None
    if kind == "TIFF" and isinstance(image, DeepPicture) and inner_exif(exif):
        notes.append("EXIF of camera and place left out of TIFF of 16 bits a colour")
    if exif and (kind not in METADATA or (kind == "JPEG" and len(exif) > 65_533)):
        notes.append(f"EXIF left out of {kind}")
        del extra["exif"]
    if kind == "TIFF" and not exif:  # libtiff, which compresses, cannot write EXIF's inner tables
        extra["compression"] = "tiff_adobe_deflate"
    with replacing(path) as file:
        if isinstance(image, Image.Image):
            image.save(file, kind, **OPTIONS.get(kind, {}), **extra)
        else:
            write_deep(image, file, kind, extra)
    return notes


def as_format(image: Picture, kind: str) -> tuple[Picture, list[str]]:
    """A picture in a mode that the format holds, and what was lost by that."""
    info, notes = image.info, []
    if image.mode.endswith(";16") and kind not in SIXTEEN_BITS:
        notes.append(f"16 bits became 8 in {kind}")
        image = in_8_bits(image)
    if isinstance(image, Image.Image) and image.mode in ("LA", "RGBA") and kind not in ALPHA:
        notes.append(f"alpha became white in {kind}")
        white = Image.new(image.mode.removesuffix("A"), image.size, "white")
        white.paste(image, mask=image)
        image = white
    image.info = info
    return image, notes
