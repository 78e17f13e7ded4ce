"""JupyterLab on a student's own copy of the notebooks: `python -m srkit lab`."""

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat

from srkit import paths
from srkit.notebook.report import use_this_python
from srkit.paths import shown

START = "start.md"
TEACHER = "for-the-teacher.md"
AS_GIVEN = ".as_given"  # the notebooks as they were copied: what differs from them is a student's

# Markdown opens as a page and not as text; nothing asks Jupyter's network for news; what a reader
# has predicted is saved with the notebook.
SETTINGS = {
    "@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}},
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
    "@jupyter-widgets/jupyterlab-manager:plugin": {"saveState": True},
}

PAGE = """# Image super-resolution, notebook by notebook

{contents}

Click on one to open it. **Shift+Enter** runs a cell and goes to the next; *Run All Cells* in the
menu *Run* runs them all.

This is your own copy: change what you like. To begin a notebook anew, rename yours or delete it,
and open the lab again.

[For the teacher]({teacher}): times, prerequisites, answers and questions to discuss.
"""


def lab(options: Sequence[str] = ()) -> int:
    """JupyterLab at the start page of the student's copy; returns its exit code.

    `options` are JupyterLab's own. Figures of the demo preset go into the copy too.
    """
    folder = paths.root() / "my-notebooks"
    copy_notebooks(folder)
    kernels = paths.runs("lab") / "jupyter"
    use_this_python(kernels)
    settings = kernels / "labconfig" / "default_setting_overrides.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(json.dumps(SETTINGS))
    elsewhere = os.environ.get("JUPYTER_CONFIG_PATH")
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, [str(kernels), elsewhere]))
    os.environ["JUPYTERLAB_WORKSPACES_DIR"] = str(kernels / "workspaces")  # tabs open in this clone
    os.environ["SRKIT_FIGURES"] = str(folder / "figures")
    command = [sys.executable, "-m", "jupyterlab", f"--LabApp.default_url=/lab/tree/{START}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # as in a container
        command.append("--allow-root")
    return subprocess.call([*command, *options], cwd=folder)


def copy_notebooks(folder: Path) -> None:
    """Bring a student's copy up to date: what is not there yet, what came newly and was not touched
    since it was copied, the start page and the teacher's. What a student has changed stays, and is
    named where there is a newer one."""
    given = folder / AS_GIVEN
    given.mkdir(parents=True, exist_ok=True)
    files = paths.notebook_files()
    for original in files:
        mine, before = folder / original.name, given / original.name
        untouched = before.is_file() and mine.is_file() and filecmp.cmp(mine, before, False)
        if untouched or not mine.is_file():
            shutil.copyfile(original, mine)
            shutil.copyfile(original, before)
        elif not (before.is_file() and filecmp.cmp(original, before, False)):
            print(f"there is a newer {original.name}; yours stays in {shown(mine)}: rename it and")
            print("open the lab again to have both")
    (folder / START).write_text(start_page(files), encoding="utf-8")
    shutil.copyfile(paths.notebooks() / "README.md", folder / TEACHER)


def start_page(files: Sequence[Path]) -> str:
    """The notebooks in reading order, each by its title and with the time it takes."""
    lines = []
    for file in files:
        cells = nbformat.read(file, as_version=4).cells
        text = "\n".join(cell.source for cell in cells[:3] if cell.cell_type == "markdown")
        title = text.splitlines()[0].lstrip("# ")
        takes = re.search(r"\*\*Takes\*\*,?\s+(.+?)(?:[.;]\s|[.;]?$)", text, re.DOTALL)
        time = f"<br>Takes {' '.join(takes[1].split())}." if takes else ""
        lines.append(f"**[{title}]({file.name})**{time}")
    return PAGE.format(contents="\n\n".join(lines), teacher=TEACHER)
