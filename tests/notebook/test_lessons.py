"""The notebooks as lessons: short cells, exercises that are known, no measured number in prose."""

import re
from pathlib import Path

import nbformat
import pytest

from srkit.evaluation.results import REPORT_FID
from srkit.notebook.exercises import EXERCISES, fits

FILES = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
CELLS = {file.stem: nbformat.read(file, as_version=4).cells for file in FILES}

# Decimals that prose may have: the report's and the literature's, settings, and exercises.
QUOTED = {
    *map(str, REPORT_FID.values()),
    *("33.68", "28.43"),  # bicubic's PSNR on Set5, in every paper
    *("0.350", "0.592"),  # 22.123 / 63.162 and its root
    *("12.75", "0.999"),  # settings
    *("0.5", "0.25", "0.9", "0.2"),  # a probability, a frequency, exercises
}

each = pytest.mark.parametrize("name", CELLS)


@each
def test_prose_states_no_measured_number(name):
    for cell in CELLS[name]:
        if cell.cell_type == "markdown":
            text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|`[^`]*`", "", cell.source, flags=re.S)
            text = re.sub(r"[Ss]ections?\s[\d.,\s(and)]*\d", "", text)
            found = set(re.findall(r"\d+\.\d+", text)) - QUOTED
            assert not found, f"{found}: let code write what is measured ({text[:60]})"


@each
def test_a_cell_is_short(name):
    for cell in CELLS[name]:
        hidden = cell.metadata.get("jupyter", {}).get("source_hidden")
        if cell.cell_type == "code" and not hidden:
            lines = [line for line in cell.source.splitlines() if line.strip()]
            assert len(lines) <= 14, f"{len(lines)} lines: {lines[0]}"


@each
def test_a_picture_stands_in_the_first_cell_that_shows_its_code(name):
    code = [cell for cell in CELLS[name] if cell.cell_type == "code"]
    parameters, imports, first = code[:3]
    assert "parameters" in parameters.metadata.tags and imports.metadata.jupyter.source_hidden
    assert first.source.splitlines()[-1].startswith("figures.")


@each
def test_exercises_are_asked_for_by_name_and_summed_up(name):
    source = "\n".join(cell.source for cell in CELLS[name] if cell.cell_type == "code")
    number = name[:2]
    asked = re.findall(r'^check\("([\d.]+)"', source, flags=re.M)
    assert asked == [known for known in EXERCISES if known.startswith(number)]
    assert source.rstrip().endswith(f'summary("{number}")')


@each
def test_the_reader_predicts_before_the_outcome(name):
    asked = sum("predict(" in cell.source for cell in CELLS[name] if cell.cell_type == "code")
    assert asked >= 5


def test_the_teacher_s_answers_are_the_solutions():
    page = (FILES[0].parent / "README.md").read_text(encoding="utf-8")
    answers = dict(re.findall(r"\| (0\d\.\d) \| ([^;|]+)", page))
    assert set(answers) == set(EXERCISES)
    for name, answer in answers.items():
        solution = EXERCISES[name]["solution"]
        assert solution == "least" or fits(answer, solution, 0.01), name
