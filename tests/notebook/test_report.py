"""The notebooks: as committed, and executed by papermill in the smoke preset."""

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import get_kernel_spec

from srkit import paths
from srkit.cli import main
from srkit.files import LockedError, lock
from srkit.notebook import figures, report
from srkit.notebook.parameters import parameters_of

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
NAMES = [
    "01_interpolation_baselines",
    "02_srgan",
    "03_sr_ugan",
    "04_training",
    "05_evaluation",
    "06_4x_test",
]
PNG = b"\x89PNG\r\n\x1a\n"


def test_the_six_notebooks_are_there_in_order():
    assert [file.stem for file in NOTEBOOKS] == NAMES


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda f: f.stem)
def test_committed_notebooks_are_stripped_and_take_parameters(file):
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert parameters_of(file).keys() >= {"preset", "data", "seed", "device"}
    for line in tagged[0].source.splitlines():
        name, _, rest = line.partition(":")
        assert name.isidentifier() and " = " in rest and "  # " in rest, line


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda f: f.stem)
def test_notebooks_are_prose_first(file):
    notebook = nbformat.read(file, as_version=4)
    words = sum(len(c.source.split()) for c in notebook.cells if c.cell_type == "markdown")
    lines = sum(
        bool(line.strip())
        for c in notebook.cells
        if c.cell_type == "code"
        for line in c.source.splitlines()
    )
    assert words / lines > 4


def test_two_reports_of_a_preset_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "runs", lambda preset: tmp_path / preset)
    with lock(tmp_path / "smoke" / "report.lock"), pytest.raises(LockedError, match="another proc"):
        report.report("smoke")


def test_an_interrupted_report_says_what_is_kept(tmp_path, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(paths, "runs", lambda preset: tmp_path / preset)
    monkeypatch.setattr(report.papermill, "execute_notebook", interrupt)
    assert main(["report", "--preset", "smoke", "--only", "01"]) == 130
    assert "interrupted in 01_interpolation_baselines.ipynb" in capsys.readouterr().out
    assert not (tmp_path / "smoke" / "report.lock").exists()


@pytest.mark.notebook
@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda f: f.stem)
def test_notebook_runs_in_smoke(file, capsys):
    (executed,) = report.report("smoke", only=[file.stem])
    notebook = nbformat.read(executed, as_version=4)
    outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    assert not any(out.output_type == "error" for out in outputs)
    pictures = [
        base64.b64decode(out.data["image/png"])
        for out in outputs
        if "image/png" in out.get("data", {})
    ]
    assert pictures and all(picture.startswith(PNG) for picture in pictures)
    assert len(set(pictures)) == len(pictures), "a figure is shown twice"
    pages = [out.data["text/html"] for out in outputs if "text/html" in out.get("data", {})]
    assert any("data-srkit-page" in page for page in pages)  # something to play with, no kernel
    assert "widgets" not in notebook.metadata
    text = "".join(out.get("text", "") for out in outputs)
    assert f"python {sys.executable}" in text, "it did not run with this interpreter"
    assert executed.with_suffix(".html").stat().st_size > 10_000
    assert executed.parent == paths.runs("smoke")


def write_notebook(folder: Path, *cells: str) -> None:
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "language": "python",
        "display_name": "Python 3",
    }
    first = nbformat.v4.new_code_cell('preset: str = "demo"  # a\ndata: str = "embedded"  # b')
    first.metadata["tags"] = ["parameters"]
    notebook.cells = [first, *[nbformat.v4.new_code_cell(cell) for cell in cells]]
    (folder / "notebooks").mkdir(exist_ok=True)
    nbformat.write(notebook, folder / "notebooks" / "01_small.ipynb")


@pytest.fixture
def clone(tmp_path, monkeypatch):
    monkeypatch.setenv("SRKIT_ROOT", str(tmp_path))
    (tmp_path / "notebooks").mkdir()
    return tmp_path


def test_the_summary_names_figures_that_were_kept_and_no_others(tmp_path, monkeypatch):
    committed, own = tmp_path / "figures", tmp_path / "runs" / "figures"
    monkeypatch.setattr(paths, "figures", lambda *_: committed)
    monkeypatch.setattr(paths, "runs", lambda preset: tmp_path / "runs")
    for folder, titles in ((committed, ("same", "there")), (own, ("same", "here"))):
        folder.mkdir(parents=True)
        for name, title in zip(("a.png", "b.png"), titles, strict=True):
            figures.save(figures.table([title], [["1"]]), folder / name)
    kept = [line for line in report.summary().splitlines() if line.startswith("Kept")]
    assert len(kept) == 1 and "b.png" in kept[0] and "a.png" not in kept[0]


@pytest.mark.notebook
def test_a_failing_notebook_is_named_and_what_ran_is_kept(clone, capsys):
    write_notebook(clone, "print('made before')", "raise KeyError('broken on purpose')", "1 + 1")
    assert main(["report", "--preset", "smoke"]) == 1
    said, error = capsys.readouterr()
    assert "[1/1] 01_small" in said and "Executing:" in error and "/5 [" in error
    assert "01_small.ipynb" in error and "In [4]" in error
    assert "KeyError" in error and "broken on purpose" in error and "Traceback" not in error
    kept = (clone / "runs" / "smoke" / "01_small.ipynb").read_text()
    assert "made before" in kept
    assert (clone / "runs" / "smoke" / "01_small.html").is_file()


@pytest.mark.notebook
def test_a_stale_python3_kernel_elsewhere_is_not_used(clone, monkeypatch, tmp_path):
    stale = tmp_path / "jupyter" / "kernels" / "python3"
    stale.mkdir(parents=True)
    spec = {"argv": ["no-such-python"], "display_name": "stale", "language": "python"}
    (stale / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    write_notebook(clone, "import sys; print(sys.executable)")
    (executed,) = report.report("smoke")
    assert sys.executable in executed.read_text()


def test_python3_is_the_running_interpreter_however_often_one_asks(monkeypatch, tmp_path):
    monkeypatch.setenv("JUPYTER_PATH", "/elsewhere")
    for _ in range(2):
        report.use_this_python(tmp_path)
    assert os.environ["JUPYTER_PATH"].split(os.pathsep) == [str(tmp_path), "/elsewhere"]
    assert get_kernel_spec("python3").argv[0] == sys.executable


def test_unknown_parameter_notebook_and_preset_are_refused_before_anything_runs(capsys):
    for arguments, accepted in (
        (["report", "-p", "presett", "x"], "preset"),
        (["report", "--only", "99"], "01_interpolation_baselines"),
        (["report", "--preset", "huge"], "smoke"),
    ):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert accepted in error and error.count("\n") == 1


def test_report_refuses_a_missing_folder_before_anything_runs(capsys, tmp_path):
    assert main(["report", "--preset", "smoke", "--data", str(tmp_path / "absent")]) == 2
    error = capsys.readouterr().err
    assert "absent" in error and error.count("\n") == 1


def test_a_report_s_relative_folder_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert report.absolute("packed:out") == f"packed:{tmp_path / 'out'}"
    assert report.absolute("imagenette:out") == f"imagenette:{tmp_path / 'out'}"
    assert report.absolute("out") == str(tmp_path / "out")
    assert [report.absolute(name) for name in ("embedded", "imagenette")] == [
        "embedded",
        "imagenette",
    ]


def test_committed_notebooks_do_not_change_when_stripped():
    result = subprocess.run(
        [sys.executable, "-m", "nbstripout", "--verify", *map(str, NOTEBOOKS)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout


@pytest.mark.notebook
def test_a_cell_that_never_ends_is_a_notebook_error(clone, monkeypatch, capsys):
    monkeypatch.setitem(report.CELL_TIMEOUT, "smoke", 3)
    write_notebook(clone, "import time; time.sleep(600)")
    assert main(["report", "--preset", "smoke"]) == 1
    assert "CellTimeoutError" in capsys.readouterr().err


@pytest.mark.notebook
def test_a_kernel_that_dies_is_a_notebook_error_and_what_ran_is_kept(clone, capsys):
    write_notebook(clone, "print('made before')", "import os; os.kill(os.getpid(), 9)", "1 + 1")
    began = time.monotonic()
    assert main(["report", "--preset", "smoke"]) == 1
    assert time.monotonic() - began < 60
    error = capsys.readouterr().err
    assert "01_small.ipynb: DeadKernelError" in error and "Traceback" not in error
    assert "made before" in (clone / "runs" / "smoke" / "01_small.ipynb").read_text()
    assert not (clone / "runs" / "smoke" / "report.lock").exists()
