"""What several test files share: real photographs and weights where they are at hand."""

import os
import shutil
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("SRKIT_SHARED") or REPOSITORY.parent / "shared")

VGG19_FILE = "vgg19_normalised_conv3_1.pth"
INCEPTION_FILE = "fid_inception_2015-12-05_bnfolded_to_mixed_7a.pth"


if "PYTEST_XDIST_WORKER" in os.environ:  # several processes: each has a core to itself
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Tests marked `gpu` are skipped where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def no_local_settings(monkeypatch, tmp_path_factory):
    """A test sees neither the user's srkit variables nor their cache of downloaded weights."""
    for name in (
        "SRKIT_VGG19",
        "SRKIT_INCEPTION",
        "SRKIT_ROOT",
        "SRKIT_FIGURES",
        "SRKIT_LEFTTHOMAS",
    ):
        monkeypatch.delenv(name, raising=False)
    empty = tmp_path_factory.getbasetemp() / "no-downloads"
    monkeypatch.setenv("TORCH_HOME", str(empty))
    monkeypatch.setattr("torch.hub._hub_dir", None)


def _shared(*parts: str) -> Path:
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no {'/'.join(parts)} under {SHARED} (set SRKIT_SHARED)")
    return path


@pytest.fixture
def report_text() -> str:
    """The course report, whole."""
    return _shared("paper.txt").read_text(encoding="utf-8")


@pytest.fixture
def set5() -> list[Image.Image]:
    """The five HR photographs of Set5."""
    files = sorted(_shared("photos", "Set5").glob("*.png"))
    return [Image.open(file).convert("RGB") for file in files]


@pytest.fixture
def val_folder() -> Path:
    """Real photographs in ImageNet layout: a folder a class."""
    return _shared("photos", "val")


@pytest.fixture
def vgg19_file() -> Path:
    """The real VGG19 up to relu3_1, activations normalised to a mean of one."""
    return _shared("weights", VGG19_FILE)


@pytest.fixture
def inception_file() -> Path:
    """The real FID Inception, BatchNorm folded, complete up to 768 features."""
    return _shared("weights", INCEPTION_FILE)


@pytest.fixture
def leftthomas_file() -> Path:
    """The trained 2x generator of another project."""
    return _shared("weights", "leftthomas_srgan_netG_x2.pth")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def fixed_seed():
    """Networks built in a test are the same at every run."""
    torch.manual_seed(0)


@pytest.fixture
def make_folder(tmp_path, rng):
    """Write random photographs: `make_folder({"cat/a.png": (width, height)})` gives the folder."""

    def make(files: dict[str, tuple[int, int]], name: str = "photos") -> Path:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        for file, (width, height) in files.items():
            path = root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
        return root

    return make


PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
WIDGET = {
    "application/vnd.jupyter.widget-view+json": {"model_id": "1"},
    "text/plain": "interactive(children=())",
}


def numbered_frames():
    """A page that plays without a kernel: a line whose end follows a slider."""
    from srkit.notebook.frames import Axes, Drawing, Frames

    def draw(end):
        return Drawing(f"to {end}", [("line", "#5b7aa9", "a line", [0, 0, 4, end])])

    return Frames("A line and its end", draw, Axes((0, 4), (0, 4), "from", "to"), end=[0, 1, 2, 3])


def as_executed(notebook: nbformat.NotebookNode, root: Path) -> nbformat.NotebookNode:
    """A committed notebook as a report in the clone `root` leaves it, with outputs of every kind
    that are not its own."""
    v4 = nbformat.v4
    injected = v4.new_code_cell('# Parameters\npreset = "smoke"\ndata = "embedded"\n')
    injected.metadata["tags"] = ["injected-parameters"]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells.insert(notebook.cells.index(code[0]) + 1, injected)
    said = f"python {sys.executable}\nsaved {root}/figures/fig1.png\n"
    code[1].outputs = [v4.new_output("stream", name="stdout", text=said)]
    code[2].outputs = [v4.new_output("display_data", {"image/png": PIXEL})]
    code[3].outputs = [v4.new_output("display_data", WIDGET)]
    code[4].outputs = [v4.new_output("display_data", numbered_frames()._repr_mimebundle_())]
    return notebook


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The site's pages, made of the clone's notebooks as they are committed."""
    site = pytest.importorskip("srkit.notebook.site", reason="no Sphinx: pip install -e '.[site]'")
    root = tmp_path_factory.mktemp("published")
    for name in ("notebooks", "figures", "tests"):
        shutil.copytree(REPOSITORY / name, root / name)
    for name in ("README.md", "LICENSE", "srkit/fid/README.md", "srkit/training/README.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, root / name)
    (root / "runs" / "smoke").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRKIT_ROOT", str(root))
        for file in (root / "notebooks").glob("*.ipynb"):
            executed = as_executed(nbformat.read(file, as_version=4), root)
            nbformat.write(executed, root / "runs" / "smoke" / file.name)
        return site.build("smoke")


@pytest.fixture
def forbid(monkeypatch):
    """`forbid(ending)`: folders whose path ends so cannot be listed, not even by root."""

    def forbid(ending: str) -> None:
        scandir = os.scandir

        def denied(path):
            if str(path).endswith(ending):
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", denied)

    return forbid
