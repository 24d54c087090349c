# `make run` and `make test` do all their own set-up: they need make and Python 3.11 or newer, no more.

STUDY ?= examples/digits/study.yaml
PYTHON := .venv/bin/python
INSTALLED := .venv/.installed
BENCHMARKS ?= step memory lanes
IN := $(if $(JOBS),--jobs $(JOBS))
COVERS := tests/runlog tests/simulation tests/analysis/test_damage.py tests/analysis/test_load.py \
	$(addprefix tests/sweep/,rundir scheduler driver api cli)
FAST := not slow and not cluster and not gpu

# Where this is set every process compiles our modules anew, and the tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test test-fast coverage bench chaos repeats simulate damage mutate docs lint lock check-lock clean

help:
	@echo "make run     run the example study, or another: make run STUDY=path/to/study.yaml"
	@echo "make test    run all tests"
	@echo "make test-fast  run the tests that take a moment each: no Ray, no machines, no training; under a minute"
	@echo "make coverage  print which branches of what decides what a study does no test takes"
	@echo "make bench   run the benchmarks of training; minutes each, on a machine that does nothing else"
	@echo "make chaos   kill drivers, workers and machines of studies 200 times, of populations 50 times"
	@echo "make repeats run one parallel study in a fixed order 20 times with 10 kills each; all must be equal"
	@echo "make simulate   play 10000 histories in which everything goes wrong, or more: make simulate SEEDS=100000 JOBS=16"
	@echo "make damage  damage a run directory 10000 times, or more: make damage DAMAGES=100000 JOBS=16"
	@echo "make mutate  read 10000 mutated study files, or more: make mutate FILES=100000 JOBS=16"
	@echo "make docs    write the tables of keys in docs/study.md and the tree in docs/architecture.md anew"
	@echo "make lint    run ruff, mypy and the import contracts"
	@echo "make lock    bring requirements.lock up to what pyproject.toml asks for (needs uv)"
	@echo "make clean   remove .venv and what the tools left; runs/ stays"

run: $(INSTALLED)
	$(PYTHON) -m sweep run "$(STUDY)"

# What starts no Ray and no machines, and does not train for seconds.
test-fast: $(INSTALLED)
	$(PYTHON) -m pytest -n 2 --dist loadfile -m "$(FAST)" --ignore=tests/train_core
	$(PYTHON) -m pytest -n 2 --dist loadfile -m "$(FAST)" tests/train_core

# Three at a time, a file's tests together, long files first: most wait for other processes. The core has processes
# of its own: whether MLX compiles is settled once a process, and tests of studies do without.
test: $(INSTALLED)
	$(PYTHON) -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=25 --ignore=tests/train_core
	$(PYTHON) -m pytest -n 2 --dist loadfile tests/train_core

# Apart from `make test`: Python is half as fast while it is measured.
coverage: $(INSTALLED)
	$(PYTHON) -m pytest -n 3 --cov --dist loadfile --no-loadscope-reorder $(COVERS)

bench: $(INSTALLED)
	for script in $(BENCHMARKS); do $(PYTHON) -m benchmarks.$$script || exit 1; done

chaos: $(INSTALLED)
	$(PYTHON) -m tests.chaos --kills $(or $(KILLS),200) --seed $(or $(SEED),0)
	$(PYTHON) -m tests.chaos --population --kills $(or $(POPULATION_KILLS),50) --seed $(or $(SEED),0)

repeats: $(INSTALLED)
	$(PYTHON) -m tests.chaos.repeats --times $(or $(TIMES),20) --kills $(or $(KILLS),10) --seed $(or $(SEED),0)

simulate: $(INSTALLED)
	$(PYTHON) -m tests.simulation --seeds $(or $(SEEDS),10000) --start $(or $(START),0) $(IN)
	$(PYTHON) -m tests.simulation.sharing --histories $(or $(SEEDS),10000) --seed $(or $(START),0) $(IN)

damage: $(INSTALLED)
	$(PYTHON) -m tests.damage --damages $(or $(DAMAGES),10000) --seed $(or $(SEED),0) $(IN)

mutate: $(INSTALLED)
	$(PYTHON) -m tests.mutation --files $(or $(FILES),10000) --seed $(or $(SEED),0) $(IN)

docs: $(INSTALLED)
	$(PYTHON) docs/tables.py
	$(PYTHON) docs/tree.py

lint: $(INSTALLED)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports --no-logo

# The stamp is written last: an interrupted set-up is taken up again.
$(INSTALLED): requirements.lock pyproject.toml .ci/setup
	.ci/setup
	@touch $@

lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --output-file requirements.lock

# Wheels, not builds, for every kind of machine that the project is for.
check-lock:
	for platform in aarch64-apple-darwin x86_64-manylinux_2_35 aarch64-manylinux_2_35; do \
		MACOSX_DEPLOYMENT_TARGET=14.0 uv pip install --quiet --dry-run --target .venv/none \
			--python-platform $$platform --python-version 3.11 --only-binary :all: \
			--require-hashes --requirements requirements.lock || exit 1; \
		echo "requirements.lock holds on $$platform"; \
	done

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
