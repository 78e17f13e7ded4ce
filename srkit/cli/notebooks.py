"""`srkit report` and `srkit lab`."""

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
    from srkit import paths
    from srkit.notebook.parameters import distribute

    parameters = {name: parse_value(text) for name, text in options.parameter}
    distribute(paths.notebook_files(options.only), parameters)  # refuses names before torch loads
    from srkit.notebook.report import report, summary

    report(options.preset, options.data, parameters, options.only)
    print(summary(options.preset, options.data))
    return 0


def add_lab(commands: Commands) -> None:
    about = "open JupyterLab on your own copy of the notebooks; its options are JupyterLab's"
    add_command(commands, run_lab, about)


def run_lab(options: Namespace) -> int:
    """`srkit lab`: JupyterLab on a copy of the notebooks, with this interpreter as its kernel."""
    from srkit.notebook.lab import lab

    return lab(options.others)


def add_site(commands: Commands) -> None:
    option = add_command(commands, run_site, "make pages of the notebooks that a report executed")
    option("--preset")


def run_site(options: Namespace) -> int:
    """`srkit site`: executed notebooks, README and docstrings as pages that need no network."""
    try:
        from srkit.notebook.site import build
    except ModuleNotFoundError as error:
        raise ValueError(f"no {error.name}: python -m pip install -e '.[site]'") from error

    print(f"open {build(options.preset) / 'index.html'}")
    return 0
