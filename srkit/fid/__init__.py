"""The Frechet Inception Distance, Eq. (9), by three published protocols."""

from srkit.fid.features import (
    PROTOCOLS,
    inception_features,
    inception_statistics,
    patch_features,
)
from srkit.fid.folders import (
    Comparison,
    compare,
)
from srkit.fid.frechet import (
    Accumulator,
    FewImagesWarning,
    Space,
    Statistics,
    frechet_distance,
    statistics,
)
from srkit.fid.inception import (
    FIDInception,
    fetch_inception,
    find_inception,
    load_inception,
)
from srkit.fid.uncertainty import (
    bootstrap,
    expected_bias,
    interval,
    kid,
)

__all__ = [
    "PROTOCOLS",
    "Accumulator",
    "Comparison",
    "FIDInception",
    "FewImagesWarning",
    "Space",
    "Statistics",
    "bootstrap",
    "compare",
    "expected_bias",
    "fetch_inception",
    "find_inception",
    "frechet_distance",
    "inception_features",
    "inception_statistics",
    "interval",
    "kid",
    "load_inception",
    "patch_features",
    "statistics",
]
