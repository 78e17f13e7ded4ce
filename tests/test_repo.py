"""The clone as a whole: lint, types, layout, one list of dependencies, README's commands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from srkit import ablation, bench, evaluate, results
from srkit.options import parser
from srkit.peers import PEERS
from srkit.weights import sha256

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

# What each module may import of the others: imports run one way (see the map in README.md).
ORDER = (
    "paths", "models", "discriminators", "metrics", "weights", "peers", "losses", "recipes",
    "protocols", "packed", "data", "heldout", "context", "pairs", "runfiles", "diagnostics",
    "parallel", "updates", "resume", "train", "inception", "fid", "sampling", "features", "results",
    "repeat", "upscale", "evaluate", "figures", "diagrams", "session", "ablation", "widgets",
    "live", "compare", "bench", "bench_train", "report", "options", "__main__",
)  # fmt: skip


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


def test_imports_run_one_way():
    modules = {f.stem for f in (ROOT / "srkit").glob("*.py")} - {"__init__"}
    assert modules == set(ORDER), "name every module in ORDER, after those that it imports"
    for name in ORDER:
        text = (ROOT / "srkit" / f"{name}.py").read_text(encoding="utf-8")
        imported = set(re.findall(r"from srkit\.(\w+) import", text))
        for group in re.findall(r"from srkit import \(?([\w, \n]+)\)?", text):
            imported |= {part.strip() for part in group.replace("\n", ",").split(",")} & modules
        later = {other for other in imported if ORDER.index(other) >= ORDER.index(name)}
        assert not later, f"{name} imports {later}, which come after it"


def test_modules_stay_short():
    lengths = {f.name: len(f.read_text().splitlines()) for f in (ROOT / "srkit").glob("*.py")}
    assert {name: n for name, n in lengths.items() if n > 375} == {}


def test_no_file_names_a_machine_path():
    pattern = re.compile(r"/(?:home|root|work|tmp|Users)/\w")
    for name in run("git", "ls-files").stdout.split():
        if Path(name).suffix in {".py", ".md", ".ipynb", ".yml", ".toml", ".json"}:
            found = pattern.search((ROOT / name).read_text(encoding="utf-8"))
            assert not found, f"{name} holds {found and found.group()}"


def commands(start: str) -> list[str]:
    blocks = re.findall(r"```(?:bash|sh|shell)?\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(start)]


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


@pytest.mark.parametrize(
    ("dataset", "scale", "preset"),
    [
        ("embedded-val", 2, "demo"),
        ("Imagenette validation, 224x224", 2, "evaluate"),
        ("Set5", 2, "evaluate"),
        ("Set5", 4, "evaluate"),
        ("Set14", 2, "evaluate"),
        ("Imagenette validation, 224x224", 4, "evaluate"),
    ],
)
def test_readme_tables_say_what_results_json_says(dataset, scale, preset):
    rows = results.load(ROOT / "figures" / "results.json")
    more = ["hr"] if preset == "demo" else [*PEERS]
    methods = [*evaluate.available_methods(scale), *more]
    header, body = evaluate.table(rows, methods, dataset, scale, preset)
    for line in results.markdown(header, body).splitlines():
        assert line in README


def test_readme_s_sensitivity_table_says_what_results_json_says():
    rows = results.load(ROOT / "figures" / "results.json")
    dataset = "Imagenette validation, short side 224"
    header, body = evaluate.sensitivity_table(rows, dataset, 1000)
    assert [line[0] for line in body] == ["FID-64", "FID-192", "FID-768"]
    for line in results.markdown(header, body).splitlines():
        assert line in README


def test_readme_s_benchmark_says_what_results_json_says():
    rows = results.select(results.load(ROOT / "figures" / "results.json"), preset="bench")
    table = bench.summary(rows).split("\n\n")[0].splitlines()
    assert len(table) == 2 + 16
    for line in table:
        assert line in README


def test_table_md_says_what_results_json_says():
    rows = results.load(ROOT / "figures" / "results.json")
    methods = [*evaluate.available_methods(2), "hr"]
    table = results.markdown(*evaluate.table(rows, methods, "embedded-val", 2, "demo"))
    assert (ROOT / "figures" / "table.md").read_text(encoding="utf-8").startswith(table)


def test_measured_rows_are_of_the_shipped_checkpoints():
    rows = results.load(ROOT / "figures" / "results.json")
    shipped = {sha256(f)[:12] for f in (ROOT / "srkit" / "checkpoints").glob("*.safetensors")}
    used = {row["weights"] for row in rows if row.get("weights") and row["method"] not in PEERS}
    assert used == shipped


def test_the_commits_of_measured_rows_are_in_the_history():
    if run("git", "rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("no clone with its history")
    rows = results.select(results.load(ROOT / "figures" / "results.json"), source="measured")
    # Those of "sensitivity" were measured before the history that stands, and not since.
    for commit in {row["commit"] for row in rows if row["preset"] != "sensitivity"}:
        found = run("git", "merge-base", "--is-ancestor", commit, "HEAD")
        assert found.returncode == 0, f"no commit {commit} before this one"


def test_readme_s_ablation_says_what_results_json_says():
    rows = results.load(ROOT / "figures" / "results.json")
    kept = [row for row in rows if str(row["preset"]).startswith("ablation-")]
    for line in results.markdown(*ablation.table(kept, kept[0]["dataset"])).splitlines():
        assert line in README


def test_every_file_that_readme_links_to_is_there():
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README) + re.findall(r'src="([^"]+)"', README)
    assert len(links) > 10
    for target in links:
        assert (ROOT / target).exists(), target
