# The commands of README. They need Python 3.11 or later, make and the package registry; Windows: see README.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# What npm writes when it has installed the validator of the fidelity gates.
OAV = tests/fidelity/node_modules/.package-lock.json
# The same for the clients for JavaScript, and an environment with the Python clients of 2020.
JS = tests/clients/node_modules/.package-lock.json
OLDER = $(VENV)/older
ifndef RUN_DIR
RUN_DIR := runs/$(shell date -u +%Y%m%dT%H%M%SZ)-$(shell $(PYTHON) -c 'import os; print(os.urandom(3).hex())')
endif

.PHONY: run test lab lint e2e screenshots docs notebooks fidelity clients faults versions commands bench binder clean

# The main job on a fresh copy of the example estate. That some of its VMs are blocked (exit code 3) is what it shows.
run: $(VENV)/run.stamp
	$(BIN)/runbook run --estate contoso --apply --out $(RUN_DIR) || test $$? -eq 3
	$(BIN)/runbook verify $(RUN_DIR)

# Everything that needs nothing but Python.
test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not e2e and not clients and not faults and not binder and not commands" tests

lab: $(VENV)/run.stamp
	JUPYTER_CONFIG_PATH=$(CURDIR)/jupyter $(BIN)/jupyter lab notebooks/00_start.ipynb

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check runbook_lib tests notebooks docs
	$(BIN)/ruff format --check runbook_lib tests docs
	$(BIN)/mypy
	$(BIN)/python docs/build.py --check
	$(BIN)/python docs/translations.py --check

# Opens JupyterLab in headless Chromium.
e2e: $(VENV)/dev.stamp
	@command -v chromium >/dev/null || { echo "e2e needs Chromium: apt-get install chromium"; exit 1; }
	$(BIN)/python -m pytest -m e2e tests/e2e

screenshots: $(VENV)/dev.stamp
	@command -v chromium >/dev/null || { echo "screenshots need Chromium: apt-get install chromium"; exit 1; }
	RUNBOOK_ARTIFACTS=docs $(BIN)/python -m pytest -m e2e tests/e2e -k screenshot

docs: $(VENV)/dev.stamp
	$(BIN)/python docs/build.py

# notebooks/es/ of notebooks/ and docs/translations.es/; tells what is not translated.
notebooks: $(VENV)/dev.stamp
	$(BIN)/python docs/translations.py

# The sandbox against Microsoft's specs and recorded traffic, found at RUNBOOK_REFERENCE.
fidelity: $(VENV)/dev.stamp $(OAV)
	@test -n "$(RUNBOOK_REFERENCE)" || { \
		echo "fidelity needs reference data: make RUNBOOK_REFERENCE=FOLDER fidelity; docs/fidelity-data.md tells how to fill it"; \
		exit 1; }
	RUNBOOK_REFERENCE=$(RUNBOOK_REFERENCE) $(BIN)/python -m pytest -m "not e2e" \
		tests/fidelity tests/sandbox tests/test_recorded.py tests/test_recorded_azure.py tests/test_real_shapes.py \
		tests/test_network_recorded.py tests/test_guide_map.py tests/test_ip_ranges.py tests/test_policy.py tests/test_service_errors.py

# The sandbox over HTTP: its own suite once more, then clients of other makes and of an older generation.
clients: $(VENV)/dev.stamp $(JS) $(OLDER)/older.stamp
	RUNBOOK_ROAD=http $(BIN)/python -m pytest tests/sandbox
	RUNBOOK_OLDER=$(OLDER) $(BIN)/python -m pytest -m clients tests/clients

# Every ARM call of the job meets every fault; with the recorded bodies of errors where RUNBOOK_REFERENCE has them.
faults: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m faults tests/faults

# What goes through the Azure SDKs, against the lowest versions that pyproject.toml allows and the newest that there are:
# reading, planning and applying, rights, and the sandbox's transport.
SDK_TESTS = tests/arm tests/test_apply_plan.py tests/test_ip_ranges.py tests/test_network_effective.py tests/test_precheck.py \
	tests/test_read_only.py tests/test_rights.py tests/test_run.py tests/sandbox/test_transport.py
versions: $(VENV)/azure-lowest.stamp
	rm -rf $(VENV)/azure-newest
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(VENV)/azure-newest \
		$$(sed -n 's/^ *"\(azure-[a-z-]*\)>=.*/\1/p' pyproject.toml)
	for each in lowest newest; do \
		echo "Azure SDKs, $$each:"; (cd $(VENV)/azure-$$each && ls -d azure_*.dist-info); \
		PYTHONPATH=$(CURDIR)/$(VENV)/azure-$$each:$(CURDIR) $(BIN)/python -m pytest -q -n auto --dist worksteal -m "not commands" $(SDK_TESTS) || exit 1; \
	done

# Whole commands as people, pipelines and fleets start them: each is a process of its own, with a kernel.
commands: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n auto --dist worksteal -m commands tests

# What things cost, as ratios measured in one run; exits with 1 when a target is missed.
bench: $(VENV)/dev.stamp
	PYTHONPATH=tests $(BIN)/python -m bench.sandbox
	PYTHONPATH=tests $(BIN)/python -m bench.readiness
	PYTHONPATH=tests $(BIN)/python -m bench.calls
	PYTHONPATH=tests $(BIN)/python -m bench.chain
	PYTHONPATH=tests $(BIN)/python -m bench.size
	PYTHONPATH=tests $(BIN)/python -m bench.protect
	@! command -v chromium >/dev/null || PYTHONPATH=tests:tests/e2e $(BIN)/python -m bench.picker
	PYTHONPATH=tests $(BIN)/python -m bench.snapshot

# What Binder builds and starts, without its container: a fresh environment, postBuild, start.
binder: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -m binder tests/binder

clean:
	rm -rf $(VENV) build *.egg-info tests/fidelity/node_modules tests/clients/node_modules

$(VENV)/run.stamp: pyproject.toml requirements.txt constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[run,dev]'
	touch $@

$(VENV)/azure-lowest.stamp: $(VENV)/dev.stamp
	rm -rf $(VENV)/azure-lowest
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(VENV)/azure-lowest \
		$$(sed -n 's/^ *"\(azure-[a-z-]*\)>=\([0-9.]*\)",$$/\1==\2/p' pyproject.toml)
	touch $@

tests/%/node_modules/.package-lock.json: tests/%/package.json tests/%/package-lock.json
	@command -v npm >/dev/null || { echo "this needs Node.js 20 or later with npm: apt-get install npm"; exit 1; }
	cd tests/$* && npm ci --loglevel=error --no-audit --no-fund
	touch $@

$(OLDER)/older.stamp: tests/clients/older.txt
	$(PYTHON) -m venv $(OLDER)
	$(OLDER)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/clients/older.txt
	touch $@
