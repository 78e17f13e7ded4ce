"""The clone as a whole: lint, types, layout, one list of dependencies, README's commands."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from srkit.cli import parser
from srkit.evaluation import results, tables
from srkit.files import sha256
from srkit.weights import methods

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = README + "".join(f.read_text(encoding="utf-8") for f in ROOT.glob("srkit/*/README.md"))

# What each module may import of the others: imports run one way, between rooms and inside of them.
ORDER = [
    name
    for line in """
paths settings
files.writing files.downloads files.deep_colour files.picture_files
devices
models.blocks models.srgan models.srugan models.unet_discriminator models.vgg19 models.leftthomas
models.probes models.build models.inference
losses
data.images data.photos data.readable data.packed data.sources data.crops data.leakage
metrics
weights.table weights.third_party weights.checkpoints weights.vgg19 weights.peers
upscale
fid.inception fid.statistics fid.frechet fid.uncertainty fid.features fid.folders
training.distil training.recipe training.recipes training.variants training.as_published
training.distributed
training.diagnostics training.state training.step training.checkpoints training.run_folder
training.run training.loop
evaluation.results evaluation.sizes evaluation.lpips evaluation.measure
evaluation.patterns evaluation.ablation
evaluation.agreement evaluation.context evaluation.tables evaluation.bench_fid
evaluation.bench_training evaluation.bench_upscale evaluation.cards
notebook.embed notebook.figures notebook.sampling notebook.charts notebook.diagrams
notebook.session notebook.exercises notebook.findings notebook.standings notebook.faults
notebook.live notebook.panel notebook.frames notebook.viewer
notebook.offline notebook.parameters notebook.report notebook.lab notebook.site
cli.options cli.notebooks cli.pictures cli.training cli.entry __main__
""".splitlines()
    for name in line.split()
]


def run(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("check", [["check"], ["format", "--check"]], ids=["lint", "format"])
def test_ruff_has_nothing_to_say(check):
    result = run(sys.executable, "-m", "ruff", *check, ".")
    assert result.returncode == 0, result.stdout


@pytest.mark.slow
def test_types_hold():
    result = run(sys.executable, "-m", "mypy")
    assert result.returncode == 0, result.stdout


def test_top_level_is_the_agreed_one():
    listed = run("git", "ls-files").stdout.split()
    if not listed:
        pytest.skip("not a git clone")
    top = {name.split("/")[0] for name in listed if not name.startswith(".")}
    allowed = {"notebooks", "srkit", "figures", "tests", "environment.yml", "README.md"}
    assert top <= allowed | {"pyproject.toml", "Makefile", "LICENSE"}


def test_conda_gets_everything_from_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert [re.split("[=<>]", name)[0] for name in conda] == ["python", "pip"]
    assert pip == {"pip": ["-e .[dev]"]}
    assert "[project.optional-dependencies]\ndev = [" in (ROOT / "pyproject.toml").read_text()


def test_dependencies_have_a_lowest_and_a_first_version_too_new():
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    named = [name for line in lines for name in re.findall(r'"([a-z0-9-]+[<>=][^"]*)"', line)]
    named = [name for name in named if not name.startswith(("setuptools", ">="))]
    assert len(named) > 30
    assert [name for name in named if not re.fullmatch(r"[a-z0-9-]+>=[\d.]+,<\d+", name)] == []


def test_actions_are_pinned_by_their_whole_hash():
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    used = re.findall(r"uses: (\S+)", workflow)
    assert len(used) > 5 and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name) for name in used)


def modules() -> dict[str, Path]:
    """Every module but the packages' own, by its name below srkit."""
    files = [f for f in (ROOT / "srkit").rglob("*.py") if f.name != "__init__.py"]
    return {".".join(f.relative_to(ROOT / "srkit").with_suffix("").parts): f for f in files}


def imported(path: Path) -> set[str]:
    """The modules of srkit that a file imports, at its top or in a function; a package stands for
    all that it hands on."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "srkit":
            base = node.module.removeprefix("srkit").strip(".")
            for name in node.names:
                inner = f"{base}.{name.name}".strip(".")
                found.add(inner if inner in ORDER else base if base in ORDER else f"{inner}.*")
    return found


def test_imports_run_one_way():
    assert set(modules()) == set(ORDER), "name every module in ORDER, after those that it imports"
    for name, path in modules().items():
        for other in imported(path):
            package = other.split(".")[0]
            needed = [m for m in ORDER if m.split(".")[0] == package] if "*" in other else [other]
            assert needed, f"{name} imports {other}, which is no module"
            late = [m for m in needed if ORDER.index(m) >= ORDER.index(name)]
            assert not late, f"{name} imports {late}, which come after it"


def test_a_package_hands_names_on_and_defines_nothing():
    for path in (ROOT / "srkit").rglob("__init__.py"):
        kinds = {type(node) for node in ast.parse(path.read_text()).body}
        assert kinds <= {ast.Expr, ast.ImportFrom, ast.Assign}, path


def teaching_core() -> dict[str, int]:
    """The modules that are read in an afternoon, and their lines."""
    core = ("models.", "losses", "data.images", "data.photos", "fid.frechet", "training.step")
    return {n: len(f.read_text().splitlines()) for n, f in modules().items() if n.startswith(core)}


def test_the_teaching_core_is_read_in_an_afternoon():
    lengths = teaching_core()
    assert sum(lengths.values()) < 1500 and max(lengths.values()) < 300, lengths


def test_the_front_of_the_house_has_15_doors():
    hidden = {"__init__.py", "__main__.py", "__pycache__", "checkpoints"}
    entries = {entry.name for entry in (ROOT / "srkit").iterdir()} - hidden
    assert len(entries) <= 15, entries


def test_modules_stay_short():
    lengths = {f.name: len(f.read_text().splitlines()) for f in modules().values()}
    assert {name: n for name, n in lengths.items() if n > 400} == {}


def test_functions_take_at_most_seven_arguments():
    long = {}
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                taken = [a for a in taken if a.arg not in ("self", "cls")]
                if len(taken) > 7:
                    long[f"{name}.{node.name}"] = len(taken)
    assert not long


def test_the_formatter_is_never_switched_off():
    mark = "# fmt" + ": "
    assert not [f for f in ROOT.glob("[st]*/**/*.py") if mark in f.read_text(encoding="utf-8")]


def test_no_file_names_a_machine_path():
    pattern = re.compile(r"/(?:home|root|work|tmp|Users)/\w")
    for name in run("git", "ls-files").stdout.split():
        if Path(name).suffix in {".py", ".md", ".ipynb", ".yml", ".toml", ".json"}:
            found = pattern.search((ROOT / name).read_text(encoding="utf-8"))
            assert not found, f"{name} holds {found and found.group()}"


def commands(start: str) -> list[str]:
    """The command lines of README and its guides that begin so."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGES, flags=re.DOTALL | re.MULTILINE)
    lines = [line for kind, block in blocks if kind == "bash" for line in block.splitlines()]
    return [
        line for line in (line.split("  #")[0].strip() for line in lines) if line.startswith(start)
    ]


def test_readme_shows_the_two_commands():
    assert "make report" in commands("make") and "make test" in commands("make")


def test_every_srkit_command_in_readme_is_understood():
    found = commands("python -m srkit")
    assert len(found) >= 3
    for line in found:
        parser().parse_args(shlex.split(line)[3:])  # exits where an option is unknown


def test_every_make_command_in_readme_has_a_target():
    targets = set(re.findall(r"^([\w.]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for line in commands("make"):
        assert shlex.split(line)[1] in targets, line


@pytest.fixture(scope="module")
def recorded() -> list[results.Row]:
    """The committed rows."""
    return results.load(ROOT / "figures" / "results.json")


def test_the_numbers_in_readme_are_those_of_results_json(recorded):
    # A table of results stands behind <!-- results: stage, dataset, scale -->.
    for about, table in re.findall(r"<!-- results: (.*?) -->\n\n((?:\|.*\n)+)", README):
        stage, dataset, scale = about.split("; ")
        rows = results.select(recorded, stage=stage, dataset=dataset, scale=int(scale))
        header, body = tables.method_table(rows)
        names, _, *lines = [line.strip("| ").split(" | ") for line in table.splitlines()]
        picked = [[line[header.index(name)] for name in names] for line in body]
        assert lines and all(line in picked for line in lines), about


def test_readme_is_one_page():
    assert len(README.split()) <= 1300


def test_results_md_says_what_results_json_says(recorded):
    made = tables.results_md(recorded)
    assert (ROOT / "figures" / "results.md").read_text(encoding="utf-8") == made


def test_measured_rows_are_of_the_shipped_checkpoints(recorded):
    shipped = {sha256(f)[:12] for f in (ROOT / "srkit" / "checkpoints").glob("*_x?.safetensors")}
    ours = [row for row in recorded if row["method"] not in methods("peer") and row.get("weights")]
    # Those of "sensitivity" are of an earlier SR-UGAN, as notebook 05 says where it shows them.
    swept = [row for row in ours if row.get("stage") == "sensitivity"]
    assert {row["weights"] for row in ours if row not in swept} == shipped
    assert {row["weights"] for row in swept} == {"42d9ad647e02"}


def test_the_commits_of_measured_rows_are_in_the_history(recorded):
    if run("git", "rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("no clone with its history")
    rows = results.select(recorded, source="measured")
    # Those of "sensitivity" were measured before the history that stands, and not since.
    for commit in {row["commit"] for row in rows if row["stage"] != "sensitivity"}:
        found = run("git", "merge-base", "--is-ancestor", commit, "HEAD")
        assert found.returncode == 0, f"no commit {commit} before this one"


@pytest.mark.parametrize("page", ["README.md", "srkit/fid/README.md", "srkit/training/README.md"])
def test_every_file_that_a_page_links_to_is_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text) + re.findall(r'src="([^"]+)"', text)
    assert links
    for target in links:
        assert ((ROOT / page).parent / target).exists(), target
