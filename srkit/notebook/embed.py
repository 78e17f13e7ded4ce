"""Interactive pages in a cell's output: HTML that plays by itself, with a line to the kernel.

A cell shows nothing but text/html, which holds the pictures and the script. So it plays wherever
the page is read: in JupyterLab, in a notebook that is opened again, in an exported copy, on a site.
Where a kernel runs, a model without a view (anywidget) carries messages between it and the page,
which finds the model by the page's name. Scripts and style are in `web/`; nothing is loaded.
"""

import json
import uuid
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from matplotlib.figure import Figure
from PIL import Image

WEB = Path(__file__).parent / "web"

Answer = Callable[[dict[str, Any], Sequence[bytes]], None]  # to a page's message, with its files


@cache
def asset(name: str) -> str:
    """A script or style sheet of `web/`."""
    return (WEB / name).read_text(encoding="utf-8")


def png(image: Image.Image) -> str:
    """A picture as a data URL, every pixel as it is."""
    file = BytesIO()
    (image if image.mode == "RGBA" else image.convert("RGB")).save(file, "PNG")
    return "data:image/png;base64," + b64encode(file.getvalue()).decode()


def webp(figure: Figure, dpi: int = 80) -> str:
    """A figure as a data URL, small enough for hundreds."""
    file, drawn = BytesIO(), BytesIO()
    figure.savefig(drawn, dpi=dpi, format="png")
    with Image.open(drawn) as image:
        image.convert("RGB").save(file, "WEBP", quality=88, method=2)
    return "data:image/webp;base64," + b64encode(file.getvalue()).decode()


class Link(anywidget.AnyWidget):
    """The kernel's end of a page. It has no view; `on_msg` hears what the page asks."""

    _esm = asset("link.js")
    page = traitlets.Unicode().tag(sync=True)


class Page:
    """What a cell shows: `kind` is the script of `web/` that builds it from `data`.

    With `answer`, messages from the page go to it while a kernel runs, and `send` replies.
    """

    def __init__(self, kind: str, data: Mapping[str, Any], answer: Answer | None = None):
        self.kind, self.data, self.name = kind, dict(data), uuid.uuid4().hex[:12]
        self.link = Link(page=self.name) if answer else None
        if self.link and answer:

            def heard(_: Any, message: dict[str, Any], files: Sequence[bytes]) -> None:
                if message["ask"] == "hello":  # so a page knows that its kernel runs
                    self.send({"hello": True})
                else:
                    answer(message, files)

            self.link.on_msg(heard)
            # ipykernel sends a page's messages to where the kernel last sent from, which is a cell
            # that is busy; they are to go to the subshell that the page named.
            self.link.comm._reply_subshell_for = lambda _, subshell: subshell

    def send(self, message: Mapping[str, Any]) -> None:
        """Tell the page; nothing happens where none is open."""
        if self.link:
            self.link.send(dict(message))

    def html(self) -> str:
        """The page, complete."""
        data = json.dumps(self.data, ensure_ascii=False).replace("</", "<\\/")
        style = json.dumps(asset("style.css"))
        script = "\n".join([asset("page.js"), asset(f"{self.kind}.js")])
        title = escape(self.data["title"])
        return (
            f'<div data-srkit-page="{self.name}" data-lm-suppress-shortcuts="true">'
            f"<p>{title}: run this cell, or trust this notebook, to play with it.</p></div>\n"
            f'<script type="module">\n{script}\n'
            f"start({json.dumps(self.name)}, {self.kind}, {data}, {style});\n</script>"
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.data["title"]}
