"""The parameters of notebooks, as papermill takes them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import papermill


def parameters_of(notebook: Path) -> dict[str, str]:
    """The parameters that a notebook takes, with the defaults as they stand in its cell."""
    parameters = papermill.inspect_notebook(str(notebook))
    return {name: str(about["default"]) for name, about in parameters.items()}


def distribute(files: Sequence[Path], parameters: Mapping[str, Any]) -> dict[Path, dict[str, Any]]:
    """Each notebook's share of the parameters. Raises ValueError on one that no notebook takes."""
    known = {file: parameters_of(file) for file in files}
    everything = sorted({name for names in known.values() for name in names})
    for name in parameters:
        if name not in everything:
            raise ValueError(f"unknown parameter {name!r}; accepted: {', '.join(everything)}")
    return {
        file: {n: value for n, value in parameters.items() if n in names}
        for file, names in known.items()
    }
