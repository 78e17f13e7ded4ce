"""Photographs, LR made of HR, and training pairs (the report's sections 3 and 4.3)."""

from srkit.data.crops import LR_FILTERS, Pairs, Steps, centre_crops, held_out_crops, lr_and_hr
from srkit.data.images import (
    DataError,
    bicubic_lr,
    bicubic_lr_pil,
    crop_to_multiple,
    denorm,
    lanczos_lr,
    norm,
    to_image,
    to_tensor,
)
from srkit.data.leakage import check_apart
from srkit.data.packed import PackedItems, is_packed, pack
from srkit.data.photos import Photos, read_photo
from srkit.data.sources import (
    EMBEDDED,
    embedded,
    from_torchvision,
    open_packed,
    open_photos,
    photo_files,
    photo_folder,
)
