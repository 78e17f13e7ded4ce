"""Run the notebooks in order with papermill, headlessly: `python -m srkit report`."""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
import papermill
from ipykernel.kernelspec import write_kernel_spec
from papermill.exceptions import PapermillExecutionError

from srkit import paths
from srkit.data.sources import NAMED, open_photos
from srkit.evaluation import results, tables
from srkit.files import SrkitError, lock
from srkit.notebook import figures
from srkit.notebook.offline import as_html
from srkit.notebook.parameters import distribute
from srkit.notebook.session import SMALLEST
from srkit.paths import check_preset, shown

# The longest that one cell may take, in seconds; None is for ever.
CELL_TIMEOUT = {"smoke": 300, "demo": 900, "laptop": None, "cpu": None, "gpu": None, "paper": None}


class NotebookError(SrkitError, RuntimeError):
    """A notebook that failed; the message names the notebook, the cell and the error."""

    exit_code = 1


def use_this_python(folder: Path) -> None:
    """Make "python3" mean the running interpreter, whatever kernels are installed elsewhere.

    JUPYTER_PATH comes before every other place where Jupyter looks for kernels.
    """
    kernel = folder / "kernels" / "python3"
    shutil.rmtree(kernel, ignore_errors=True)
    name = {"display_name": "Python 3 (srkit)"}
    write_kernel_spec(kernel, name, extra_arguments=["--log-level=CRITICAL"])
    others = [p for p in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if p]
    elsewhere = [p for p in others if p != str(folder)]
    os.environ["JUPYTER_PATH"] = os.pathsep.join([str(folder), *elsewhere])


def run_notebook(source: Path, folder: Path, parameters: Mapping[str, Any], preset: str) -> Path:
    """Execute one notebook into `folder`, with HTML beside it; returns the executed copy.

    Raises NotebookError where a cell fails; the copy up to that cell is kept, as HTML too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / source.name
    os.environ.pop("MPLBACKEND", None)  # the kernel's own inline backend makes the pictures
    failure = None
    try:
        papermill.execute_notebook(
            str(source),
            str(target),
            dict(parameters),
            kernel_name="python3",
            cwd=str(paths.root()),
            execution_timeout=CELL_TIMEOUT[preset],
            store_widget_state=False,  # a copy has no kernel that it could belong to
        )
    except KeyboardInterrupt:
        print(f"\ninterrupted in {source.name}; what ran before it is kept in {target}", flush=True)
        raise
    except PapermillExecutionError as error:
        failure = f"{source.name}, cell In [{error.exec_count}]: {error.ename}: {error.evalue}"
    except Exception as error:  # a cell that took too long, or a kernel that died
        failure = f"{source.name}: {type(error).__name__}: {error}"
    if target.is_file():
        page = as_html(nbformat.read(target, as_version=4))
        target.with_suffix(".html").write_text(page, encoding="utf-8")
    if failure:
        raise NotebookError(f"{failure}\nwhat ran before it is kept in {target}")
    return target


def report(
    preset: str = "demo",
    data: str = "embedded",
    parameters: Mapping[str, Any] | None = None,
    only: Sequence[str] = (),
) -> list[Path]:
    """Run the notebooks in order; returns the executed copies in runs/<preset>/.

    Raises ValueError on an unknown preset, parameter or notebook, and DataError on missing
    photographs, before anything runs, LockedError where another report runs in that folder, and
    NotebookError at the first notebook that fails.
    """
    check_preset(preset)
    open_photos(data, "val").without_small(SMALLEST)
    data = absolute(data)
    files = paths.notebook_files(only)
    shares = distribute(files, {"preset": preset, "data": data, **(parameters or {})})
    folder = paths.runs(preset)
    done = []
    with lock(folder / "report.lock"):
        use_this_python(folder / "jupyter")
        for number, file in enumerate(files, start=1):
            began = time.perf_counter()
            print(f"[{number}/{len(files)}] {file.stem}", flush=True)
            done.append(run_notebook(file, folder, shares[file], preset))
            print(f"  done in {time.perf_counter() - began:.0f} s", flush=True)
    return done


def absolute(data: str) -> str:
    """The same photographs by a name that holds in every folder: notebooks run in the clone's."""
    kind, _, folder = data.partition(":")
    if folder and kind in ("imagenette", "imagenet", "packed"):
        return f"{kind}:{Path(folder).resolve()}"
    return data if data in NAMED or ":" in data else str(Path(data).resolve())


def summary(preset: str = "demo", data: str = "embedded") -> str:
    """The table and the paths of what a report wrote, for its end."""
    folder = paths.figures(preset, data)
    written = sorted(f for f in folder.iterdir() if f.is_file())
    rows = results.load(folder / "results.json")
    parts = tables.method_sections(rows, "report")
    parts += ["Figures and numbers:", *[f"  {shown(file)}" for file in written]]
    own = paths.runs(preset) / "figures"  # what kept ones look like here (`Session.save`)
    if folder == paths.figures():
        drawn = [f for f in written if (own / f.name).is_file() and f.suffix == ".png"]
        kept = [f.name for f in drawn if not figures.same_picture(f, own / f.name)]
        if kept:
            parts.append(f"Kept, of another machine: {', '.join(kept)}; as here: {shown(own)}")
    parts += ["Executed notebooks, with HTML beside them:", f"  {shown(paths.runs(preset))}"]
    parts.append(f"{len(results.select(rows, source='measured'))} measured rows in results.json")
    return "\n".join(parts)
