"""Notebooks as HTML that needs no network."""

import re
from pathlib import Path

import nbformat
from nbformat import v4

from srkit.notebook.offline import as_html, equation

CELLS = [
    v4.new_markdown_cell(
        "# Title\n\nInline $d^2$, and\n\n$$a = \\sum_i b_i \\tag{9}$$\n\nsome `$x`."
    ),
    v4.new_code_cell("1", outputs=[v4.new_output("display_data", {"text/markdown": "so $z$"})]),
]


def test_equations_are_drawn_without_a_script():
    page = as_html(v4.new_notebook(cells=CELLS))
    assert page.count("<math") == 3 and "<code>$x</code>" in page
    assert "<span>(9)</span></div>" in page


def test_every_sign_of_the_notebooks_equations_is_known():
    for file in (Path(__file__).parents[2] / "notebooks").glob("*.ipynb"):
        for drawn in re.findall(r"<math.*?</math>", as_html(nbformat.read(file, 4)), re.DOTALL):
            assert "\\" not in re.sub("<[^>]*>", "", drawn), file.stem


def test_nothing_is_loaded():
    widgets = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    page = as_html(v4.new_notebook(cells=CELLS, metadata={"widgets": widgets}))
    assert re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(?!data:)', page) == []
    assert not re.search(r"cdnjs|unpkg|jsdelivr|import\(", page)


def test_an_equation_has_its_number_at_the_right():
    assert equation("x\\tag{2}").endswith("</math><span>(2)</span></div>")
    assert "<span>" not in equation("x")


def test_cells_of_imports_are_folded():
    imports = v4.new_code_cell("import math", metadata={"tags": ["hide-input"]})
    page = as_html(v4.new_notebook(cells=[imports, v4.new_code_cell("shown = 1")]))
    folded = re.findall(r"<details.*?</details>", page, re.DOTALL)
    assert len(folded) == 1 and "math" in folded[0] and "shown" not in folded[0]
