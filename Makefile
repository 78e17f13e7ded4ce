# Thin lines over `python -m srkit` and pytest; on Windows run those by hand (see README.md).
PYTHON ?= python3
PRESET ?= demo
DATA   ?= embedded

.PHONY: report test test-browser test-lowest audit lab site lint clean

report: .venv  ## run all notebooks and write figures/
	.venv/bin/python -m srkit report --preset "$(PRESET)" --data "$(DATA)"

test: .venv  ## lint, types, unit tests and every notebook in the smoke preset
	.venv/bin/python -m pytest -n auto --maxprocesses 4 --dist worksteal

test-browser: .venv/browser  ## the notebooks in JupyterLab in Chromium (which the system provides)
	.venv/bin/python -m pytest -m browser -n 2 --dist loadscope -rs $(OPTIONS) tests/browser

test-lowest:  ## what hangs most on other libraries, with the lowest versions that pyproject.toml allows
	$(PYTHON) -m venv runs/lowest
	runs/lowest/bin/python -m pip install --quiet --disable-pip-version-check uv
	runs/lowest/bin/uv pip install --quiet --python runs/lowest/bin/python \
		--resolution lowest-direct -e ".[any-model,deep-colour]" "pytest>=8" "hypothesis>=6.100"
	runs/lowest/bin/python -m pytest tests/files tests/models tests/weights \
		tests/test_metrics.py tests/test_upscale.py

audit: .venv/audit  ## known weaknesses, and licences that would bind what is built on this
	.venv/bin/pip-audit --skip-editable
	.venv/bin/pip-licenses --from=mixed --partial-match --fail-on="GPL;General Public License" \
		--ignore-packages docutils  # BSD and public domain but for one mode of Emacs

lab: .venv  ## open JupyterLab on your own copy of the notebooks, in my-notebooks/
	.venv/bin/python -m srkit lab $(OPTIONS)

site: .venv  ## pages to publish, of the notebooks that `make report` executed, into runs/site/html
	.venv/bin/python -m srkit site --preset "$(PRESET)"

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

# An extra of pyproject.toml.
.venv/browser .venv/audit: pyproject.toml | .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".[$(@F)]"
	touch $@

clean:  ## remove what runs left behind, keep figures/ and .venv
	rm -rf runs build *.egg-info
