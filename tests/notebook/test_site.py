"""The site: what its pages hold, and that all their links lead somewhere on it."""

import re
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest

from srkit.cli import main

REPOSITORY = Path(__file__).parents[2]
NAMES = [f.stem for f in sorted((REPOSITORY / "notebooks").glob("*.ipynb"))]

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """A page's links, the names in it that a link can lead to, and its pictures."""

    def __init__(self, file: Path):
        super().__init__()
        self.file, self.text = file, file.read_text(encoding="utf-8")
        self.links, self.loaded, self.names, self.alts = [], [], set(), []
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.names |= {given.get("id"), given.get("name")}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "img":
            self.alts.append(given.get("alt"))
        if tag in ("img", "script", "link", "iframe", "source"):
            self.loaded += [given[name] for name in ("src", "href") if given.get(name)]


@pytest.fixture(scope="module")
def pages(site) -> dict[str, Page]:
    """All pages, by their path in the site."""
    files = [f for f in site.rglob("*.html") if "_static" not in f.parts]
    return {f.relative_to(site).as_posix(): Page(f) for f in files}


def test_every_link_leads_to_a_page_or_a_file_of_the_site(site, pages):
    checked = 0
    for page in pages.values():
        for link in [*page.links, *page.loaded]:
            if re.match(r"(https?|data|mailto):", link):
                continue
            path, _, anchor = unquote(link).partition("#")
            path = path.partition("?")[0]
            target = (page.file.parent / path).resolve() if path else page.file
            assert target.is_file(), f"{page.file}: {link}"
            assert not link.endswith(".ipynb"), f"{page.file}: {link} is no page"
            other = pages.get(target.relative_to(site.resolve()).as_posix())
            if anchor and other:
                assert anchor in other.names, f"{page.file}: {link}"
                checked += 1
    assert checked > 100


def test_nothing_comes_from_a_network(pages):
    for name, page in pages.items():
        assert [link for link in page.loaded if re.match(r"(https?:)?//", link)] == [], name
    assert "<math" in pages["notebooks/02_srgan.html"].text


def test_every_picture_says_what_it_shows(pages):
    assert {name for name, page in pages.items() if not all(page.alts)} == set()
    for name in NAMES:
        alts = pages[f"notebooks/{name}.html"].alts
        assert any(len(alt.split()) > 2 and ".png" not in alt for alt in alts), alts


def test_no_page_names_this_machine(site, pages):
    for name, page in pages.items():
        for path in (sys.executable, sys.prefix, str(REPOSITORY), str(site.parents[2])):
            assert path not in page.text, f"{name} holds {path}"


def test_the_notebooks_follow_each_other(site, pages):
    index = pages["index.html"]
    lessons = [link for link in index.links if re.match(r"notebooks/\d", link)]
    order = list(dict.fromkeys(lessons))
    assert order == [f"notebooks/{name}.html" for name in NAMES]
    for here, after in pairwise(NAMES):
        page = pages[f"notebooks/{here}.html"].text
        assert re.search(rf'class="right-next"\s+href="{after}.html"', page), here
        page = pages[f"notebooks/{after}.html"].text
        assert re.search(rf'class="left-prev"\s+href="{here}.html"', page), after


@pytest.mark.parametrize("name", NAMES)
def test_parameters_stand_once_as_the_report_ran_and_no_widget_is_without_its_kernel(pages, name):
    text = re.sub(r"<[^>]+>", "", pages[f"notebooks/{name}.html"].text)
    assert re.findall(r"^preset\b.* = .*$", text, re.MULTILINE) == [
        'preset: str = "smoke"  # smoke, demo, laptop, cpu, gpu or paper'
    ]
    assert "interactive(" not in text and "This is a widget" in text
    assert "python python" not in text
    assert "saved figures/fig1.png" in text


def test_rooms_have_their_docstrings(pages):
    losses = pages["srkit/losses.html"]
    assert "srkit.losses.mse_loss" in losses.names
    assert "Pixel-wise mean squared error" in losses.text


def test_a_site_of_notebooks_that_did_not_run_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SRKIT_ROOT", str(tmp_path))
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_first.ipynb").write_text("{}")
    assert main(["site", "--preset", "smoke"]) == 2
    assert "python -m srkit report --preset smoke" in capsys.readouterr().err
