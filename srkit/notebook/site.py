"""A site to publish: executed notebooks, README and docstrings as pages that need no network.

`python -m srkit site` copies what it shows into `runs/site/source`, in the layout of the clone so
that links hold, and has Sphinx make `runs/site/html` of it.
"""

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from latex2mathml.converter import convert
from nbformat import NotebookNode
from sphinx.application import Sphinx

import srkit
from srkit import paths
from srkit.notebook import charts, diagrams, figures, live, offline

WIDGET = "application/vnd.jupyter.widget-view+json"
NO_KERNEL = "*This is a widget: it plays where the notebook runs, in `make lab`.*"
LONG = 14  # lines of code that a page folds

GUIDES = (
    "notebooks/README.md",
    "srkit/training/README.md",
    "srkit/fid/README.md",
    "figures/results.md",
)

SETTINGS: dict[str, Any] = {
    "project": "srkit",
    "copyright": "The srkit authors, MIT",
    "version": srkit.__version__,
    "root_doc": "index",
    "extensions": ["myst_nb", "sphinx.ext.autodoc", "srkit.notebook.site"],
    "html_theme": "sphinx_book_theme",
    "html_title": "srkit",
    "html_theme_options": {
        "use_download_button": False,
        "use_fullscreen_button": False,
        "show_toc_level": 2,
        "show_navbar_depth": 1,
    },
    "html_static_path": [str(Path(__file__).parent / "web" / "site.css")],
    "html_css_files": ["site.css"],
    "html_context": {"default_mode": "auto"},
    "html_copy_source": False,
    "html_show_sourcelink": False,
    "nb_execution_mode": "off",
    "nb_ipywidgets_js": {},  # their scripts would come from a network
    "nb_merge_streams": True,
    "nb_render_markdown_format": "myst",
    "nb_number_source_lines": False,
    "nb_code_prompt_show": "Show the code",
    "nb_code_prompt_hide": "Hide the code",
    "myst_enable_extensions": ["dollarmath", "html_image"],
    "myst_heading_anchors": 3,
    "myst_dmath_allow_labels": False,
    "autodoc_member_order": "bysource",
    "autodoc_default_options": {"members": True},
    "autodoc_inherit_docstrings": False,
    "add_module_names": False,
    "html_use_index": False,
    "html_domain_indices": False,
    "default_role": "code",
    "html_math_renderer": "mathml",
    "suppress_warnings": ["myst.header", "mystnb.unknown_mime_type"],
}


def build(preset: str = "demo", folder: Path | None = None) -> Path:
    """Make the site of a preset's executed notebooks; returns the folder of its pages.

    Raises FileNotFoundError where a notebook was not executed yet, and ValueError where Sphinx
    warns of anything, such as a link that leads nowhere.
    """
    folder = folder or paths.runs("site")
    source, target = folder / "source", folder / "html"
    for old in (source, target):
        shutil.rmtree(old, ignore_errors=True)
    write_sources(source, preset)
    app = Sphinx(
        str(source), None, str(target), str(folder / "doctrees"), "html", SETTINGS, status=None
    )
    app.build(force_all=True)
    if app._warncount:
        raise ValueError(f"{app._warncount} warnings of Sphinx, printed above: {target}")
    return target


def write_sources(source: Path, preset: str) -> None:
    """Everything that the site shows, in the clone's layout."""
    pages = [f"notebooks/{file.stem}" for file in paths.notebook_files()]
    for file in paths.notebook_files():
        executed = paths.runs(preset) / file.name
        if not executed.is_file():
            raise FileNotFoundError(
                f"no executed {file.name} in {paths.shown(executed.parent)}:"
                f" run `python -m srkit report --preset {preset}` first"
            )
        target = source / "notebooks" / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(readable(nbformat.read(executed, as_version=4)), target)
    rooms = [write_module_page(source, room) for room in teaching_rooms()]
    readme, *_ = [write_page(source, name) for name in ("README.md", *GUIDES)]
    guides = [name.removesuffix(".md") for name in GUIDES]
    trees = {"Notebooks": pages, "Guides": guides, "The module": rooms}
    parts = [contents(caption, names) for caption, names in trees.items()]
    (source / "README.md").rename(source / "index.md")
    (source / "index.md").write_text("\n".join([readme, *parts]), encoding="utf-8")


def contents(caption: str, pages: Sequence[str]) -> str:
    """A part of the site's contents, as MyST has it."""
    lines = "\n".join(pages)
    return f"```{{toctree}}\n:caption: {caption}\n:hidden:\n\n{lines}\n```\n"


# --- Notebooks as a reader wants them ------------------------------------------------------------


def readable(notebook: NotebookNode) -> NotebookNode:
    """An executed notebook with its parameters once, long code folded, alternative texts, and
    neither widgets without a kernel nor this machine's paths."""
    injected = [c for c in notebook.cells if "injected-parameters" in c.metadata.get("tags", [])]
    notebook.cells = [cell for cell in notebook.cells if cell not in injected]
    section = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE)
            section = headings[-1] if headings else section
        elif cell.cell_type == "code":
            tags = cell.metadata.setdefault("tags", [])
            if "parameters" in tags and injected:
                cell.source = with_values(cell.source, injected[0].source)
            long = "parameters" in tags or len(cell.source.splitlines()) > LONG
            if long and "hide-input" not in tags:
                tags.append("hide-input")
            cell.metadata["mystnb"] = {"image": {"alt": alternative(cell.source, section)}}
            cell.outputs = [plain(output) for output in cell.outputs]
    notebook.metadata.pop("widgets", None)
    return notebook


def with_values(parameters: str, injected: str) -> str:
    """The parameters' cell with the values that a report ran with, and its comments."""
    values = dict(re.findall(r"^(\w+) = (.+)$", injected, re.MULTILINE))
    return re.sub(
        r"^(\w+)(.*? = )(.*?)(?=  #|$)",
        lambda line: f"{line[1]}{line[2]}{values.get(line[1], line[3])}",
        parameters,
        flags=re.MULTILINE,
    )


def alternative(code: str, section: str) -> str:
    """An alternative text of a cell's figures: the section, and what the functions say that draw
    them."""
    said = [section.replace("`", "").replace("$", "")]
    for module in (figures, diagrams, charts, live):
        for name in re.findall(rf"\b{module.__name__.split('.')[-1]}\.(\w+)", code):
            text = getattr(getattr(module, name, None), "__doc__", None) or ""
            said.append(" ".join(text.split("\n\n")[0].replace("`", "").split()))
    return ": ".join(dict.fromkeys(filter(None, said)))


def plain(output: NotebookNode) -> NotebookNode:
    """An output without a widget, in the page's own colours, and without this machine's paths."""
    data = output.get("data", {})
    if WIDGET in data:
        data.pop(WIDGET)
        if not data.keys() - {"text/plain"}:
            output["data"] = {"text/markdown": NO_KERNEL}
    elif "text/latex" in data and data.get("text/html", "").startswith("<style>pre"):
        output["data"] = {"text/markdown": f"```python\n{data['text/plain']}\n```"}
    for holder in (output, output.get("data", {})):
        for kind in ("text", "text/plain", "text/html", "text/markdown"):
            if kind in holder:
                holder[kind] = without_paths(holder[kind])
    return output


def without_paths(text: str) -> str:
    """A text without the paths of this machine: from the clone, or by name alone."""
    text = text.replace(sys.executable, "python")
    for folder in (paths.root(), Path(sys.prefix), Path.home()):
        text = text.replace(f"{folder}/", "").replace(str(folder), ".")
    return text.replace("python python", "python")


# --- README and the module -----------------------------------------------------------------------


def teaching_rooms() -> Iterator[str]:
    """What README's map links to, in its order: "models", "losses", ..."""
    readme = (paths.root() / "README.md").read_text(encoding="utf-8")
    table = readme.split("## Map")[1].split("\n## ")[0]
    yield from re.findall(r"\]\(srkit/(\w+?)(?:\.py)?\)", table)


def write_page(source: Path, name: str) -> str:
    """One of the clone's Markdown pages, with links to the pages of rooms and with the files that
    it shows or links to; returns its text."""
    text = (paths.root() / name).read_text(encoding="utf-8")
    rooms = "|".join(teaching_rooms())
    text = re.sub(rf"\]\(((?:\.\./)*srkit/(?:{rooms}))(?:\.py)?\)", r"](\1.md)", text)
    text = re.sub(r"\]\(((?:\.\./)+)README\.md\)", r"](\1index.md)", text)
    for link in re.findall(r"""(?:\]\(|src=")([^)#"]+)""", text):
        file = (paths.root() / name).parent / link
        if file.is_file() and file.suffix not in (".md", ".ipynb"):
            target = (source / name).parent / link
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    target = source / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return text


def write_module_page(source: Path, room: str) -> str:
    """The page of a room's docstrings; returns its name among the pages."""
    folder = paths.PACKAGE / room
    parts = sorted(f.stem for f in folder.glob("*.py") if f.stem != "__init__")
    names = [f"srkit.{room}", *[f"srkit.{room}.{part}" for part in parts]]
    lines = [f"# srkit.{room}", ""]
    for name in names:
        lines += [f"## {name}", ""] if name != names[0] else []
        lines += ["```{eval-rst}", f".. automodule:: {name}", "```", ""]
    page = source / "srkit" / f"{room}.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(lines), encoding="utf-8")
    return f"srkit/{room}"


# --- What Sphinx does not know -------------------------------------------------------------------


def setup(app: Sphinx) -> dict[str, bool]:
    """This module is an extension of Sphinx: equations as MathML, which browsers draw without a
    script or a network, and docstrings as the plain text that they are."""
    app.add_html_math_renderer("mathml", (inline_equation, None), (equation, None))
    app.connect("autodoc-process-docstring", escape)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def inline_equation(translator: Any, node: nodes.math) -> None:
    """Write an equation within a line."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def equation(translator: Any, node: nodes.math_block) -> None:
    """Write an equation that stands by itself."""
    translator.body.append(offline.equation(node.astext()))
    raise nodes.SkipNode


def escape(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep bars and stars of a docstring from being markup."""
    lines[:] = [re.sub(r"[|*]", r"\\\g<0>", line) for line in lines]
