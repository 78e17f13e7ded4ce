# Thin lines over `python -m srkit` and pytest; on Windows run those by hand (see README.md).
PYTHON ?= python3
PRESET ?= demo
DATA   ?= embedded

.PHONY: report test lab lint clean

report: .venv  ## run all notebooks and write figures/
	.venv/bin/python -m srkit report --preset "$(PRESET)" --data "$(DATA)"

test: .venv  ## lint, types, unit tests and every notebook in the smoke preset
	.venv/bin/python -m pytest -n auto --maxprocesses 4 --dist worksteal

lab: .venv  ## open JupyterLab on the notebooks
	.venv/bin/python -m srkit lab

lint: .venv  ## put code and notebooks into shape, then check them
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	.venv/bin/nbstripout notebooks/*.ipynb
	.venv/bin/mypy

# Remade when missing or older than pyproject.toml. It carries an old date until all is installed,
# so that an install that was broken off is begun anew.
.venv: pyproject.toml
	$(PYTHON) -m venv .venv
	touch -t 200001010000 .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch .venv

clean:  ## remove what runs left behind, keep figures/ and .venv
	rm -rf runs build *.egg-info
