"""Photographs and how LR is made of them (the report's section 3).

LR is antialiased bicubic downsampling of HR. LR tensors are in [0, 1], HR tensors in [-1, 1] (the
report's Norm).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import skimage
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from srkit.packed import DataError, PackedItems, choose, identity

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}

# The colour photographs in scikit-image's wheel: subject -> files, split by photograph.
EMBEDDED: dict[str, dict[str, tuple[str, ...]]] = {
    "train": {
        "motorcycle": ("motorcycle_left.png", "motorcycle_right.png"),
        "galaxies": ("hubble_deep_field.jpg",), "tissue": ("ihc.png",), "retina": ("retina.jpg",),
    },
    "val": {
        "astronaut": ("astronaut.png",), "cat": ("chelsea.png",), "coffee": ("coffee.png",),
        "rocket": ("rocket.jpg",),
    },
}  # fmt: skip

NAMED = ("embedded", "imagenette")  # what `open_photos` knows by name alone
UNREADABLE = (OSError, Image.DecompressionBombError)  # what PIL raises for a file


# --- Images, tensors and the two ways down -------------------------------------------------------


def to_tensor(image: Image.Image | np.ndarray) -> Tensor:
    """A PIL image or uint8 (H, W, 3) array as (3, H, W) float32 in [0, 1]."""
    array = np.array(as_rgb(image) if isinstance(image, Image.Image) else image)
    return torch.from_numpy(array).permute(2, 0, 1).float().div(255)


def as_rgb(image: Image.Image) -> Image.Image:
    """A picture of 8 bits in RGB: alpha is dropped, an EXIF rotation is not applied. Raises
    DataError for modes that PIL would clip at 255 ("I;16", "I", "F") or cannot convert ("LAB")."""
    if image.mode.startswith(("I", "F", "LAB")):
        what = f"{getattr(image, 'filename', '') or 'a picture'} has the mode {image.mode}"
        raise DataError(f"{what}, not 8-bit RGB or grey; convert it to 8 bits first")
    return image.convert("RGB")


def to_image(tensor: Tensor) -> Image.Image:
    """A (3, H, W) tensor in [0, 1] as a PIL image, rounded to 8 bits and clipped."""
    array = tensor.detach().cpu().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(array)


def norm(image: Tensor) -> Tensor:
    """[0, 1] -> [-1, 1]: the Norm of Eq. (1), whose input of 0-255 is [0, 1] here."""
    return image * 2 - 1


def denorm(image: Tensor) -> Tensor:
    """[-1, 1] -> [0, 1], values outside clipped: what a generator's output looks like."""
    return ((image + 1) / 2).clamp(0, 1)


def bicubic_lr(hr: Tensor, scale: int) -> Tensor:
    """Antialiased bicubic downsampling (section 3), rounded to 8 bits as a real LR file is.

    The kernel is MATLAB's and PIL's (a = -0.5, widened by `scale`), so Set5 comes out as in the
    literature. Torch's bicubic without antialias does not.

    Shape: (B, 3, scale*h, scale*w) in [0, 1] -> (B, 3, h, w) in [0, 1].
    Raises ValueError where a side is no multiple of `scale`.
    """
    lr = F.interpolate(hr, lr_size(hr, scale), mode="bicubic", antialias=True)
    return lr.clamp(0, 1).mul(255).round().div(255)


def lanczos_lr(hr: Tensor, scale: int) -> Tensor:
    """As `bicubic_lr`, by PIL's Lanczos (a = 3), which rounds to 8 bits after either pass: the LR
    of the author's later code. In float64, which autocast and TF32 leave alone (MPS has none)."""
    lr = hr if hr.device.type == "mps" else hr.double()
    down, across = (lanczos_weights(side * scale, scale).to(lr) for side in lr_size(hr, scale))
    lr = (lr @ across.T).clamp(0, 1).mul(255).round().div(255)  # (B, 3, scale*h, w)
    return (down @ lr).float().clamp(0, 1).mul(255).round().div(255)


def lanczos_weights(side: int, scale: int) -> Tensor:
    """Each LR pixel's weights, cut off at the edges and normalised: (side / scale, side)."""
    centre = (torch.arange(side // scale, dtype=torch.float64) + 0.5) * scale
    x = (torch.arange(side) + 0.5 - centre[:, None]) / scale
    weights = torch.sinc(x) * torch.sinc(x / 3) * (x.abs() < 3)
    return weights / weights.sum(1, keepdim=True)


def lr_size(hr: Tensor, scale: int) -> tuple[int, int]:
    """Height and width of LR. Raises ValueError where a side of HR is no multiple of `scale`."""
    height, width = hr.shape[-2:]
    if height % scale or width % scale:
        raise ValueError(f"an HR of {height}x{width} has no exact LR at {scale}x; crop it first")
    return height // scale, width // scale


def bicubic_lr_pil(hr: Image.Image, scale: int) -> Image.Image:
    """`bicubic_lr` by PIL: the same to within one of 255 levels, or a few at edges to pure black
    or white, which PIL clips between its two passes. HR is cropped to a multiple."""
    hr = crop_to_multiple(hr, scale)
    return hr.resize((hr.width // scale, hr.height // scale), Image.Resampling.BICUBIC)


def crop_to_multiple(image: Image.Image, scale: int) -> Image.Image:
    """Cut off up to scale - 1 columns on the right and rows at the bottom."""
    width, height = (side - side % scale for side in image.size)
    return image.crop((0, 0, width, height))


# --- Sets of photographs -------------------------------------------------------------------------


@dataclass
class Photos:
    """A labelled set of photographs. `photos[i]` is photograph i as uint8 (H, W, 3).

    Files are decoded when asked for and kept in memory up to `cache_bytes` (the report filled
    64 GB of RAM with its training set). `short_side` resizes each photograph, antialiased bicubic,
    so that its shorter side has that many pixels.
    """

    name: str
    items: Sequence[Path | np.ndarray]
    labels: Sequence[int]
    classes: Sequence[str]
    short_side: int | None = None
    cache_bytes: int = 2 << 30
    _cache: dict[int, np.ndarray] = field(default_factory=dict, repr=False)
    _cached_bytes: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        if not self.items:
            raise DataError(f"{self.name}: no photographs")

    def __len__(self) -> int:
        return len(self.items)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_cache": {}, "_cached_bytes": 0}  # loader processes fill their own

    def __getitem__(self, index: int) -> np.ndarray:
        if index in self._cache:
            return self._cache[index]
        photo = self.read(index)
        if self._cached_bytes + photo.nbytes <= self.cache_bytes:
            self._cache[index] = photo
            self._cached_bytes += photo.nbytes
        return photo

    def read(self, index: int) -> np.ndarray:
        """Photograph `index`, decoded anew where it is a file."""
        item = self.items[index]
        return read_photo(item, self.short_side) if isinstance(item, Path) else item

    def identity(self) -> Iterator[str]:
        """A text for each photograph that tells it from others (see `srkit.packed.identity`)."""
        return identity(self.items)

    def subset(self, numbers: Sequence[int]) -> "Photos":
        """The photographs of these numbers, in this order, with the same classes."""
        items, labels = choose(self.items, numbers), [self.labels[i] for i in numbers]
        return replace(self, items=items, labels=labels, _cache={}, _cached_bytes=0)

    def first(self, per_class: int | None) -> "Photos":
        """The first `per_class` photographs of each class; all of them for None."""
        if per_class is None:
            return self
        kept, seen = [], dict.fromkeys(self.labels, 0)
        for number, label in enumerate(self.labels):
            seen[label] += 1
            if seen[label] <= per_class:
                kept.append(number)
        return self.subset(kept)

    def spread(self, count: int | None) -> "Photos":
        """`count` photographs evenly spaced through the set; all of them for None."""
        if count is None or count >= len(self):
            return self
        return self.subset([int(i) for i in np.linspace(0, len(self) - 1, count).round()])

    def smaller_than(self, side: int) -> list[int]:
        """The photographs with a side under `side` pixels. Only the files' headers are read."""
        if self.short_side is not None and self.short_side >= side:
            return []
        return [i for i in range(len(self)) if min(self.size(i)) < side]

    def require_size(self, side: int) -> "Photos":
        """Self, when every photograph is at least side x side. Raises DataError naming the first
        that is not."""
        small = self.smaller_than(side)
        if small:
            width, height = self.size(small[0])
            what = self.items[small[0]]
            named = what if isinstance(what, Path) else f"photograph {small[0]}"
            raise DataError(
                f"{self.name}: {len(small)} of {len(self)} photographs are smaller than the crop of"
                f" {side}x{side}, the first is {named} ({width}x{height}); use a smaller crop, skip"
                " them (--skip-small), or resize photographs (short_side)"
            )
        return self

    def without_small(self, side: int) -> "Photos":
        """The photographs of at least side x side. Raises DataError where none is left."""
        small = set(self.smaller_than(side))
        if len(small) == len(self):
            self.require_size(side)
        return self.subset([i for i in range(len(self)) if i not in small]) if small else self

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of photograph `index`, from its header where it is a file."""
        item = self.items[index]
        if not isinstance(item, Path):
            return item.shape[1], item.shape[0]
        try:
            with Image.open(item) as image:
                return resized(image.size, self.short_side)
        except UNREADABLE as error:
            raise DataError(f"{item} is no readable image: {error}") from error


def read_photo(path: Path, short_side: int | None = None) -> np.ndarray:
    """A photograph as uint8 (H, W, 3), by `as_rgb`. Raises DataError where the file is no readable
    image or has more than 8 bits."""
    try:
        with Image.open(path) as opened:
            image = as_rgb(opened)
    except UNREADABLE as error:
        raise DataError(f"{path} is no readable image: {error}") from error
    if short_side is not None:
        image = image.resize(resized(image.size, short_side), Image.Resampling.BICUBIC)
    return np.array(image)


def resized(size: tuple[int, int], short_side: int | None) -> tuple[int, int]:
    """Width and height once the shorter of them is `short_side` (None leaves them as they are)."""
    if short_side is None:
        return size
    ratio = short_side / min(size)
    return max(short_side, round(size[0] * ratio)), max(short_side, round(size[1] * ratio))


def embedded(split: str = "val", tile: int = 256) -> Photos:
    """scikit-image's own colour photographs, cut into tile x tile HR tiles, labelled by subject.

    The split is by photograph: no tile of "val" comes from a photograph of "train".
    """
    if split not in EMBEDDED:
        raise ValueError(f"unknown split {split!r}; accepted: {', '.join(EMBEDDED)}")
    folder = Path(skimage.__file__).parent / "data"
    tiles, labels = [], []
    for label, files in enumerate(EMBEDDED[split].values()):
        for file in files:
            photo = read_photo(folder / file)
            for top in range(0, photo.shape[0] - tile + 1, tile):
                for left in range(0, photo.shape[1] - tile + 1, tile):
                    tiles.append(photo[top : top + tile, left : left + tile].copy())
                    labels.append(label)
    return Photos(f"embedded-{split}", tiles, labels, list(EMBEDDED[split]))


def photo_folder(
    root: str | Path, split: str = "all", per_class: int | None = None,
    short_side: int | None = None,
) -> Photos:  # fmt: skip
    """Photographs in a folder, with one subfolder a class (ImageNet layout) or none at all.

    Where `root` has the subfolders `train` or `val`, `split` chooses between them. Otherwise
    "val" is every tenth photograph, in the order of their names, "train" the rest, and "all" all.
    `per_class` keeps the first n photographs of each class (the report has n = 180).
    Raises DataError where the folder or its photographs are missing.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"no photo folder at {root}")
    if split not in ("train", "val", "all"):
        raise ValueError(f"unknown split {split!r}; accepted: train, val, all")
    own_split = split != "all" and any((root / part).is_dir() for part in ("train", "val"))
    folder = root / split if own_split else root
    files = photo_files(folder)
    if not own_split and split != "all":
        files = [f for i, f in enumerate(files) if (i % 10 == 0) == (split == "val")]
    if not files:
        raise DataError(f"{root} has too few photographs for a split {split!r} of its own")
    names = [f.relative_to(folder).parts[0] if f.parent != folder else "" for f in files]
    classes, labels = np.unique(names, return_inverse=True)
    name = root.resolve().name if split == "all" else f"{root.resolve().name}-{split}"
    return Photos(name, files, labels.tolist(), classes.tolist(), short_side).first(per_class)


def photo_files(root: Path) -> list[Path]:
    """The pictures in a folder and below it, sorted, without hidden ones (macOS's `._x.jpg`, say).
    Raises DataError where there are none."""
    files = sorted(f for f in root.rglob("[!.]*") if f.suffix.lower() in SUFFIXES and f.is_file())
    if not files:
        raise DataError(f"no photographs under {root}; looked for {', '.join(sorted(SUFFIXES))}")
    return files


def from_torchvision(
    dataset, per_class: int | None = None, short_side: int | None = None
) -> Photos:
    """Any of torchvision's datasets that lists its files (ImageNet, Imagenette, ImageFolder)."""
    samples = getattr(dataset, "samples", None) or dataset._samples
    classes = [c if isinstance(c, str) else c[0] for c in dataset.classes]
    split = getattr(dataset, "split", None) or getattr(dataset, "_split", "all")
    name = f"{type(dataset).__name__.lower()}-{split}"
    files, labels = [Path(file) for file, _ in samples], [int(label) for _, label in samples]
    return Photos(name, files, labels, classes, short_side).first(per_class)


def open_packed(
    folder: str | Path, split: str, per_class: int | None = None, short_side: int | None = None
) -> Photos:
    """What `python -m srkit pack` made, memory-mapped; the split "all" is "val", as torchvision's.

    A `short_side` of None takes the photographs as they were packed.
    Raises DataError where there are none, or they were packed with another short side.
    """
    if split not in ("train", "val", "all"):
        raise ValueError(f"unknown split {split!r}; accepted: train, val, all")
    items = PackedItems(Path(folder) / ("train" if split == "train" else "val"))
    side = int(items.about["short_side"]) or None
    if short_side not in (None, side):
        raise DataError(
            f"{items.folder} was packed with a short side of {side}, not {short_side};"
            f" pack again, into another folder, with --short-side {short_side}"
        )
    name, labels, classes = (items.about[key].tolist() for key in ("name", "labels", "classes"))
    return Photos(name, items, labels, classes, side, cache_bytes=0).first(per_class)


def open_photos(
    data: str = "embedded", split: str = "val", per_class: int | None = None,
    short_side: int | None = None,
) -> Photos:  # fmt: skip
    """Photographs by the name that commands and notebooks take.

    "embedded"; "imagenette" or "imagenette:FOLDER" (torchvision downloads it into the folder,
    1.6 GB, where it is absent); "imagenet:FOLDER" (torchvision's ImageNet over the official
    archives); "packed:FOLDER" (`open_packed`); or any folder of photographs.
    Raises DataError where there is nothing to open.
    """
    kind, _, folder = str(data).partition(":")
    if kind == "packed" and folder:
        return open_packed(folder, split, per_class, short_side)
    if kind == "embedded":
        return embedded("val" if split == "all" else split)
    if kind == "imagenette" or (kind == "imagenet" and folder):
        import torchvision

        target, part = Path(folder or kind), "train" if split == "train" else "val"
        try:
            if kind == "imagenet":
                dataset = torchvision.datasets.ImageNet(target, part)
            else:
                absent = not target.is_dir()
                dataset = torchvision.datasets.Imagenette(target, part, download=absent)
        except (RuntimeError, OSError) as error:
            raise DataError(f"no {kind} in {target}: {' '.join(str(error).split())}") from error
        return from_torchvision(dataset, per_class, short_side)
    return photo_folder(data, split, per_class, short_side)
