"""The student's copy of the notebooks, and JupyterLab on it."""

import os
import subprocess
from pathlib import Path

import nbformat
import pytest

from srkit import paths
from srkit.cli import main
from srkit.notebook import lab


@pytest.fixture
def clone(tmp_path, monkeypatch) -> Path:
    """A clone with one notebook, and the copy's folder, `my-notebooks/`, not made yet."""
    monkeypatch.setenv("SRKIT_ROOT", str(tmp_path))
    (tmp_path / "notebooks").mkdir()
    write(tmp_path / "notebooks" / "01_first.ipynb", "# 1. Why?", "**Takes** a minute.")
    (tmp_path / "notebooks" / "README.md").write_text("# For the teacher")
    return tmp_path


def write(path: Path, *texts: str) -> None:
    cells = [nbformat.v4.new_markdown_cell(text, id=str(n)) for n, text in enumerate(texts)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def test_what_a_student_changed_stays_and_the_rest_is_kept_up_to_date(clone, capsys):
    original, mine = clone / "notebooks" / "01_first.ipynb", clone / "mine" / "01_first.ipynb"
    lab.copy_notebooks(clone / "mine")
    assert mine.read_bytes() == original.read_bytes()
    write(original, "# 1. Corrected")
    lab.copy_notebooks(clone / "mine")
    assert "Corrected" in mine.read_text() and capsys.readouterr().out == ""
    write(mine, "# 1. Mine")
    lab.copy_notebooks(clone / "mine")
    assert "Mine" in mine.read_text() and capsys.readouterr().out == ""  # no newer one
    write(original, "# 1. Corrected again")
    lab.copy_notebooks(clone / "mine")
    assert "Mine" in mine.read_text()
    assert "newer 01_first.ipynb" in capsys.readouterr().out
    mine.rename(clone / "mine" / "kept.ipynb")
    lab.copy_notebooks(clone / "mine")
    assert "again" in mine.read_text()


def test_the_start_page_has_every_notebook_in_order_with_its_time():
    page = lab.start_page(paths.notebook_files())
    places = [page.index(f"]({file.name})") for file in paths.notebook_files()]
    assert places == sorted(places) and len(places) == 6
    assert page.count("Takes ") == 6 and f"]({lab.TEACHER})" in page
    assert "[1. What can be had without learning?](01_interpolation_baselines.ipynb)" in page


@pytest.mark.parametrize("user", [0, 1000])
@pytest.mark.parametrize("given", [["--port", "9999", "--no-browser"], ["--", "--port", "9999"]])
def test_lab_hands_its_options_on_and_starts_as_root_too(clone, monkeypatch, given, user):
    called = []
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    monkeypatch.setattr(subprocess, "call", lambda command, cwd: called.append((command, cwd)))
    workspaces = "JUPYTERLAB_WORKSPACES_DIR"
    for name in ("JUPYTER_CONFIG_PATH", "JUPYTER_PATH", "SRKIT_FIGURES", workspaces):
        monkeypatch.setenv(name, "")  # restored at the end
    main(["lab", *given])
    ((command, folder),) = called
    assert command[-2:] == given[-2:] and "--" not in command
    assert ("--allow-root" in command) == (user == 0)
    assert folder == clone / "my-notebooks" and (folder / "start.md").is_file()
    assert (folder / lab.TEACHER).read_text() == "# For the teacher"
    assert paths.figures("demo") == folder / "figures"
    assert paths.figures() == clone / "figures"
    assert clone in Path(os.environ[workspaces]).parents  # no tabs of another folder


def test_other_commands_refuse_unknown_options(capsys):
    with pytest.raises(SystemExit):
        main(["report", "--port", "9999"])
    assert "unrecognized arguments: --port 9999" in capsys.readouterr().err
