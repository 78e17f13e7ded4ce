"""What holds for all figures."""

import sys

import pytest


@pytest.fixture(autouse=True)
def no_figure_is_open():
    """Figures are made without pyplot: a cell would show an open one by itself, and so twice."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []
