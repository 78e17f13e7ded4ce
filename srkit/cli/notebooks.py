"""`srkit report` and `srkit lab`."""

import sys
from argparse import Namespace
from typing import Any

from srkit.cli.options import Commands, add_command, parse_value


def add_report(commands: Commands) -> None:
    option = add_command(commands, run_report, "run the notebooks in order, headlessly")
    option("--preset")
    option("--data")
    option("--only", nargs="+", default=[], metavar="NOTEBOOK", help="such as 05 06")
    pair: dict[str, Any] = {"nargs": 2, "metavar": ("NAME", "VALUE"), "action": "append"}
    option("-p", "--parameter", default=[], help="a notebook parameter", **pair)


def run_report(options: Namespace) -> int:
    """`srkit report`: execute the notebooks, then print the table and what was written."""
    from srkit.notebook.report import NotebookError, report, summary

    parameters = {name: parse_value(text) for name, text in options.parameter}
    try:
        report(options.preset, options.data, parameters, options.only)
    except NotebookError as error:
        print(f"\nsrkit report: {error}", file=sys.stderr)
        return 1
    print(summary(options.preset, options.data))
    return 0


def add_lab(commands: Commands) -> None:
    option = add_command(commands, run_lab, "open JupyterLab on the notebooks")
    option("options", nargs="*", help="passed on to JupyterLab, after --")


def run_lab(options: Namespace) -> int:
    """`srkit lab`: JupyterLab on notebooks/, with this interpreter as its kernel."""
    import subprocess

    from srkit import paths
    from srkit.notebook.report import use_this_python

    use_this_python(paths.runs("lab") / "jupyter")
    command = [sys.executable, "-m", "jupyterlab", *options.options]
    return subprocess.call(command, cwd=paths.notebooks())
