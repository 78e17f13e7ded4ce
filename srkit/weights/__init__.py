"""Weights found, checked and loaded: our checkpoints, and other people's files."""

from srkit.weights.checkpoints import (
    METADATA,
    check_trained,
    checkpoint_path,
    find_checkpoint,
    load_generator,
    read_checkpoint,
    read_sums,
    save_generator,
    ship,
    trained_path,
)
from srkit.weights.peers import (
    find_peer,
    is_ours,
    load_other,
    load_peer,
)
from srkit.weights.table import (
    LABELS,
    METHODS,
    TWICE,
    Method,
    label,
    methods,
    mse_alone,
)
from srkit.weights.third_party import (
    THIRD_PARTY,
    WeightsError,
    cached,
    check_digest,
    check_finite,
    fetched,
    load_state,
    load_tensors,
)
from srkit.weights.vgg19 import SMALL, load_vgg19, save_small, small_path
