# make demo: the main job from nothing.  make test: what must hold at every change.  make test-servers: the long rest of CI.  make attack: hostile input.  make bench: the figures.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SEED := 1
COUNT := 10000
FILE := tests/golden/nim/snmove.json
IDS :=

.PHONY: help demo test test-servers lint types layers suite suite39 golden attack bench clean lock

help:
	@sed -n 1p Makefile
	@echo "parts of test: lint types layers suite suite39"
	@echo "make golden FILE=RUNS [IDS='ID ID'] runs recorded runs of xCAT's commands by ours"
	@echo "make attack SEED=1 COUNT=10000 tries other inputs with another seed; make lock renews the locked releases"

$(STAMP): setup.cfg proto/setup.cfg agent/setup.cfg tools/venv tools/locked tools/requirements.lock
	tools/venv $(VENV)
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/xcat-aix-lab demo

test: lint types layers suite suite39

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/vermin --quiet --no-tips --eval-annotations --target=3.9- --violations proto agent

types: $(STAMP)
	$(BIN)/mypy --python-version 3.9 -p xcat_aix_proto -p xcat_aix_agent
	$(BIN)/mypy -p xcatd -p xcat_aix -p xcat_aix_lab

layers: $(STAMP)
	$(BIN)/lint-imports

# The plugins' own tests with the lines of them that they run, of which there must be enough (pyproject.toml): measuring
# takes time, so the others go without.
suite: $(STAMP)
	$(BIN)/coverage erase
	MEASURE_COVERAGE=1 $(BIN)/python -m pytest -n auto -q tests/plugins
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/python -m pytest -n auto -q --ignore tests/plugins

# The agent and proto on the oldest Python they promise, where this machine has one.
suite39: $(STAMP)
	tools/suite39 $(VENV)39

# What takes longer than a change can wait for: PostgreSQL, MariaDB and sshd, and hostile input (the marker "servers").
test-servers: $(STAMP)
	tools/mariadb
	tools/sshd
	$(BIN)/python -m pytest -m servers -q

attack: $(STAMP)
	$(BIN)/python -m tests.attack --seed $(SEED) --count $(COUNT)

# Recorded runs of xCAT's commands by ours: FILE is of the form of tests/golden/nim, IDS are some of its runs.
golden: $(STAMP)
	$(BIN)/python -m tests.golden $(FILE) $(IDS)

lock:
	tools/lock

bench: $(STAMP)
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) $(VENV)39 .mypy_cache .ruff_cache .pytest_cache
