"""Where things lie. Every path that the kit reads or writes by itself comes from here."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent

CHECKPOINTS = PACKAGE / "checkpoints"

PRESETS = ("smoke", "demo", "laptop", "cpu", "gpu", "paper")
# The presets whose trainings take hours: their own networks are shown, not the shipped ones.
LONG_PRESETS = ("cpu", "gpu", "paper")
# Those that show how training works: what they make is not shipped.
TOY_PRESETS = ("smoke", "demo")


def check_preset(preset: str) -> str:
    """Return the preset's name. Raises ValueError where there is none of that name."""
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}; accepted: {', '.join(PRESETS)}")
    return preset


def shipped() -> list[str]:
    """The names of the generators that came with the package, such as "srgan_x2"."""
    return sorted(path.stem for path in CHECKPOINTS.glob("*_x?.safetensors"))


def root() -> Path:
    """The folder with `notebooks/`: $SRKIT_ROOT, else the clone that this package was installed
    from (`pip install -e .`), else the current folder.

    Raises FileNotFoundError where none of these holds the notebooks.
    """
    named = os.environ.get("SRKIT_ROOT")
    candidates = [Path(named)] if named else [PACKAGE.parent, Path.cwd(), *Path.cwd().parents]
    for folder in candidates:
        if (folder / "notebooks").is_dir():
            return folder.resolve()
    raise FileNotFoundError(
        "the notebooks were not found; work in a clone of srkit installed with `pip install -e .`,"
        " or set SRKIT_ROOT to the clone"
    )


def notebooks() -> Path:
    """The ordered notebooks."""
    return root() / "notebooks"


def notebook_files(only: Sequence[str] = ()) -> list[Path]:
    """The notebooks in order, or those whose names begin with one of `only` ("05", "02_srgan").

    Raises ValueError where one of `only` fits none.
    """
    files = sorted(notebooks().glob("[0-9]*.ipynb"))
    for name in only:
        if not any(file.name.startswith(name) for file in files):
            have = ", ".join(file.stem for file in files)
            raise ValueError(f"no notebook {name!r}; accepted: {have}")
    return [f for f in files if not only or f.name.startswith(tuple(only))]


def runs(preset: str) -> Path:
    """Where a preset's executed notebooks, logs and caches go (git-ignored)."""
    folder = root() / "runs" / preset
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def figures(preset: str | None = None, data: str = "embedded") -> Path:
    """Where figures and results.json of a preset go; without one, the committed `figures/`.

    The committed ones belong to one thing alone: a report of the demo preset on the embedded
    photographs. Any other preset or data writes to `runs/<preset>/figures/`, and a student in
    `srkit lab` to $SRKIT_FIGURES.
    """
    folder = root() / "figures"
    if preset is not None and (preset != "demo" or data != "embedded"):
        folder = runs(preset) / "figures"
    elif preset is not None:
        folder = Path(os.environ.get("SRKIT_FIGURES") or folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def commit() -> str | None:
    """The short commit that the clone is at now, or None outside of one: ask before a long run."""
    command = ["git", "-C", str(PACKAGE.parent), "rev-parse", "--short=12", "HEAD"]
    try:
        out = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return out.stdout.strip()


def shown(path: Path) -> str:
    """A path as one would type it in the clone."""
    clone = root()
    return str(path.relative_to(clone)) if path.is_relative_to(clone) else str(path)
