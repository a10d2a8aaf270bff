# Two commands matter: `make run` and `make test`. Everything else is for those who change the gateway.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MUTANTS ?= 200000

.PHONY: run test check format bench profile laws golden fuzz fuzz-keys guards faults crash docs clean

run: $(VENV)/.run ## install what is needed and serve
	$(BIN)/gatewright serve

test: $(VENV)/.dev ## the whole test suite
	$(BIN)/python -m pytest

check: $(VENV)/.dev ## format, lint, types, import layers, docs, files over 400 lines
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.docs.check

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

laws: $(VENV)/.dev ## cases x pairs x laws, and the table of known losses in docs/
	$(BIN)/python -m tests.laws.report

golden: $(VENV)/.dev ## write the golden renderings anew; review the diff
	$(BIN)/python -m tests.laws.golden

fuzz: $(VENV)/.dev ## 200,000 mutants of the cases with a seed of their own; SEED=N makes a run again
	$(BIN)/python -m tests.fuzz --mutants $(MUTANTS) $(if $(SEED),--seed $(SEED))

fuzz-keys: $(VENV)/.dev ## 100,000 hostile credentials: no way in, no failure; SEED=N makes a run again
	$(BIN)/python -m tests.fuzz.credentials $(if $(SEED),--seed $(SEED))

guards: $(VENV)/.dev ## 10,000 random texts, cuts and rules through the hold-back window, and as many round trips; SEED=N makes a run again
	$(BIN)/python -m tests.guards $(if $(SEED),--seed $(SEED))

faults: $(VENV)/.dev ## every way a provider can fail x client x form x route, and 10,000 requests over failing targets; SEED=N makes those again
	$(BIN)/python -m tests.faults $(if $(SEED),--seed $(SEED))

crash: $(VENV)/.dev ## 200 rounds of load with a worker, the gateway or the database killed in each; SEED=N, ROUNDS=N
	$(BIN)/python -m tests.crash --rounds $(or $(ROUNDS),200) $(if $(SEED),--seed $(SEED))

bench: $(VENV)/.dev ## measure against nginx, side by side in one run
	$(BIN)/python -m bench.run
	$(BIN)/python -m bench.tls
	$(BIN)/python -m bench.layers
	$(BIN)/python -m bench.limits

profile: $(VENV)/.dev ## where the time goes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check py-spy
	$(BIN)/python -m bench.profile

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .bench-work dist
