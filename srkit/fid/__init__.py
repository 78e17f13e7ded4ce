"""The Frechet Inception Distance, Eq. (9), by three published protocols."""

from srkit.fid.features import PROTOCOLS, inception_features, inception_statistics, patch_features
from srkit.fid.folders import Comparison, Settings, compare
from srkit.fid.frechet import FewImagesWarning, frechet_distance
from srkit.fid.inception import FIDInception, fetch_inception, find_inception, load_inception
from srkit.fid.statistics import Accumulator, Space, Statistics
from srkit.fid.uncertainty import bootstrap, expected_bias, interval, kid
