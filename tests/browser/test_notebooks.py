"""Every notebook in JupyterLab, as a student runs it."""


def test_all_cells_run(ran):
    state = ran.state()
    assert state["errors"] == []
    assert state["ran"] == state["cells"]
    assert "preset smoke" in state["text"]
