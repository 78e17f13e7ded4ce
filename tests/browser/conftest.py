"""A student's JupyterLab on a copy of the notebooks in the smoke preset, and a browser on it.

`make test-browser` runs these; plain `make test` leaves them out. Screenshots go to runs/browser/.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest

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


def pytest_collection_modifyitems(items):
    """Whatever lies in this folder needs a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


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


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    url: str
    root: Path  # the clone, as the kit in it sees it: notebooks/, figures/, runs/, my-notebooks/
    screenshots: Path = SCREENSHOTS


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Iterator[Lab]:
    """`python -m srkit lab` on a copy of the clone's notebooks in the smoke preset."""
    root = tmp_path_factory.mktemp("clone")
    copy_clone(root)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--no-browser", f"--port={port}", "--ServerApp.port_retries=0"]
    options += ["--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"]
    log = SCREENSHOTS / "lab.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "srkit", "lab", *options],
            env=os.environ | {"SRKIT_ROOT": str(root)},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url, server, log)
        yield Lab(url, root)
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # the server ends its kernels
        server.wait(30)


def copy_clone(root: Path) -> None:
    """The notebooks with the smoke preset as their own, and the committed figures, under `root`."""
    (root / "notebooks").mkdir()
    for source in sorted((REPOSITORY / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(source, as_version=4)
        cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
        assert 'preset: str = "demo"' in cell.source
        cell.source = cell.source.replace('preset: str = "demo"', 'preset: str = "smoke"')
        nbformat.write(notebook, root / "notebooks" / source.name)
    shutil.copytree(REPOSITORY / "figures", root / "figures")


def wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{url}/api", timeout=5)
            return
        except OSError:
            assert server.poll() is None, f"JupyterLab did not start:\n{log.read_text()}"
            time.sleep(0.5)
    raise AssertionError(f"JupyterLab does not answer:\n{log.read_text()}")


@pytest.fixture
def page(chromium, request):
    """An empty page. At its end it must have logged no error; its last state is a screenshot."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(MINUTE)
    said: list[str] = []
    page.on("console", lambda message: message.type == "error" and said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    name = request.node.name.replace("[", "-").replace("]", "").replace("/", "-")
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    context.close()
    assert not said, f"errors in the browser's console: {said}"


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
    pictures: outputs.filter(o => o.data?.["image/png"]).length,
    text: outputs.flatMap(o => o.output_type === "stream" ? o.text : []).join(""),
  };
}"""


@dataclass
class Notebook:
    """A notebook that is open in a page, as `open_notebook` gives it."""

    page: object
    name: str
    said: list = field(default_factory=list)

    def state(self) -> dict:
        """Of the kernel "kernel" (its status); of the code cells how many there are ("cells") and
        how many "ran", their "errors", "pictures", and what they printed ("text")."""
        return self.page.evaluate(STATE)

    def run_all(self, minutes: float = 3) -> dict:
        """Run every cell from the menu, and wait until the last one is done or one failed; with no
        minutes, do not wait."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        return self.wait(minutes) if minutes else self.state()

    def wait(self, minutes: float = 3) -> dict:
        """Wait until nothing runs; returns the state."""
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            state = self.state()
            done = state["kernel"] == "idle" and state["ran"] == state["cells"]
            if done or state["errors"]:
                return state
            self.page.wait_for_timeout(500)
        raise AssertionError(f"{self.name} does not end: {self.state()}")

    def command(self, name: str) -> None:
        """One of JupyterLab's commands, such as "docmanager:save"."""
        self.page.evaluate("name => window.jupyterapp.commands.execute(name)", name)

    def screenshot(self, name: str) -> None:
        """Keep what is to be seen now as runs/browser/<name>.png."""
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.fixture
def open_notebook(lab, page):
    """`open_notebook("02_srgan")` opens a notebook, with its kernel started."""
    opened = []

    def open_(name: str) -> Notebook:
        page.goto(f"{lab.url}/lab/tree/{name}.ipynb?reset")
        page.locator(".jp-Notebook").wait_for(timeout=MINUTE)
        notebook = Notebook(page, name)
        opened.append(notebook)
        page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
            "?.status === 'idle'",
            timeout=2 * MINUTE,
        )
        return notebook

    yield open_
    if opened:  # the next test needs the memory
        page.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")
