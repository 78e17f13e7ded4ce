"""Whatever bytes a file has, its reader returns or raises its own error, which names the file.

Random bytes, and mutations of valid files: some bytes changed, put in, taken out or cut off.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srkit.data import DataError, Photos, open_photos
from srkit.data.packed import INDEX, PackedItems, pack
from srkit.data.photos import read_photo
from srkit.evaluation import results
from srkit.fid.statistics import Statistics
from srkit.models import build_generator
from srkit.training.recipe import TrainingError
from srkit.training.run_folder import read_rows
from srkit.weights import WeightsError, load_generator, load_tensors, save_generator

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings, strategies  # noqa: E402

SETTINGS = {"model": "srresnet", "scale": 2, "blocks": 1, "width": 2}
pytestmark = pytest.mark.filterwarnings("ignore")  # PIL's and NumPy's, of damaged files


def noise(side: int = 12) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


def picture(path: Path) -> None:
    Image.fromarray(noise()).save(path)


def weights(path: Path) -> None:
    torch.save({"a": torch.ones(3), "b": torch.zeros(2, 2)}, path)


def checkpoint(path: Path) -> None:
    save_generator(path, build_generator(SETTINGS), SETTINGS, {"iterations": 7})


def statistics(path: Path) -> None:
    Statistics.of(np.random.default_rng(0).normal(size=(9, 3))).save(path)


def packed_index(path: Path) -> None:
    pack(Photos("noise", [noise(8), noise(9)], [0, 1], ["a", "b"]), path.parent)


def read_packed(path: Path) -> None:
    items = PackedItems(path.parent)
    for number in range(len(items)):
        items[number]


def rows(path: Path) -> None:
    results.record(path, results.quoted_rows())


def log(path: Path) -> None:
    path.write_text("".join(json.dumps({"step": n, "mse": 0.5}) + "\n" for n in range(5)))


# name of the file, what writes a valid one, its reader, the reader's own error
READERS = [
    ("a.png", picture, read_photo, DataError),
    ("a.jpg", picture, read_photo, DataError),
    ("a.tif", picture, read_photo, DataError),
    ("a.pth", weights, load_tensors, WeightsError),
    ("a.safetensors", checkpoint, load_generator, WeightsError),
    ("a.npz", statistics, Statistics.load, ValueError),
    (f"packed/{INDEX}", packed_index, read_packed, DataError),
    ("results.json", rows, results.load, ValueError),
    ("log.jsonl", log, read_rows, TrainingError),
]


@strategies.composite
def mutations(draw) -> list[tuple[float, str, bytes]]:
    """Places (as parts of the length), what is done there, and with which bytes."""
    places = strategies.floats(0, 1, exclude_max=True)
    kinds = strategies.sampled_from(["set", "insert", "delete", "cut"])
    one = strategies.tuples(places, kinds, strategies.binary(min_size=1, max_size=8))
    return draw(strategies.lists(one, min_size=1, max_size=4))


def mutated(whole: bytes, changes: list[tuple[float, str, bytes]]) -> bytes:
    for part, kind, new in changes:
        at = int(part * len(whole))
        after = {"set": at + len(new), "insert": at, "delete": at + 4 * len(new)}
        whole = whole[:at] if kind == "cut" else whole[:at] + new + whole[after[kind] :]
        whole = whole[:at] + whole[at + len(new) :] if kind == "delete" else whole
    return whole


def read(path: Path, reader, error) -> None:
    try:
        reader(path)
    except error as caught:
        assert path.name in str(caught) or path.parent.name in str(caught)
        assert "weights_only" not in str(caught)


often = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize(("name", "write", "reader", "error"), READERS, ids=lambda x: str(x)[:9])
def test_a_mutated_file_is_read_or_named(tmp_path, name, write, reader, error):
    path = tmp_path / name
    write(path)
    reader(path)
    whole = path.read_bytes()

    @often
    @given(mutations())
    def damaged(changes):
        path.write_bytes(mutated(whole, changes))
        read(path, reader, error)

    damaged()


@pytest.mark.parametrize(("name", "write", "reader", "error"), READERS, ids=lambda x: str(x)[:9])
def test_random_bytes_are_named(tmp_path, name, write, reader, error):
    path = tmp_path / name
    write(path)
    start = path.read_bytes()[:8]

    @often
    @given(strategies.binary(max_size=400), strategies.booleans())
    def random(content, begins_well):
        path.write_bytes(start * begins_well + content)
        read(path, reader, error)

    random()


values = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.floats() | strategies.text(max_size=3),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(strategies.sampled_from(["rows", "value", "method"]), inner)
    ),
    max_leaves=8,
)


@often
@given(values)
def test_any_json_is_rows_or_named(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "results.json"
    path.write_text(json.dumps({"rows": content}))
    read(path, results.load, ValueError)


@often
@given(strategies.dictionaries(strategies.sampled_from([*SETTINGS, "unet", "dense"]), values))
def test_any_settings_are_refused_or_fit(tmp_path_factory, changes):
    path = tmp_path_factory.getbasetemp() / "odd.safetensors"
    save_generator(path, build_generator(SETTINGS), SETTINGS | changes, {})
    read(path, load_generator, WeightsError)


@often
@given(strategies.lists(strategies.binary(max_size=60), min_size=1, max_size=4))
def test_any_folder_of_bytes_is_opened_or_named(tmp_path_factory, contents):
    folder = tmp_path_factory.mktemp("photos")
    for number, content in enumerate(contents):
        (folder / f"{number}.png").write_bytes(content)
    with pytest.raises(DataError, match="none of"):
        open_photos(str(folder), "all")
