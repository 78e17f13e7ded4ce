"""Every notebook in JupyterLab, as a student runs it."""

from pathlib import Path

import pytest

NAMES = [f.stem for f in sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))]


@pytest.mark.parametrize("name", NAMES)
def test_all_cells_run(open_notebook, name):
    notebook = open_notebook(name)
    state = notebook.run_all()
    assert state["errors"] == []
    assert "preset smoke" in state["text"]
