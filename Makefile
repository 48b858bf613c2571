# The commands of README. They need Python 3.11 or later, make and the package registry; Windows: see README.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# What npm writes when it has installed the validator of the fidelity gates.
OAV = tests/fidelity/node_modules/.package-lock.json
ifndef RUN_DIR
RUN_DIR := runs/$(shell date -u +%Y%m%dT%H%M%SZ)-$(shell $(PYTHON) -c 'import os; print(os.urandom(3).hex())')
endif

.PHONY: run test lab lint e2e screenshots docs fidelity clean

# The main job on a fresh copy of the example estate. That some of its VMs are blocked (exit code 3) is what it shows.
run: $(VENV)/run.stamp
	$(BIN)/runbook run --estate contoso --apply --out $(RUN_DIR) || test $$? -eq 3
	$(BIN)/runbook verify $(RUN_DIR)

# Everything that needs nothing but Python.
test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -m "not e2e" tests

lab: $(VENV)/run.stamp
	JUPYTER_CONFIG_PATH=$(CURDIR)/jupyter $(BIN)/jupyter lab notebooks/00_start.ipynb

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check runbook_lib tests notebooks docs
	$(BIN)/ruff format --check runbook_lib tests docs
	$(BIN)/mypy
	$(BIN)/python docs/build.py --check

# Opens JupyterLab in headless Chromium.
e2e: $(VENV)/dev.stamp
	@command -v chromium >/dev/null || { echo "e2e needs Chromium: apt-get install chromium"; exit 1; }
	$(BIN)/python -m pytest -m e2e tests/e2e

screenshots: $(VENV)/dev.stamp
	@command -v chromium >/dev/null || { echo "screenshots need Chromium: apt-get install chromium"; exit 1; }
	RUNBOOK_ARTIFACTS=docs $(BIN)/python -m pytest -m e2e tests/e2e -k screenshot

docs: $(VENV)/dev.stamp
	$(BIN)/python docs/build.py

# The sandbox against Microsoft's specs and recorded traffic, found at RUNBOOK_REFERENCE.
fidelity: $(VENV)/dev.stamp $(OAV)
	@test -n "$(RUNBOOK_REFERENCE)" || { \
		echo "fidelity needs reference data: make RUNBOOK_REFERENCE=FOLDER fidelity; docs/fidelity-data.md tells how to fill it"; \
		exit 1; }
	RUNBOOK_REFERENCE=$(RUNBOOK_REFERENCE) $(BIN)/python -m pytest -m "not e2e" \
		tests/fidelity tests/sandbox tests/test_recorded.py

clean:
	rm -rf $(VENV) build *.egg-info tests/fidelity/node_modules

$(VENV)/run.stamp: pyproject.toml requirements.txt constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[run,dev]'
	touch $@

$(OAV): tests/fidelity/package.json tests/fidelity/package-lock.json
	@command -v npm >/dev/null || { echo "fidelity needs Node.js 20 or later with npm: apt-get install npm"; exit 1; }
	cd tests/fidelity && npm ci --loglevel=error --no-audit --no-fund
	touch $@
