"""A student's JupyterLab on a copy of the notebooks in the smoke preset, and a browser on it.

`make test-browser` runs these; plain `make test` leaves them out. Screenshots go to runs/browser/.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from widget import Widget

REPOSITORY = Path(__file__).resolve().parents[2]
SCREENSHOTS = REPOSITORY / "runs" / "browser"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MINUTE = 60_000  # milliseconds, as Playwright counts
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


def pytest_collection_modifyitems(items):
    """Whatever lies in this folder needs a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


def pytest_generate_tests(metafunc):
    """What needs `ran` is tested in every notebook, or, where the module names a call such as
    "Viewer(", in those that make it."""
    if "ran" in metafunc.fixturenames:
        called = getattr(metafunc.module, "CALLED", "")
        files = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
        names = [file.stem for file in files if called in file.read_text(encoding="utf-8")]
        metafunc.parametrize("ran", names, indirect=True, scope="session")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A notebook's tests run in one process, which runs it once; others file by file."""
    from xdist.scheduler import LoadScopeScheduling

    class ByNotebook(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            notebook = re.search(r"\[(\d\d_\w+)", nodeid)
            return notebook[1] if notebook else nodeid.split("::")[0]

    return ByNotebook(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.fixture(scope="session")
def chromium():
    """The browser of the system, without a window."""
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


# --- JupyterLab ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    url: str
    root: Path  # the clone, as the kit in it sees it: notebooks/, figures/, runs/, my-notebooks/


@pytest.fixture(scope="session")
def lab(chromium, tmp_path_factory) -> Iterator[Lab]:
    """`python -m srkit lab` on a copy of the clone's notebooks in the smoke preset."""
    root = tmp_path_factory.mktemp("clone")
    copy_clone(root)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--no-browser", f"--port={port}", "--ServerApp.port_retries=0"]
    options += ["--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"]
    log = SCREENSHOTS / f"lab-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "srkit", "lab", *options],
            env=os.environ | nobody_elses(root),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    ended = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as `timeout` ends tests
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url, server, log)
        yield Lab(url, root)
    finally:
        signal.signal(signal.SIGTERM, ended)
        os.killpg(server.pid, signal.SIGTERM)  # the server ends its kernels
        server.wait(120)


def nobody_elses(root: Path) -> dict[str, str]:
    """An environment in which JupyterLab finds no settings, layout or trust of anybody else."""
    places = {f"JUPYTER_{name}_DIR": str(root / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    return {"SRKIT_ROOT": str(root)} | places


def copy_clone(root: Path) -> None:
    """The notebooks with the smoke preset as their own, and the committed figures, under `root`."""
    (root / "notebooks").mkdir()
    shutil.copy(REPOSITORY / "notebooks" / "README.md", root / "notebooks")
    for source in sorted((REPOSITORY / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(source, as_version=4)
        cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
        assert 'preset: str = "demo"' in cell.source
        cell.source = cell.source.replace('preset: str = "demo"', 'preset: str = "smoke"')
        nbformat.write(notebook, root / "notebooks" / source.name)
    shutil.copytree(REPOSITORY / "figures", root / "figures")


def wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{url}/api", timeout=5)
            return
        except OSError:
            assert server.poll() is None, f"JupyterLab did not start:\n{log.read_text()}"
            time.sleep(0.5)
    raise AssertionError(f"JupyterLab does not answer:\n{log.read_text()}")


# --- Pages ---------------------------------------------------------------------------------------


@contextmanager
def new_page(chromium, **options):
    """An empty page, and the list of what went wrong on it: errors that the console shows, and
    whatever was asked of a network."""
    context = chromium.new_context(**{"viewport": DESK, "has_touch": True} | options)
    page, wrong = context.new_page(), []
    page.set_default_timeout(MINUTE)

    def requested(request):
        if not re.match(r"(http|ws)://127\.0\.0\.1[:/]|data:|blob:|file:", request.url):
            wrong.append(f"asked of a network: {request.url}")

    page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", requested)
    yield page, wrong
    context.close()


@pytest.fixture
def page(chromium, request):
    """An empty page. At its end nothing may have gone wrong; its last state is a screenshot."""
    with new_page(chromium) as (page, wrong):
        yield page
        name = re.sub(r"[^\w.-]+", "-", request.node.name).strip("-")
        page.screenshot(path=SCREENSHOTS / f"{name}.png")
    assert wrong == []


# What has run, and how, of the notebook in front: JupyterLab's own model of it.
STATE = """() => {
  const panel = window.jupyterapp.shell.currentWidget;
  const cells = Array.from(panel.content.model.cells).filter(c => c.type === "code");
  const outputs = cells.flatMap(c => c.outputs.toJSON());
  return {
    kernel: panel.sessionContext.session?.kernel?.status ?? "none",
    ran: cells.filter(c => c.executionCount !== null).length,
    cells: cells.filter(c => c.sharedModel.getSource().trim() !== "").length,
    errors: outputs.filter(o => o.output_type === "error").map(o => `${o.ename}: ${o.evalue}`),
    text: outputs.flatMap(o => o.output_type === "stream" ? o.text : []).join(""),
  };
}"""

# The interactive pages of a kind in the notebook in front: the cell's number, the page's name.
PAGES = """kind => {
  const cells = Array.from(window.jupyterapp.shell.currentWidget.content.model.cells);
  return cells.flatMap((cell, at) => (cell.outputs?.toJSON() ?? []).flatMap(output => {
    const html = [output.data?.["text/html"] ?? ""].flat().join("");
    const [, name, of] = /^start\\("(\\w+)", (\\w+),/m.exec(html) ?? [];
    return of === kind ? [[at, name]] : [];
  }));
}"""

# The model is clean, too, when a save ends that began before the last change: so wait for our own.
SAVE = """async () => {
  const { context } = window.jupyterapp.shell.currentWidget;
  do { await context.save(); } while (context.model.dirty);
}"""

SHOW = "at => window.jupyterapp.shell.currentWidget.content.scrollToItem(at, 'start')"


class Notebook:
    """A notebook that is open in a page, with its kernel started."""

    def __init__(self, lab: Lab, page, name: str):
        self.page, self.name = page, name
        page.goto(f"{lab.url}/lab/tree/{name}.ipynb?reset")
        page.locator(".jp-Notebook").wait_for()
        page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
            "?.status === 'idle'",
            timeout=2 * MINUTE,
        )

    def state(self) -> dict:
        """Of the kernel "kernel" (its status); of the code cells how many there are ("cells") and
        how many "ran", their "errors" and what they printed ("text")."""
        return self.page.evaluate(STATE)

    def run_all(self, minutes: float = 8) -> dict:
        """Run every cell from the menu, and wait until the last one is done or one failed; with no
        minutes, do not wait."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        return self.wait(minutes) if minutes else self.state()

    def wait(self, minutes: float = 8) -> dict:
        """Wait until nothing runs; returns the state."""
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            state = self.state()
            done = state["kernel"] == "idle" and state["ran"] == state["cells"]
            if done or state["errors"]:
                return state
            self.page.wait_for_timeout(500)
        raise AssertionError(f"{self.name} does not end: {self.state()}")

    def command(self, name: str, **options) -> None:
        """One of JupyterLab's commands, such as "notebook:run-cell"; its end is not waited for."""
        call = "([name, options]) => { window.jupyterapp.commands.execute(name, options); }"
        self.page.evaluate(call, [name, options])

    def save(self) -> None:
        """Save, and wait until it is done."""
        self.page.evaluate(SAVE)

    def shown_cells(self) -> Iterator[int]:
        """Go through the cells: each is in view when its number comes."""
        number = "() => window.jupyterapp.shell.currentWidget.content.model.cells.length"
        for at in range(self.page.evaluate(number)):
            self.page.evaluate(SHOW, at)
            yield at

    def show_cell(self, text: str):
        """Bring the code cell with some text in its source into view; returns it."""
        cells = "() => Array.from(window.jupyterapp.shell.currentWidget.content.model.cells)"
        sources = self.page.evaluate(f"{cells}.map(cell => cell.sharedModel.getSource())")
        self.page.evaluate(SHOW, next(n for n, source in enumerate(sources) if text in source))
        return self.page.locator(".jp-CodeCell").filter(has_text=text)

    def widgets(self, kind: str) -> Iterator[Widget]:
        """Its pages of a kind, "viewer", "frames" or "panel", each brought into view."""
        for at, name in self.page.evaluate(PAGES, kind):
            self.page.evaluate(SHOW, at)
            node = self.page.locator(f'.jp-OutputArea [data-srkit-page="{name}"]')
            node.locator(".page").wait_for()
            yield Widget(self.page, node)

    def close(self) -> None:
        """End its kernel: the next one needs the memory."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")

    def screenshot(self, name: str) -> None:
        """Keep what is to be seen now as runs/browser/<name>.png."""
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.fixture
def open_notebook(lab, page):
    """`open_notebook("02_srgan")` opens a notebook."""
    opened = []

    def open_(name: str) -> Notebook:
        opened.append(Notebook(lab, page, name))
        return opened[-1]

    yield open_
    if opened:
        opened[-1].close()


@pytest.fixture(scope="session")
def ran(lab, chromium, request):
    """A notebook after *Run All Cells*, for all the tests of it: see `pytest_generate_tests`."""
    with new_page(chromium) as (page, wrong):
        notebook = Notebook(lab, page, request.param)
        notebook.wrong = wrong
        notebook.run_all()
        yield notebook
        notebook.close()


@pytest.fixture(autouse=True)
def nothing_is_wrong(request):
    """At the end of each test of a notebook that ran, nothing may have gone wrong."""
    yield
    if "ran" in request.fixturenames:
        notebook = request.getfixturevalue("ran")
        wrong, notebook.wrong[:] = list(notebook.wrong), []
        assert wrong == []


@pytest.fixture
def looks():
    """`for look in looks(page)`: JupyterLab "light", and "dark"."""
    theme = """async name => {
      await window.jupyterapp.commands.execute("apputils:change-theme", { theme: name });
      await new Promise(done => setTimeout(done, 400));
    }"""

    def each(page):
        yield "light"
        page.evaluate(theme, "JupyterLab Dark")
        yield "dark"
        page.evaluate(theme, "JupyterLab Light")

    return each
